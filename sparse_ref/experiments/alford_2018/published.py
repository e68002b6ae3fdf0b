"""What Alford et al. 2018 published of networks on MNIST: figures 7 and 9 as numbers.

Test accuracies, fractions; from the authors' table of results, which agrees with the paper's text
where that gives numbers. How many trainings each is of is not said.
"""

# Kind; by how many times the first hidden layer is wider; density of the two sparse layers.
FIGURE_9 = {
    ("dense", 1, 1.0): 0.9703,
    ("random", 1, 0.5): 0.9628,
    ("random", 1, 0.1): 0.9342,
    ("random", 1, 0.05): 0.9149,
    ("random", 1, 0.01): 0.741,
    ("random", 2, 0.5): 0.9665,
    ("random", 10, 0.1): 0.9445,
    ("random", 100, 0.01): 0.943,
    ("RadiX-Net", 1, 0.1): 0.9357,
    ("RadiX-Net", 10, 0.1): 0.9398,
}

# The same of LeNet-5; its second convolution is the one that is wider.
FIGURE_9_LENET_5 = {
    ("dense", 1, 1.0): 0.9925,
    ("random", 1, 0.5): 0.992,
    ("random", 1, 0.1): 0.9877,
    ("random", 1, 0.05): 0.9838,
    ("random", 1, 0.01): 0.4936,
    ("random", 2, 0.5): 0.9914,
    ("random", 10, 0.1): 0.9891,
}


def accuracy(kind: str, times: int, density: float) -> float | None:
    """Of a network of figure 9; None of those it does not show."""
    return FIGURE_9.get((kind, times, density))


# Figure 7. Density; accuracy of the network pruned while it trained, of new weights on its
# structure, and of new weights on the structure of a dense network that was pruned at one time.
FIGURE_7 = {
    "LeNet-300-100": {
        0.5: (0.9750, 0.9703, 0.9688),
        0.25: (0.9744, 0.9705, 0.9682),
        0.1: (0.9740, 0.9702, 0.9619),
        0.05: (0.9730, 0.9634, 0.9565),
        0.01: (0.9683, 0.9608, 0.5608),
    },
    "LeNet-5": {
        0.5: (0.9917, 0.9878, 0.9895),
        0.25: (0.9891, 0.6992, 0.7994),
        0.1: (0.9884, 0.8867, 0.8992),
        0.05: (0.9880, 0.9854, 0.9832),
        0.01: (0.9848, 0.7796, 0.1135),
    },
}
DENSE_OF_FIGURE_7 = {"LeNet-300-100": 0.9703, "LeNet-5": 0.9925}
