"""The papers' networks.

A model takes ``density`` (None: every layer dense), ``distribution`` (how connections are shared
among layers), or in their place ``structure`` (the patterns themselves), ``rng`` and ``dtype``; all
of them, and what else every model takes, are explained by `mlp`. Convolutional models take
``classes``, ``image`` (the shape of an example) and ``width``, too. Each layer draws from a stream
of its own, so adding a layer moves no other layer's draw; and the dense weight of a sparse layer is
never made, however large.
"""

from collections.abc import Callable

from sparse_ref.models.alexnet import alexnet, snip_alexnet
from sparse_ref.models.lenet import lenet_5
from sparse_ref.models.mlp import (
    ACTIVATIONS,
    DROPOUTS,
    LOGITS_ACTIVATIONS,
    lenet_300_100,
    liu_2020_cifar10,
    liu_2020_fashion_mnist,
    mlp,
)
from sparse_ref.models.mobilenet import mobilenet_v2
from sparse_ref.models.options import DRAWS
from sparse_ref.models.resnet import resnet18
from sparse_ref.models.vgg import vgg11, vgg16, vgg16_tiny_imagenet, vgg_cifar, vgg_like
from sparse_ref.network import Network

# By name; `mlp` is apart, because its sizes must be told.
MODELS: dict[str, Callable[..., Network]] = {
    model.__name__: model
    for model in (
        lenet_300_100,
        liu_2020_fashion_mnist,
        liu_2020_cifar10,
        lenet_5,
        alexnet,
        snip_alexnet,
        vgg11,
        vgg16,
        vgg16_tiny_imagenet,
        vgg_cifar,
        vgg_like,
        resnet18,
        mobilenet_v2,
    )
}

__all__ = ["ACTIVATIONS", "DRAWS", "DROPOUTS", "LOGITS_ACTIVATIONS", "MODELS", "mlp", *MODELS]
