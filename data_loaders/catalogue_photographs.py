"""The catalogue's entries of CIFAR-10, CIFAR-100 and Tiny-ImageNet."""

from data_loaders.catalogue_entry import Archive, DataFile, DataSet

# The page names no licence and asks for a citation of the report.
_CIFAR_LICENCE = "none stated; cite Krizhevsky 2009, Learning Multiple Layers of Features"
_CIFAR_MIRRORS = ("https://www.cs.toronto.edu/~kriz",)
_CIFAR10_TRAIN = tuple(f"data_batch_{k}" for k in range(1, 6))

# Check sums: the MD5 sums of the archives are on the page of the sets. Their SHA-256, and those of
# the files of the binary versions, are the ones that ankane/torchvision-ruby checks.
CIFAR10 = DataSet(
    name="cifar10",
    title="CIFAR-10, small colour photographs of 10 classes",
    licence=_CIFAR_LICENCE,
    files=tuple(
        DataFile(f"{name}.bin", 30_730_000, sha256)
        for name, sha256 in zip(
            (*_CIFAR10_TRAIN, "test_batch"),
            (
                "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
                "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
                "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
                "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
                "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
                "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
            ),
            strict=True,
        )
    ),
    mirrors=_CIFAR_MIRRORS,
    archive=Archive(
        "cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        "cifar-10-batches-bin",
    ),
    folder_names=("cifar-10-batches-bin",),
    groups=(tuple(f"{name}.bin" for name in _CIFAR10_TRAIN), ("test_batch.bin",)),
    record=1 + 3072,
)

# The files' MD5 sums are in torchvision; their SHA-256 are quoted beside those MD5 sums, or beside
# the archive's, by several who have the files.
CIFAR10_PYTHON = DataSet(
    name="cifar10-python",
    title="CIFAR-10, the version for Python (pickles)",
    licence=_CIFAR_LICENCE,
    files=tuple(
        DataFile(name, n_bytes, sha256)
        for name, n_bytes, sha256 in zip(
            (*_CIFAR10_TRAIN, "test_batch"),
            (31_035_704, 31_035_320, 31_035_999, 31_035_696, 31_035_623, 31_035_526),
            (
                "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
                "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
                "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
                "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
                "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
                "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
            ),
            strict=True,
        )
    ),
    mirrors=_CIFAR_MIRRORS,
    archive=Archive(
        "cifar-10-python.tar.gz",
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        "cifar-10-batches-py",
    ),
    folder_names=("cifar-10-batches-py",),
    groups=(_CIFAR10_TRAIN, ("test_batch",)),
)

CIFAR100 = DataSet(
    name="cifar100",
    title="CIFAR-100, small colour photographs of 100 classes in 20 groups",
    licence=_CIFAR_LICENCE,
    files=(
        DataFile(
            "train.bin",
            153_700_000,
            "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        ),
        DataFile(
            "test.bin",
            30_740_000,
            "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
        ),
    ),
    mirrors=_CIFAR_MIRRORS,
    archive=Archive(
        "cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        "cifar-100-binary",
    ),
    folder_names=("cifar-100-binary",),
    groups=(("train.bin",), ("test.bin",)),
    record=2 + 3072,
)

CIFAR100_PYTHON = DataSet(
    name="cifar100-python",
    title="CIFAR-100, the version for Python (pickles)",
    licence=_CIFAR_LICENCE,
    files=(
        DataFile(
            "train",
            155_249_918,
            "735e79b04f092ca3d2e6d07f368c0a7d70d48c48d28865950cc24454cf45129b",
        ),
        DataFile("test", None, "4b67687d9933c4db8f0831104447f15b93774f4f464bd0516f0f0f2ac83b7864"),
    ),
    mirrors=_CIFAR_MIRRORS,
    archive=Archive(
        "cifar-100-python.tar.gz",
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
        "cifar-100-python",
    ),
    folder_names=("cifar-100-python",),
)

TINY_IMAGENET = DataSet(
    name="tiny-imagenet",
    title="Tiny-ImageNet, photographs of 64 x 64 pixels of 200 classes",
    licence="as ImageNet: for non-commercial research and teaching",
    # Nobody publishes sums of the files inside the zip.
    files=(
        DataFile("wnids.txt", 2_000, None),
        DataFile("words.txt", None, None),
        DataFile("val/val_annotations.txt", None, None),
    ),
    page=(
        "http://cs231n.stanford.edu/tiny-imagenet-200.zip (SHA-256 "
        "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821)"
    ),
    folder_names=("tiny-imagenet-200",),
    groups=(("wnids.txt",), ("val/val_annotations.txt",)),
)
