"""ResNet-18 and VGG-16 for images of 32 x 32 in PyTorch, dense, as one would write them there.

Sources of both are those of `sparse_ref.models.resnet18` and `sparse_ref.models.vgg_cifar`. Written
out and not derived from our networks, so that they check them too.
"""

from collections.abc import Callable
from typing import Any

from sparse_ref import csr
from sparse_ref.layers import BatchNorm
from sparse_ref.layers.base import is_sparse, is_weighted
from sparse_ref.network import Network

CLASSES = 10
STAGES = (64, 128, 256, 512)
FEATURES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def resnet18(torch: Any, width: float) -> Any:
    """ResNet-18 with a 3x3 stem and projections, as a `torch.nn.Module`."""
    nn = torch.nn
    base: Any = nn.Module  # known only where PyTorch is

    class Block(base):
        def __init__(self, before, after, stride):
            super().__init__()
            self.body = nn.Sequential(
                *_convolution(nn, before, after, 3, stride),
                nn.ReLU(inplace=True),
                *_convolution(nn, after, after, 3, 1),
            )
            same = stride == 1 and before == after
            self.shortcut = nn.Sequential(
                *(() if same else _convolution(nn, before, after, 1, stride))
            )

        def forward(self, x):
            return nn.functional.relu(self.body(x) + self.shortcut(x), inplace=True)

    channels = [round(n * width) for n in STAGES]
    parts = [*_convolution(nn, 3, channels[0], 3, 1), nn.ReLU(inplace=True)]
    before = channels[0]
    for stage, after in enumerate(channels):
        parts += [Block(before, after, 2 if stage else 1), Block(after, after, 1)]
        before = after
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, CLASSES)]
    return nn.Sequential(*parts)


def vgg16(torch: Any, width: float) -> Any:
    """VGG-16 with batch norm and one linear layer."""
    nn, parts, before = torch.nn, [], 3
    for block in FEATURES:
        for filters in block:
            after = round(filters * width)
            parts += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after)]
            parts.append(nn.ReLU(inplace=True))
            before = after
        parts.append(nn.MaxPool2d(2))
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(before, CLASSES))


NETWORKS: dict[str, Callable[[Any, float], Any]] = {"resnet18": resnet18, "vgg16": vgg16}


def give(net: Network, model: Any, torch: Any) -> None:
    """Copy our weights into PyTorch's network, absent connections as zeros."""
    kinds = torch.nn.Conv2d, torch.nn.BatchNorm2d, torch.nn.Linear
    theirs = [module for module in model.modules() if isinstance(module, kinds)]
    ours = [layer for layer in net.layers if layer.parameters()]
    with torch.no_grad():
        for layer, module in zip(ours, theirs, strict=True):
            for name, value in _arrays(layer).items():
                parameter = getattr(module, name)
                parameter.copy_(torch.from_numpy(value).reshape(parameter.shape))


def _arrays(layer):
    """A layer's parameters, dense, by PyTorch's names."""
    parameters = dict(layer.parameters())
    if is_weighted(layer):
        weight = layer.weight
        return parameters | {"weight": csr.to_dense(weight) if is_sparse(layer) else weight}
    if not isinstance(layer, BatchNorm):
        raise TypeError(f"bench: {type(layer).__name__} must be a layer with a weight or BatchNorm")
    return {"weight": parameters["gamma"], "bias": parameters["beta"]}


def _convolution(nn, before, after, kernel, stride):
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after)
