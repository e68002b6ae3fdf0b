"""How near each of our kernels comes to its roofline, the least time this machine needs for it.

Per connection and tile, forward fetches a row of the inputs, the weight gradient too, and the
backward pass, which takes both gradients at once, a row of the outputs' derivatives. That is the
least each can fetch; everything else could stay in registers.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sparse_ref.bench.contenders import BACKWARD, FORWARD, WEIGHT_GRADIENT
from sparse_ref.bench.machine import ROW, ROW_BYTES, roofline_seconds
from sparse_ref.bench.peers import OURS
from sparse_ref.bench.records import Record, select

FLOPS = {FORWARD: 2, WEIGHT_GRADIENT: 2, BACKWARD: 4}  # per connection and example
GATHERED_FROM = {FORWARD: "n_in", WEIGHT_GRADIENT: "n_in", BACKWARD: "n_out"}


class Share(NamedTuple):
    """One kernel on one layer."""

    record: Record  # what was measured
    roofline: float  # seconds

    @property
    def bounded(self) -> list[float]:
        """The roofline's seconds against each round's, never more than them.

        A kernel that gathers from a part of a tile at a time finds it in a faster cache than the
        whole would be in, and may pass the roofline; no share counts for more than 1.
        """
        return [min(self.roofline, taken) for taken in self.record["seconds"]]


def shares(records: Sequence[Record]) -> list[Share]:
    """Of every kernel of ours whose tile rows are as wide as those the machine was measured with.

    Empty where the machine was not measured with as many threads.
    """
    limits = select(records, part="machine")
    measured = {r["threads"] for r in limits if r["what"] == "gather"}
    measured &= {r["threads"] for r in limits if r["what"] == "peak"}
    return [
        Share(record, _roofline(limits, record))
        for record in select(records, part="kernels", who=OURS)
        if record["what"] in FLOPS and record["batch"] % ROW == 0 and record["threads"] in measured
    ]


def _roofline(limits: list[Record], record: Record) -> float:
    what, products = record["what"], record["connections"] * record["batch"]
    working_set: Any = record[GATHERED_FROM[what]] * ROW_BYTES
    bytes_per_product = ROW_BYTES // ROW
    return roofline_seconds(
        limits, record["threads"], FLOPS[what] * products, bytes_per_product * products, working_set
    )
