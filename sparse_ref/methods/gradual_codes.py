"""How gradual pruning finds the threshold of one layer: by rank, or from a histogram.

Nothing here is a method; `sparse_ref.methods.gradual` is.

References
----------
tensorflow/tensorflow, commit 0519f21, tensorflow/contrib/model_pruning/python/pruning.py
(`histogram_threshold`); tensorflow/model-optimization, commit 05d87a3,
tensorflow_model_optimization/python/core/sparsity/keras/pruning_impl.py.

Departures
----------
* The cumulative histogram is counted in integers and divided in float64, there in float32.
* A layer that holds nothing but zeros keeps them; there the scale is 0 / 0.
"""

import numpy as np

from sparse_ref.pruning import COUNTS


def histogram_threshold(
    magnitudes: np.ndarray, zeros: int, sparsity: float, nbins: int = 255
) -> float:
    """About the magnitude below which a part `sparsity` of all lies: a multiple of ``max / nbins``.

    Parameters
    ----------
    magnitudes : (n,)
    zeros : int
        So many zeros are counted with them: absent connections.
    sparsity : float
    nbins : int
        Bins of equal width from 0 to the largest magnitude.

    Returns
    -------
    float
        ``max |w|`` times the part of the bins up to which fewer than `sparsity` of all lie; 0 where
        there is nothing but zeros.

    Examples
    --------
    >>> round(histogram_threshold(np.arange(1.0, 101.0), 0, 0.5), 5)
    49.80392
    """
    top = magnitudes.max(initial=0)
    if top == 0:
        return 0.0
    bins = np.floor(magnitudes.dtype.type(nbins) * (magnitudes / top))
    counts = np.bincount(np.clip(bins, 0, nbins - 1).astype(np.int64), minlength=nbins)
    counts[0] += zeros
    below = np.count_nonzero(np.cumsum(counts) / counts.sum() < sparsity)
    return float(magnitudes.dtype.type(below / nbins) * top)


def smoothed(threshold: float, before: float, decay: float) -> float:
    """``(1 - decay) * threshold + decay * before``.

    Examples
    --------
    >>> round(smoothed(49.80392, 0.0, 0.9), 5)
    4.98039
    """
    return threshold * (1 - decay) + before * decay


def kept(n: int, density: float, rounding: str = "half_even") -> int:
    """How many of `n` positions stay: at least one, if there is one.

    Parameters
    ----------
    n : int
    density : float
    rounding : str
        ``half_even``: ``round(n * density)``. ``half_even_f32``: in float32 (tfmot).

    Examples
    --------
    >>> kept(10, 0.25), kept(10, 0.01), kept(0, 0.5)
    (2, 1, 0)
    """
    if rounding == "half_even_f32":
        return n - COUNTS["kept_half_even_f32"](n, 1 - density)
    return min(n, max(1, round(n * density)))
