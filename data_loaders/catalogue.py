"""Which data sets there are: their files, check sums, licences and sources."""

from pathlib import Path

from data_loaders.catalogue_entry import DataFile, DataSet
from data_loaders.catalogue_photographs import (
    CIFAR10,
    CIFAR10_PYTHON,
    CIFAR100,
    CIFAR100_PYTHON,
    TINY_IMAGENET,
)


def data_set(name: str) -> DataSet:
    """The entry called `name`.

    Raises
    ------
    ValueError
        If the catalogue has no such name.

    Examples
    --------
    >>> data_set("mnist").title
    'MNIST, handwritten digits'
    """
    if name not in CATALOGUE:
        raise ValueError(f"data set must be one of {', '.join(CATALOGUE)}, got {name!r}")
    return CATALOGUE[name]


_MNIST = DataSet(
    name="mnist",
    title="MNIST, handwritten digits",
    # The original page states no licence; this is the one that its users attribute to the authors.
    licence="CC BY-SA 3.0 (Yann LeCun, Corinna Cortes), as commonly stated",
    files=(
        DataFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            60_008,
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        DataFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
    # The original site comes last: for years it has mostly answered 403 or 404.
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
        "http://yann.lecun.com/exdb/mnist",
    ),
)

_FASHION_MNIST = DataSet(
    name="fashion-mnist",
    title="Fashion-MNIST, articles of clothing",
    licence="MIT (Zalando SE)",
    files=(
        DataFile(
            "train-images-idx3-ubyte",
            47_040_016,
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            60_008,
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        DataFile(
            "t10k-images-idx3-ubyte",
            7_840_016,
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            10_008,
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
    # The bucket's website has no https; the check sums make that harmless.
    mirrors=(
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    debian_package="dataset-fashion-mnist",
)

_FASHION_MNIST_SAMPLE = DataSet(
    name="fashion-mnist-sample",
    title="Fashion-MNIST, 5,000 + 1,000 images, shipped with the package",
    licence="MIT (Zalando SE)",
    files=(
        DataFile(
            "train-images-idx3-ubyte",
            3_920_016,
            "444ed5f7ce17397f236f5eba17dd507d3f6912f04edd3e4f1701cdf82f2cc0c5",
        ),
        DataFile(
            "train-labels-idx1-ubyte",
            5_008,
            "35d691216f65485d010cc635af5574a9dc04aa5060de9be64ab6e5cb5ead38e9",
        ),
        DataFile(
            "t10k-images-idx3-ubyte",
            784_016,
            "7cee33c3c6414b1b86c25e665a6c4f41584269de3b7cc9768b1d351922845eef",
        ),
        DataFile(
            "t10k-labels-idx1-ubyte",
            1_008,
            "3128d790775889812b73c4f13923559c8b9e281d112c6ea7862acf60a206a909",
        ),
    ),
    shipped=Path(__file__).parent / "sample",
)

CATALOGUE = {
    entry.name: entry
    for entry in (
        _MNIST,
        _FASHION_MNIST,
        _FASHION_MNIST_SAMPLE,
        CIFAR10,
        CIFAR10_PYTHON,
        CIFAR100,
        CIFAR100_PYTHON,
        TINY_IMAGENET,
    )
}
