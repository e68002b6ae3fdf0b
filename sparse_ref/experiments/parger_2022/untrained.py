"""Table 4 without training: masks of networks at full size, and how many parameters they have.

A network that never learns keeps the masks it began with, as far as empty units go: the paper's
MobileNetV2 from uniform density is one, under every method. So its line of table 4 can be had by
building it.
"""

from typing import Any

import numpy as np
from scipy.special import gammaln

from sparse_ref.experiments.convnet import ConvNet, windows
from sparse_ref.experiments.evidence import Sample, between, ordered, percent
from sparse_ref.experiments.parger_2022 import published
from sparse_ref.experiments.parger_2022.convnets import FULL_SIZE, ORIGINAL
from sparse_ref.experiments.parger_2022.grid import MASKED, RIVALS, STARTS
from sparse_ref.experiments.recipe import Report, Table
from sparse_ref.topology import Emptiness, emptiness

FAILED, WIDE = "MobileNetV2", "MobileNetV2 x 1.8"
USED = 0.01  # "over 99% of neurons and inputs were used" in ResNet-18


def untrained(draws: int) -> Report:
    """Build the networks and count.

    Parameters
    ----------
    draws : int
        Networks of each kind, from seeds 1, 2, ...
    """
    found = {
        (name, start): [_empty(net, start, seed) for seed in range(1, 1 + draws)]
        for name, net in FULL_SIZE.items()
        for start in STARTS
    }
    return Report(
        tables=[_masks(found), _counts()],
        claims=_claims(found),
        notes=[
            "masks before training are of networks at full width, all layers sparse, built and not "
            "trained; filters are neurons, and channels of a weight are inputs, so that a "
            "depthwise layer has one input",
            "true counts are of the networks as torchvision has them (ResNet-18: with a 3 x 3 stem "
            "of stride 1), biases and batch norm included; why the paper's are twice or three "
            "times as large is not known",
        ],
        numbers={
            "untrained": [
                {"network": name, "start": start, "masks": [each._asdict() for each in several]}
                for (name, start), several in found.items()
            ]
        },
    )


def expected(net: ConvNet, start: str) -> tuple[float, float]:
    """Fractions of empty neurons and inputs to be expected of random masks.

    All sets of n of a layer's N positions are equally likely; m of them, a filter or a channel,
    stay without connection with probability C(N - m, n) / C(N, n).
    """
    counts = net.built(1 - MASKED, start.lower(), 1).connections
    filters, channels = np.array([shape[:2] for shape in net.shapes]).T
    window = np.array(windows(net.shapes))
    shares = []
    for units, part in ((filters, channels * window), (channels, filters * window)):
        missed = _missed(filters * channels * window, part, np.array(counts))
        shares.append(float(np.sum(units * missed) / np.sum(units)))
    return shares[0], shares[1]


def _missed(positions: np.ndarray, part: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Probability that none of `chosen` out of `positions` lies in a part of them."""
    rest = np.maximum(positions - part - chosen, 0)
    log: Any = gammaln(positions - part + 1.0) - gammaln(rest + 1.0)
    log -= gammaln(positions + 1.0) - gammaln(positions - chosen + 1.0)
    return np.where(positions - part - chosen < 0, 0.0, np.exp(log))


def _empty(net: ConvNet, start: str, seed: int) -> Emptiness:
    weights = [layer.weight for layer in net.built(1 - MASKED, start.lower(), seed).weighted]
    return emptiness(weights, windows(net.shapes))


def _masks(found):
    rows = []
    for (name, start), several in found.items():
        neurons, inputs = expected(FULL_SIZE[name], start)
        rows.append(
            (
                f"{FULL_SIZE[name].title}, {start}",
                percent([each.neurons for each in several]),
                f"{100 * neurons:.2f}",
                percent([each.inputs for each in several]),
                f"{100 * inputs:.2f}",
                f"{np.mean([each.parameters for each in several]) / 1e6:.3f}",
                _theirs(name, start),
            )
        )
    return Table(
        f"Masks before training, full width, sparsity {MASKED:g}; mean ± standard deviation over "
        "draws",
        (
            "network",
            "empty\nneurons %",
            "expected",
            "empty\ninputs %",
            "expected",
            "Params*\nmillions",
            "published, after training:\nneurons, inputs, Params*",
        ),
        tuple(rows),
    )


def _theirs(name, start):
    """SET's, which rewires at random."""
    if name == "ResNet-18":
        return "under 1, under 1"
    if name == WIDE:
        return ""
    line = _published(name)["SET"]
    values = (line[2 * k + STARTS.index(start)] for k in (1, 2, 3))
    return ", ".join(f"{value:g}" for value in values)


def _published(name):
    return published.TABLE_4_MOBILENETV2 if name == FAILED else published.TABLE_4_VGG16


def _counts():
    nets = {**FULL_SIZE, "VGG16, original": ORIGINAL}
    rows = []
    for name, claimed in published.PARAMETERS.items():
        true = nets[name].parameters
        rows.append((nets[name].title, f"{claimed:g}", f"{true:,}", f"{1e6 * claimed / true:.2f}"))
    return Table(
        "Parameters of the dense networks, claimed and counted",
        ("network", "claimed,\nmillions", "counted", "claimed over\ncounted"),
        tuple(rows),
    )


def _claims(found):
    claims = []
    for what, column in (("neurons", 3), ("inputs", 5)):
        values = (published.TABLE_4_MOBILENETV2[name][column] for name in RIVALS)
        theirs = float(np.mean([value / 100 for value in values if value is not None]))
        off = {
            name: [abs(getattr(each, what) - theirs) for each in found[name, "uniform"]]
            for name in (FAILED, WIDE)
        }
        claims.append(
            ordered(
                "MobileNetV2 has 7.4 million parameters, as at width 1.8; so its masks that nobody "
                f"trains have as many empty {what} as at that width. Here how far {what} are from "
                f"the published {100 * theirs:.1f} %, before training",
                [Sample(f"width {w}", tuple(off[n])) for n, w in ((FAILED, "1"), (WIDE, "1.8"))],
            )
        )
    claims += [
        between(
            f"ResNet-18: over 99 % of {what} are used at sparsity {MASKED:g}; here before "
            f"training, from {start}",
            Sample(f"empty {what}", tuple(getattr(each, what) for each in found[key])),
            0.0,
            USED,
        )
        for key in found
        if key[0] == "ResNet-18"
        for start in [key[1]]
        for what in ("neurons", "inputs")
    ]
    return claims
