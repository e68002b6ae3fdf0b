"""Layers: ``y, pullback = layer.forward(x)``, and the pullback returns the derivatives."""

from sparse_ref.layers.activations import AllReLU, ReLU, ReLU6, SReLU, SReLUGrad
from sparse_ref.layers.base import Layer, LayerGrad, Parameter
from sparse_ref.layers.batch_norm import BatchNorm, BatchNormGrad
from sparse_ref.layers.conv import Conv2d, DenseConv2d
from sparse_ref.layers.conv_grad import ConvGrad
from sparse_ref.layers.dense import Dense
from sparse_ref.layers.dropout import Dropout
from sparse_ref.layers.flatten import Flatten
from sparse_ref.layers.linear import Linear
from sparse_ref.layers.local_response_norm import LocalResponseNorm
from sparse_ref.layers.pooling import (
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool2d,
    GlobalAvgPool2d,
    MaxPool2d,
)

__all__ = [
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AllReLU",
    "AvgPool2d",
    "BatchNorm",
    "BatchNormGrad",
    "Conv2d",
    "ConvGrad",
    "Dense",
    "DenseConv2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "Layer",
    "LayerGrad",
    "Linear",
    "LocalResponseNorm",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "ReLU6",
    "SReLU",
    "SReLUGrad",
]
