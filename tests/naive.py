"""The slow, obvious twin of every fast function. Imports nothing of ours.

Dense arrays, Python loops, one formula a line: what the library does is compared with what these
say. Weights are ``(n_out, n_in)``, examples are rows ``(n, features)``.
"""

import math

import numpy as np

# ---------------------------------------------------------------- csr, selection, kernels, layers

# ---------------------------------------------------------------- optimizers and methods
