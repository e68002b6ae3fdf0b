"""Figure 1: how NNSTD is computed, on two networks small enough to check by hand.

The paper's own two networks are not given in numbers; these have a first layer whose cheapest
matching swaps two units, so that the second layer shows what reordering is for.
"""

import numpy as np

from sparse_ref import plots_topology, topology
from sparse_ref.experiments.recipe import Claim, Context, Report, Table

# One row a unit, one column an input.
FIRST = (np.array([[1, 1, 0], [0, 1, 1]]), np.array([[1, 0], [0, 1]]))
SECOND = (np.array([[0, 1, 0], [1, 1, 0]]), np.array([[0, 1], [1, 1]]))


def run(context: Context) -> Report:
    """Compare the two networks and draw every step."""
    found = topology.nnstd(FIRST, SECOND)
    rows = [
        (f"{k + 1}", " ".join(map(str, assignment)), f"{distance:.3f}")
        for k, (distance, assignment) in enumerate(
            zip(found.layers, found.assignments, strict=True)
        )
    ]
    table = Table(
        "Two networks of three inputs, two hidden units, two outputs",
        ("layer", "unit of the second network\nfor each of the first", "distance"),
        (*rows, ("mean", "", f"{found.distance:.3f}")),
    )
    costs = topology.normalized_edit_distances(FIRST[0], SECOND[0])
    shared = Claim(
        "two units that share one input of two have a normalized edit distance of 0.5",
        f"{costs[0, 0]:g}",
        bool(costs[0, 0] == 0.5),
    )
    return Report(
        tables=[table],
        claims=[shared],
        pictures={"figure_1.png": plots_topology.matching(FIRST, SECOND, found)},
        notes=["the two networks are ours; the paper's are drawn without numbers"],
        numbers={"distance": found.distance, "layers": list(found.layers)},
    )
