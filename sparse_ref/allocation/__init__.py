"""How many connections each layer gets, in integers, and how a layer's positions are drawn.

A *distribution* maps the layers' shapes and one network density to integer counts. Its ideal
counts are fractions; they become integers by a named rounding and, by default, add up to the target
exactly: no connection is lost or invented. Afterwards `exact` or `bernoulli` draws the positions.

Shapes are `(n_out, n_in)` for linear and `(C_out, C_in, kh, kw)` for convolutional weights.

Reference
---------
Uniform, ER and ERK: Evci et al. 2020, "Rigging the Lottery", section 3 (sparsity distribution);
details from the authors' code, `rigl/sparse_utils.py`, and its copy in jaxpruner.
ER and its ε: Mocanu et al. 2018, "Scalable training of artificial neural networks with adaptive
sparse connectivity", equation 1.

Departures
----------
* The RigL code rounds each layer by `floor`, so a network may exceed its target by one connection
  per layer. Here the target is met exactly; `rounding="rigl_floor"` gives the RigL numbers.
* The RigL code takes sparsities, here everything is a density. `"rigl_floor"` therefore works on
  `1 - density` rounded to 15 decimals, which gives back the sparsity as it would have been written:
  density 0.9 means sparsity 0.1, not 0.09999999999999998.
"""

from sparse_ref.allocation.checks import Shape, Shapes
from sparse_ref.allocation.distributions import (
    DISTRIBUTIONS,
    Custom,
    Distribution,
    allocate,
    erdos_renyi,
    erdos_renyi_kernel,
    set_epsilon,
    uniform,
)
from sparse_ref.allocation.draws import bernoulli, exact, with_replacement
from sparse_ref.allocation.rounding import Rounding, apportion

__all__ = [
    "DISTRIBUTIONS",
    "Custom",
    "Distribution",
    "Rounding",
    "Shape",
    "Shapes",
    "allocate",
    "apportion",
    "bernoulli",
    "erdos_renyi",
    "erdos_renyi_kernel",
    "exact",
    "set_epsilon",
    "uniform",
    "with_replacement",
]
