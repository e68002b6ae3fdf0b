"""What differs between scales: of a perceptron on MNIST, and of ResNet-18 on CIFAR-10."""

from dataclasses import dataclass, replace

from sparse_ref.experiments.convnet import GREY, ConvNet, convnet

MASKED = 0.905  # the sparsity of figures 2 and 3

Layers = tuple[int, ...] | ConvNet


@dataclass(frozen=True)
class Settings:
    """What differs between scales.

    Attributes
    ----------
    data : str
    sizes : tuple of int, or ConvNet
        Units per layer, or a convolutional network.
    images : int, optional
        Training images, the same for every seed; None: all.
    epochs : int
    seeds : int
    sparsities : tuple of float
        Of figure 1, ascending.
    frozen : tuple of float
        Sparsities of figure 4.
    freezes : tuple of int
        Freezing epochs of figure 4, beside none at all.
    rigl_every : int, steps
    rate : float
        Most that a level of iterative magnitude pruning removes.
    tested : int, optional
        Test images; None: all.
    """

    data: str = "mnist"
    sizes: Layers = (784, 300, 100, 10)
    images: int | None = None
    epochs: int = 10
    seeds: int = 3
    sparsities: tuple[float, ...] = (0.8, MASKED, 0.95, 0.98, 0.99)
    frozen: tuple[float, ...] = (MASKED, 0.98)
    freezes: tuple[int, ...] = (0, 1, 2, 3, 5, 8)
    rigl_every: int = 100
    rate: float = 0.2
    tested: int | None = None


SETTINGS = {
    "smoke": Settings(
        "fashion-mnist",
        (784, 30, 20, 10),
        images=300,
        epochs=2,
        seeds=2,
        sparsities=(0.8, MASKED),
        frozen=(MASKED,),
        freezes=(0, 1),
        rigl_every=2,
    ),
    "laptop": Settings(images=20_000),
    "paper": Settings(epochs=20),
}


RESNET = Settings(
    "cifar10",
    convnet("ResNet-18", "resnet18"),
    epochs=100,
    sparsities=(0.8, MASKED, 0.95, 0.98, 0.99),
    frozen=(MASKED, 0.98),
    freezes=(0, 1, 2, 3, 5, 10, 20, 50),
)
RESNET_SETTINGS = {
    "smoke": replace(
        RESNET,
        sizes=convnet("ResNet-18 x 0.05", "resnet18", width=0.05, stem="imagenet", image=GREY),
        images=32,
        tested=16,
        epochs=2,
        seeds=1,
        sparsities=(0.8, MASKED),
        frozen=(MASKED,),
        freezes=(0, 1),
        rigl_every=1,
        rate=0.6,
    ),
    "laptop": replace(
        RESNET,
        sizes=convnet("ResNet-18 x 0.25", "resnet18", width=0.25, stem="imagenet"),
        images=3840,
        tested=5000,
        epochs=10,
        sparsities=(MASKED, 0.98),
        freezes=(0, 1, 2, 3, 5),
        rigl_every=20,
        rate=0.5,
    ),
    "paper": RESNET,
}
