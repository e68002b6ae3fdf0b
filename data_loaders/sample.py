"""Loads the sample of Fashion-MNIST that is shipped with the package: no download, no search."""

import numpy as np
from numpy.typing import DTypeLike

from data_loaders.locate import locate
from data_loaders.mnist import load_folder
from data_loaders.split import Split


def fashion_mnist_sample(dtype: DTypeLike = np.float32) -> tuple[Split, Split]:
    """5,000 training and 1,000 test images of Fashion-MNIST, equally many of each class.

    They are the first of each class in the original files, in their original order; see
    `data_loaders.make_sample` and the licence in `data_loaders/sample/LICENSE`.

    Parameters
    ----------
    dtype : float32 or float64

    Returns
    -------
    train, test : Split, x (n, 28, 28) in [0, 1] (pixel / 255), y (n,) int64 in 0 ... 9

    Raises
    ------
    TypeError
        If `dtype` is neither float32 nor float64.

    Examples
    --------
    >>> train, test = fashion_mnist_sample()
    >>> train.x.shape, test.x.shape
    ((5000, 28, 28), (1000, 28, 28))
    """
    return load_folder(locate("fashion-mnist-sample"), "fashion_mnist_sample", dtype)
