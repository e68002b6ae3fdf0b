"""What becomes of the surviving weights after a pruning: pure functions on arrays, and their names.

Arrays are aligned with the survivors of a layer, in slot order; `first` are the values they are
rewound to, those at initialisation or after a few steps.

================  ===============================================================================
kind              survivors start the next training from
================  ===============================================================================
``rewind``        their first values (Frankle and Carbin 2019; late: Frankle et al. 2019)
``finetune``      the values they have
``reinitialise``  values drawn anew, from a source
``sigma_sign``    the sign of their first value times the layer's standard deviation (Zhou 2019)
``sign``          the sign of their first value
================  ===============================================================================

=================  ==============================================================================
source             where ``reinitialise`` takes values from
=================  ==============================================================================
``fresh``          a new draw of the initialisation (open_lth; google-research "reinit")
``permute_all``    a permutation of all the layer's first values, pruned ones too (Zhou's
                   ``random_reinit``)
``permute_alive``  a permutation of the survivors' first values (Zhou's ``random_reshuffle``)
``resample``       all the layer's first values, with replacement (google-research "reuse")
=================  ==============================================================================

With ``signed`` every survivor has the sign of its first value. Drawn or permuted magnitudes get
that sign (Zhou's ``signed_*``); a resampled value comes from those of the layer that have it
(google-research "reuse_sign", where a first value of 0 counts as negative).

Biases are treated too: rewound; drawn anew by ``fresh``; by the other sources rewound (they are 0
in those codes); by ``sigma_sign`` the sign times the standard deviation of the layer's biases, and
by ``sign`` the sign (Masks2020's code). Activations' parameters are rewound, but for ``finetune``.

References
----------
Zhou et al. (2019), "Deconstructing Lottery Tickets", code uber-research. Paganini and Forde (2020),
"On Iterative Neural Network Pruning, Reinitialization, and the Similarity of Masks": σ is the
standard deviation of all the layer's first weights, with n - 1 (``ddof=1``); Zhou's with n.
"""

from dataclasses import dataclass

import numpy as np

from sparse_ref.initialise import FANS, SCHEMES

KINDS = ("rewind", "finetune", "reinitialise", "sigma_sign", "sign")
SOURCES = ("fresh", "permute_all", "permute_alive", "resample")
SIGMAS = ("all_initial", "alive_initial")


@dataclass(frozen=True)
class Treatment:
    """What becomes of the surviving weights after a pruning; see the module.

    Attributes
    ----------
    kind, source : str
        See the module's tables; `source` and `signed` are for ``reinitialise``.
    signed : bool
    ddof : int
        σ divides by n - ddof: 1 in Masks2020, 0 in Zhou's code. For ``sigma_sign``.
    sigma_over : str
        First values that σ is of: ``all_initial``, or ``alive_initial``, the survivors'.
    biases : bool
        Treat biases too; else they stay as they are.
    initialisation, fan : str
        Of ``fresh`` draws; see `sparse_ref.initialise`.
    from_step_zero : bool
        After ``reinitialise``, train from step 0, whatever the rewinding step (open_lth:
        ``start_at_step_zero``).
    """

    kind: str = "rewind"
    source: str = "fresh"
    signed: bool = False
    ddof: int = 1
    sigma_over: str = "all_initial"
    biases: bool = True
    initialisation: str = "kaiming_uniform"
    fan: str = "shape"
    from_step_zero: bool = False

    def __post_init__(self) -> None:
        known = {
            "kind": KINDS,
            "source": SOURCES,
            "ddof": (0, 1),
            "sigma_over": SIGMAS,
            "initialisation": tuple(SCHEMES),
            "fan": FANS,
        }
        for option in ("signed", "biases", "from_step_zero"):
            if not isinstance(given := getattr(self, option), bool):
                raise TypeError(f"Treatment: {option} must be True or False, got {given!r}")
        for option, values in known.items():
            if (given := getattr(self, option)) not in values:
                raise ValueError(
                    f"Treatment: {option} must be one of {list(values)}, got {given!r}"
                )

    @property
    def needs_all(self) -> bool:
        """Whether first values of pruned weights are asked for, at every level."""
        return self.kind == "reinitialise" and self.source in ("permute_all", "resample")


def as_treatment(treatment: "str | Treatment") -> Treatment:
    """A kind by its name, with the other options as they are by default; a treatment as it is."""
    if isinstance(treatment, Treatment):
        return treatment
    if not isinstance(treatment, str):
        raise TypeError(
            f"Treatment: must be a Treatment or the name of a kind, got {type(treatment).__name__}"
        )
    return Treatment(treatment)


def sigma(first: np.ndarray, ddof: int = 1, who: str = "sigma") -> float:
    """Standard deviation of a layer's first values, in float64; 0 of none.

    `who` is named where there are too few.

    Examples
    --------
    >>> w0 = np.array([0.3, -0.1, 0.2, -0.4])
    >>> round(sigma(w0), 8), round(sigma(w0, ddof=0), 8)
    (0.31622777, 0.27386128)
    """
    if not len(first):
        return 0.0
    if len(first) <= ddof:
        raise ValueError(f"{who}: with ddof {ddof} there must be more values, got {len(first)}")
    return float(np.std(first, ddof=ddof, dtype=np.float64))


def sigma_sign(first: np.ndarray, sigma: float) -> np.ndarray:
    """``(n,)`` sigma * sign(first), of the dtype of `first`; a first value of 0 stays 0."""
    return np.sign(first) * first.dtype.type(sigma)


def permute_all(every: np.ndarray, slots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``(n,)`` of a permutation of `every`, the layer's first values, what falls to `slots`."""
    return rng.permutation(every)[slots]


def resample(every: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """``(n,)`` of the layer's first values `every`, each draw among all of them."""
    if n and not len(every):
        raise ValueError(f"resample: there must be values to draw {n} from, got none")
    return every[rng.integers(0, max(1, len(every)), n)] if n else every[:0]


def resample_signed(every: np.ndarray, first: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As `resample`, positive ones where `first` is positive, negative ones elsewhere."""
    values, positive = np.empty_like(first), first > 0
    for chosen, pool in ((positive, every[every > 0]), (~positive, every[every < 0])):
        values[chosen] = resample(pool, int(chosen.sum()), rng)
    return values


def with_signs(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    """``(n,)`` the magnitudes of `values` with the signs of `first`, of which 0 makes 0."""
    return np.abs(values) * np.sign(first)
