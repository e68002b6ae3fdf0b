"""When something happens and how much of it: numbers as functions of the training step.

A *schedule* is any function `schedule(step) -> float`; the classes here are frozen dataclasses that
can be called. They serve drop fractions, learning rates, densities and temperatures alike. `Every`
says at which steps an event is due.

`fit` numbers the batches 1 ... n_steps; the formulas hold for every step >= 0 and start at step 0,
so `Cosine(0.3, 100)(0)` is 0.3. A schedule counts in whatever its caller passes: feed it epochs
and `stop` means epochs.

The values do not depend on the host: only additions, multiplications and divisions in float64 are
used, in a fixed order, and neither the cosine nor the power of the C library.

Departures
----------
Codebases number the first batch 0 (RigL's TensorFlow code, optax) or 1 (rigl-torch, `fit`). The
formulas here depend on the number alone: to redo a run of the first kind, subtract 1 from the step.
"""

from sparse_ref.schedules.base import Constant, Schedule, as_schedule
from sparse_ref.schedules.decays import Cosine, InversePower, Linear, cubic
from sparse_ref.schedules.events import Every
from sparse_ref.schedules.staircases import Exponential, Steps
from sparse_ref.schedules.warmup import Warmup

__all__ = [
    "Constant",
    "Cosine",
    "Every",
    "Exponential",
    "InversePower",
    "Linear",
    "Schedule",
    "Steps",
    "Warmup",
    "as_schedule",
    "cubic",
]
