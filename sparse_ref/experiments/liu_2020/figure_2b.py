"""Figure 2 (b): figure 2 with two hidden layers on CIFAR-10 (section 4.2)."""

from sparse_ref.experiments.evidence import Sample, ordered
from sparse_ref.experiments.liu_2020.figure_2 import (
    ENOUGH,
    Panel,
    Settings,
    Values,
    better,
    of_panel,
    reached,
)
from sparse_ref.experiments.liu_2020.images import cifar10
from sparse_ref.experiments.liu_2020.networks import DENSE, FIX, SET
from sparse_ref.experiments.recipe import Claim, Context, Report

LITTLE = 0.05  # "with only 5% parameters, SET-MLP can outperform the dense counterpart"
PAPER_DENSITIES = (0.001, 0.007, 0.05, 0.08, 0.1, 0.2, 0.3, 0.4, 0.5)
PAPER = Settings(PAPER_DENSITIES, images=50_000, layers=2, hidden=1000, epochs=900)
SETTINGS = {
    "smoke": Settings((0.05, 0.2), images=400, layers=2, hidden=60, epochs=2, seeds=2),
    "laptop": Settings(
        (0.007, 0.05, 0.2), 50_000, layers=2, hidden=1000, epochs=20, seeds=2, dense_seeds=1
    ),
    "paper": PAPER,
}


def run(context: Context) -> Report:
    """Train SET-MLP and Fix-MLP at every density, and dense networks beside them."""
    return of_panel(Panel("b", SETTINGS, cifar10, claims), context)


def claims(values: Values, settings: Settings) -> list[Claim]:
    """What the paper says of it."""
    dense = Sample(DENSE, values[DENSE, None])
    evolved, fixed = (
        Sample(f"{name} at {100 * LITTLE:g} %", values[name, LITTLE]) for name in (SET, FIX)
    )
    return [
        reached(values, FIX, ENOUGH, "from 20 % on"),
        better(values, settings.densities, "significantly better"),
        ordered("at 5 % SET-MLP is better than Fix-MLP", [evolved, fixed], "paired"),
        ordered("with only 5 % parameters SET-MLP outperforms the dense MLP", [evolved, dense]),
    ]
