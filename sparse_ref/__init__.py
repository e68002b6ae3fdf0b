"""Truly sparse neural-network training on the CPU.

Weights live in `scipy.sparse` CSR, never behind a mask: a connection that does not exist takes no
memory, no time and no optimizer state.
"""

import sparse_ref.threads  # noqa: F401  before numba: it sets what OpenMP reads once
from sparse_ref import (
    allocation,
    analysis,
    at_init,
    csr,
    history,
    lottery,
    methods,
    models,
    optim,
    pruning,
    recorders,
    schedules,
    selection,
    tiles,
    topology,
)
from sparse_ref.downsize import Downsized, downsize
from sparse_ref.history import History, first_difference
from sparse_ref.layers import AllReLU, Dense, Dropout, LayerGrad, Linear, ReLU, SReLU
from sparse_ref.network import Network
from sparse_ref.residual import Residual
from sparse_ref.train import Evaluation, evaluate, fit
from sparse_ref.version import __version__

__all__ = [
    "AllReLU",
    "Dense",
    "Downsized",
    "Dropout",
    "Evaluation",
    "History",
    "LayerGrad",
    "Linear",
    "Network",
    "ReLU",
    "Residual",
    "SReLU",
    "__version__",
    "allocation",
    "analysis",
    "at_init",
    "csr",
    "downsize",
    "evaluate",
    "first_difference",
    "fit",
    "history",
    "lottery",
    "methods",
    "models",
    "optim",
    "pruning",
    "recorders",
    "schedules",
    "selection",
    "tiles",
    "topology",
]
