"""What the paper's tables say of its convnets, in percent; None: not reported.

Columns are sparsity 0.9, 0.97, 0.99, each by ERK and uniform. Table 2 gives GGR 63.62 at sparsity
0.9 by ERK and table 3 gives 63.57; both are kept.
"""

from sparse_ref.experiments.parger_2022.grid import (
    BOTH,
    COLUMNS,
    DENSE,
    DSR,
    GGR,
    GGR_RIGL,
    GGR_SET,
    RIGL,
    SET,
)

Line = tuple[float | None, ...]

TABLE_1_VGG16: dict[str, Line] = {  # Tiny-ImageNet
    DENSE: (60.88,) * 6,
    SET: (61.04, 57.44, 57.04, 52.40, 53.14, 45.34),
    RIGL: (60.31, 58.31, 55.82, 52.40, 51.28, None),
    DSR: (59.94, 60.04, 57.13, 56.42, 53.47, None),
    GGR: (59.04, 58.65, 57.60, 56.95, 52.89, 52.30),
}
TABLE_1_RESNET18: dict[str, Line] = {  # CIFAR-100
    DENSE: (76.27,) * 6,
    SET: (74.18, 71.64, 70.13, 66.64, 63.45, 57.78),
    RIGL: (74.03, 72.15, 70.65, 68.31, 65.48, 60.81),
    DSR: (73.89, 73.47, 70.99, 70.17, 64.12, 63.77),
    GGR: (73.34, 72.83, 70.28, 70.71, 65.12, 64.41),
}
TABLE_1_MOBILENETV2: dict[str, Line] = {  # CIFAR-100
    DENSE: (69.15,) * 6,
    SET: (66.34, 55.31, 56.13, None, 25.75, None),
    RIGL: (67.02, 58.13, 58.96, None, 43.79, None),
    DSR: (68.26, 65.85, 61.11, None, 37.38, None),
    GGR: (66.79, 64.55, 60.57, None, 46.49, None),
}
TABLE_2: dict[str, Line] = {
    DENSE: (65.52,) * 6,
    SET: (63.73, 58.03, 56.58, 59.52, 47.45, 51.56),
    RIGL: (64.11, 59.61, 58.42, 60.36, 53.52, None),
    DSR: (64.14, 59.64, 58.57, 63.30, 51.66, None),
    GGR: (63.62, 62.11, 59.15, 63.83, 54.83, 58.36),
}
TABLE_3: dict[str, Line] = {
    SET: TABLE_2[SET],
    RIGL: TABLE_2[RIGL],
    BOTH: (63.97, 58.64, 57.23, 60.01, 51.61, None),
    GGR_SET: (64.07, 63.63, 57.33, 64.11, 46.53, 58.70),
    GGR_RIGL: (62.21, 60.20, 58.36, 62.96, 53.03, 59.44),
    GGR: (63.57, 62.11, 59.15, 63.83, 54.83, 58.36),
}
# Accuracy, empty neurons, empty inputs (%), Params* (millions), each by ERK and uniform.
TABLE_4_VGG16: dict[str, Line] = {
    SET: (57.04, 52.40, 31.9, 37.8, 41.5, 43.6, 17.4, 17.9),
    RIGL: (55.82, 52.40, 49.6, 61.7, 42.2, 53.6, 3.20, 3.27),
    DSR: (57.13, 56.42, 57.1, 68.2, 54.1, 64.2, 3.95, 1.91),
    GGR: (57.60, 56.95, 61.8, 70.2, 63.9, 56.2, 1.44, 3.33),
}
TABLE_4_MOBILENETV2: dict[str, Line] = {  # from uniform they learned nothing
    SET: (43.00, None, 50.2, 37.9, 54.4, 7.5, 2.48, 6.74),
    RIGL: (48.23, None, 68.6, 38.1, 73.7, 7.7, 0.89, 6.74),
    DSR: (45.06, None, 72.4, 37.5, 67.2, 7.8, 1.87, 6.74),
    GGR: (48.16, None, 71.5, 38.0, 70.5, 7.3, 1.22, 6.74),
}
PARAMETERS = {  # millions, section 4
    "MobileNetV2": 7.4,
    "MobileNetV2 x 1.8": 7.4,
    "ResNet-18": 22.4,
    "VGG16": 58.8,
    "VGG16, original": 138.0,
}


def at(table: dict[str, Line], method: str, sparsity: float, start: str) -> float | None:
    """A number of table 1, 2 or 3."""
    return table[method][COLUMNS.index((sparsity, start))]


def shortfall() -> float:
    """By how much table 3's GGR falls behind the better of its halves, in the worst column."""
    return max(
        max(a, b) - both
        for a, b, both in zip(TABLE_3[GGR_SET], TABLE_3[GGR_RIGL], TABLE_3[GGR], strict=True)
        if a is not None and b is not None and both is not None
    )
