"""What a trained network is like: how robust, how much of it is structure, what it agrees on.

Everything works on networks' connections or on their outputs; nothing here is as large as a dense
layer, and no network is changed.
"""

from sparse_ref.analysis.ensemble import agreement, ensemble, ensemble_accuracy
from sparse_ref.analysis.reinitialise import random_structure, reinitialised
from sparse_ref.analysis.sensitivity import sensitivity, thinned
from sparse_ref.analysis.stability import Evolution, ordinality, stability, weight_evolution

__all__ = [
    "Evolution",
    "agreement",
    "ensemble",
    "ensemble_accuracy",
    "ordinality",
    "random_structure",
    "reinitialised",
    "sensitivity",
    "stability",
    "thinned",
    "weight_evolution",
]
