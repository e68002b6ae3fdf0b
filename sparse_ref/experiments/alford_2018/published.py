"""What Alford et al. 2018 published of LeNet-300-100 on MNIST: figure 9 as numbers.

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


def accuracy(kind: str, times: int, density: float) -> float | None:
    """Of a network of figure 9; None of those it does not show."""
    return FIGURE_9.get((kind, times, density))
