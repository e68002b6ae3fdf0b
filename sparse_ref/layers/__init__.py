"""Layers: ``y, pullback = layer.forward(x)``, and the pullback returns the derivatives."""

from sparse_ref.layers.activations import AllReLU, ReLU, SReLU, SReLUGrad
from sparse_ref.layers.base import Layer, LayerGrad, Parameter
from sparse_ref.layers.dense import Dense
from sparse_ref.layers.dropout import Dropout
from sparse_ref.layers.linear import Linear

__all__ = [
    "AllReLU",
    "Dense",
    "Dropout",
    "Layer",
    "LayerGrad",
    "Linear",
    "Parameter",
    "ReLU",
    "SReLU",
    "SReLUGrad",
]
