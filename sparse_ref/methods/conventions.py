"""Where the conventions come from, and the tables of what they set.

A convention is a bundle of options of a method by which a public code differs from the paper
(``Method.conventions``). Its name is a key of `SOURCES`; the tables are made from the bundles that
the methods use, so they cannot say anything else.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sparse_ref.methods.base import Method


class Source(NamedTuple):
    """What was read."""

    repository: str  # on GitHub, or the paper
    commit: str  # empty for a paper
    file: str


_BELLEC = Source("guillaumeBellec/deep_rewiring", "533e016", "")
SOURCES = {
    "paper": Source("the method's paper, as its docstring reads it", "", ""),
    "mocanu2018": Source("Mocanu et al. 2018, Nature Communications 9:2383", "", "algorithm 1"),
    "set-dcmocanu": Source(
        "dcmocanu/sparse-evolutionary-artificial-neural-networks",
        "62ac974",
        "SET-MLP-Sparse-Python-Data-Structures/set_mlp_sparse_data_structures.py",
    ),
    "set-keras": Source(
        "dcmocanu/sparse-evolutionary-artificial-neural-networks",
        "62ac974",
        "SET-MLP-Keras-Weights-Mask/set_mlp_keras_cifar10.py",
    ),
    "set-selimac": Source(
        "SelimaC/large-scale-sparse-neural-networks", "5ff15c3", "set_mlp_sequential.py"
    ),
    "algorithm-1": Source(
        "Bellec et al. 2018, as others account for it (not verified)", "", "algorithm 1"
    ),
    "deep-rewiring": _BELLEC._replace(file="script_mnist_deep_rewiring.py"),
    "deep-rewiring-global": _BELLEC._replace(
        file="script_mnist_deep_rewiring_with_global_constraint.py"
    ),
    "deep-rewiring-sparse": _BELLEC._replace(
        file="script_mnist_deep_rewiring_with_sparse_matrices.py"
    ),
    "intel-dsr": Source(
        "IntelAI/dynamic-reparameterization", "7fe9f43", "mnist_cifar/parameterized_tensors.py"
    ),
    "sparse-learning": Source(
        "TimDettmers/sparse_learning", "e19ff16", "sparselearning/core.py, sparselearning/funcs.py"
    ),
    "rigl-tf1": Source("google-research/rigl", "d39fc7d", "rigl/sparse_optimizers_base.py"),
    "rigl-tf2": Source("google-research/rigl", "d39fc7d", "rigl/rigl_tf2/mask_updaters.py"),
    "jaxpruner": Source(
        "google-research/jaxpruner", "f133ee5", "jaxpruner/algorithms/sparse_trainers.py"
    ),
    "rigl-torch": Source("nollied/rigl-torch", "34d19e4", "rigl_torch/RigL.py"),
    "rigl-reproducibility": Source(
        "varun19299/rigl-reproducibility",
        "97443be",
        "sparselearning/core.py, sparselearning/funcs/",
    ),
    "itop": Source(
        "Shiweiliuiiiiiii/In-Time-Over-Parameterization", "1b6a89e", "sparselearning/core.py"
    ),
    "contrib": Source(
        "tensorflow/tensorflow", "0519f21", "tensorflow/contrib/model_pruning/python/pruning.py"
    ),
    "tfmot": Source(
        "tensorflow/model-optimization",
        "05d87a3",
        "tensorflow_model_optimization/python/core/sparsity/keras/pruning_impl.py",
    ),
}
BEGIN, END = "<!-- conventions:begin -->", "<!-- conventions:end -->"


def options(method: type[Method], convention: str) -> dict[str, Any]:
    """What the options of `method` that any convention sets are under this one."""
    made: Any = method
    instance = made(convention=convention)
    names = dict.fromkeys(name for bundle in method.conventions.values() for name in bundle)
    return {name: getattr(instance, name) for name in names}


def table(method: type[Method]) -> str:
    """A Markdown table: an option a row, a convention a column, the paper first.

    Only options that differ somewhere; an empty cell is as in the paper.
    """
    columns = {name: options(method, name) for name in method.conventions}
    lines = ["| option | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for option, default in columns["paper"].items():
        if all(values[option] == default for values in columns.values()):
            continue
        cells = [
            f"`{_shown(values[option])}`" if name == "paper" or values[option] != default else ""
            for name, values in columns.items()
        ]
        lines.append(f"| `{option}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def all_tables(methods: Mapping[str, type[Method]]) -> dict[str, str]:
    """The table of each of `methods` (`methods.ALL`) that has conventions, by class name."""
    several = (cls for cls in methods.values() if len(cls.conventions) > 1)
    return {cls.__name__: table(cls) for cls in several}


def document(methods: Mapping[str, type[Method]]) -> str:
    """What the README says between its two marks: the tables, and what was read."""
    used = {
        name for cls in methods.values() if len(cls.conventions) > 1 for name in cls.conventions
    }
    parts = [f"**{name}**\n\n{text}" for name, text in all_tables(methods).items()]
    sources = [f"| {name} | {_cite(SOURCES[name])} |" for name in SOURCES if name in used]
    parts.append("\n".join(["| convention | read in |", "|---|---|", *sources]))
    return "\n".join([BEGIN, "", "\n\n".join(parts), "", END])


def _shown(value):
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _cite(source):
    if not source.commit:
        return ", ".join(part for part in (source.repository, source.file) if part)
    link = f"https://github.com/{source.repository}/tree/{source.commit}"
    return f"[{source.repository}]({link}), commit {source.commit}, `{source.file}`"
