"""The convolutional networks: which they are, and at what scale.

Sparsity 0.97 and 0.99 leave a narrow network fewer connections a unit than a wide one: where the
paper's networks fail, these fail earlier.
"""

from dataclasses import dataclass

from sparse_ref.experiments.convnet import GREY, ConvNet, convnet

AUGMENTATION, SUBSET_SEED = "parger_2022", 2022


@dataclass(frozen=True)
class ConvSettings:
    """What differs between scales.

    Attributes
    ----------
    networks : sequence of ConvNet
        The last is VGG-16, the badly balanced one.
    images : int, optional
        Training images, the same for every seed; None: all.
    tested : int, optional
        Test images, the first; None: all.
    epochs : int
        Even: half of them redistribute.
    seeds : int
    draws : int
        Networks of full width that are made and counted, not trained.
    """

    networks: tuple[ConvNet, ...] = (
        convnet("MobileNetV2", "mobilenet_v2"),
        convnet("ResNet-18", "resnet18"),
        convnet("VGG-16", "vgg_cifar"),
    )
    images: int | None = None
    tested: int | None = None
    epochs: int = 100
    seeds: int = 3
    draws: int = 5


CONV_SETTINGS = {
    "smoke": ConvSettings(
        (
            convnet("MobileNetV2 x 0.1", "mobilenet_v2", width=0.1, strides="imagenet", image=GREY),
            convnet("ResNet-18 x 0.05", "resnet18", width=0.05, stem="imagenet", image=GREY),
            convnet("VGG-16 x 0.03", "vgg_cifar", width=0.03, image=GREY),
        ),
        images=32,
        tested=16,
        epochs=4,
        seeds=1,
        draws=1,
    ),
    "laptop": ConvSettings(
        (
            convnet("MobileNetV2 x 0.25", "mobilenet_v2", width=0.25, strides="imagenet"),
            convnet("ResNet-18 x 0.25", "resnet18", width=0.25, stem="imagenet"),
            convnet("VGG-16 x 0.125", "vgg_cifar", width=0.125),
        ),
        images=2560,
        tested=5000,
        epochs=10,
        seeds=2,
    ),
    "paper": ConvSettings(),
}

# As the paper has them, on Tiny-ImageNet, CIFAR-100 and Tiny-ImageNet: for what needs no training.
# At width 1.8 MobileNetV2 would have the 7.4 million parameters that the paper counts.
FULL_SIZE = {
    "MobileNetV2": convnet("MobileNetV2, 200 classes", "mobilenet_v2", classes=200),
    "MobileNetV2 x 1.8": convnet(
        "MobileNetV2 x 1.8, 200 classes", "mobilenet_v2", classes=200, width=1.8
    ),
    "ResNet-18": convnet("ResNet-18, 100 classes", "resnet18", classes=100),
    "VGG16": convnet("VGG16 for 64 x 64, 200 classes", "vgg16_tiny_imagenet"),
}
ORIGINAL = convnet("VGG16, 224 x 224, 1000 classes", "vgg16")
