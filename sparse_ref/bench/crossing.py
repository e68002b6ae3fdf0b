"""Part (d): the density from which on a dense layer is faster, forward and backward."""

import math
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

from sparse_ref.bench.contenders import BOTH
from sparse_ref.bench.layers import measure_layer
from sparse_ref.bench.peers import OURS, ROWS, TORCH_DENSE, Peers
from sparse_ref.bench.settings import Settings

Record = dict[str, Any]

BATCH = 128
WHO = (OURS, ROWS, TORCH_DENSE)


class Crossing(NamedTuple):
    """Where dense becomes faster."""

    density: float  # nan where it does so nowhere, or everywhere, between the measured densities
    text: str  # the density, or ``> 0.9`` or ``< 0.05``
    least: float  # no crossing is below this: what may safely be claimed


def measure(settings: Settings, peers: Peers, say: Callable[[str], None]) -> Iterator[Record]:
    """Time ours and PyTorch's dense layer over densities.

    Yields
    ------
    dict
        As those of the kernels, with ``"part": "crossing"``. None without PyTorch. It ends at the
        second density in a row at which dense is faster with every number of threads: what comes
        after would be slow, and tell nothing.
    """
    if not peers.torch:
        return
    for shape in settings.crossing_shapes:
        behind = 0
        for density in settings.crossing_densities:
            if behind == 2:
                break
            say(f"crossing: {shape[0]}x{shape[1]}, density {density:g}")
            here = list(
                measure_layer("crossing", shape, density, BATCH, settings, peers, WHO, [BOTH])
            )
            yield from here
            behind = behind + 1 if _dense_is_faster(here) else 0


def crossing(densities: Sequence[float], ours: Sequence[float], dense: Sequence[float]) -> Crossing:
    """The first density at which dense becomes faster.

    Parameters
    ----------
    densities : sequence of float
        Ascending.
    ours, dense : sequence of float, seconds
        At each density.

    Returns
    -------
    Crossing
        Between two measured densities, the logarithm of either time is a line over the logarithm of
        density. Beyond what was measured nothing is said.

    Examples
    --------
    >>> crossing([0.1, 0.4], [1.0, 4.0], [2.0, 2.0]).text
    '0.2'
    >>> crossing([0.1, 0.4], [1.0, 1.5], [2.0, 2.0])
    Crossing(density=nan, text='> 0.4', least=0.4)
    """
    lead = [math.log(b / a) for a, b in zip(ours, dense, strict=True)]  # > 0: ours is faster
    if lead[0] < 0:
        return Crossing(math.nan, f"< {densities[0]:g}", 0.0)
    for k in range(1, len(lead)):
        if lead[k] < 0:
            before, after = math.log(densities[k - 1]), math.log(densities[k])
            share = lead[k - 1] / (lead[k - 1] - lead[k])
            density = math.exp(before + share * (after - before))
            return Crossing(density, f"{density:.3g}", density)
    return Crossing(math.nan, f"> {densities[-1]:g}", densities[-1])


def _dense_is_faster(records):
    """With every number of threads, by the medians."""
    middle = {(r["threads"], r["who"]): median(r["seconds"]) for r in records}
    return all(middle[count, TORCH_DENSE] < middle[count, OURS] for count, _ in middle)
