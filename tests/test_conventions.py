"""Conventions: each is named, was read somewhere, can be built, and does something."""

from dataclasses import InitVar, dataclass, fields
from typing import ClassVar

import numpy as np
import pytest

from sparse_ref import Linear, Network, ReLU, csr, fit, optim
from sparse_ref.methods import ALL, Method, conventions
from sparse_ref.methods.base import conventional

PAIRS = [(name, convention) for name, cls in ALL.items() for convention in cls.conventions]
every_convention = pytest.mark.parametrize(("name", "convention"), PAIRS)
NOT_THE_PAPER = [pair for pair in PAIRS if pair[1] != "paper"]


@conventional
@dataclass(frozen=True)
class Example(Method):
    """A method of which three codes are public."""

    rounding: str = "floor"
    noise: float = 0.0
    stop: int | None = None
    strict: bool = True
    convention: InitVar[str] = "paper"

    conventions: ClassVar = {
        "paper": {},
        "one": {"rounding": "ceil", "noise": 1e-05, "strict": True},
        "two": {"stop": 7, "strict": True},
    }


TABLE = """\
| option | paper | one | two |
|---|---|---|---|
| `rounding` | `'floor'` | `'ceil'` |  |
| `noise` | `0` | `1e-05` |  |
| `stop` | `None` |  | `7` |"""


def test_a_table_has_the_options_that_differ_and_the_paper_first():
    # `strict` is named by two bundles, but is everywhere as in the paper.
    assert conventions.table(Example) == TABLE


def test_the_options_of_a_convention_are_those_that_any_sets():
    assert conventions.options(Example, "two") == {
        "rounding": "floor",
        "noise": 0.0,
        "strict": True,
        "stop": 7,
    }


def test_a_method_with_the_paper_alone_has_no_table():
    assert list(conventions.all_tables({"example": Example, "other": Method})) == ["Example"]
    assert conventions.all_tables({"example": Example}) == {"Example": TABLE}


def test_the_document_stands_between_its_marks():
    text = conventions.document(ALL)
    assert text.startswith("<!-- conventions:begin -->\n\n**")
    assert text.endswith("|\n\n<!-- conventions:end -->")
    assert text.count("<!--") == 2
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_the_document_holds_every_table_and_every_source():
    text = conventions.document(ALL)
    for name, table in conventions.all_tables(ALL).items():
        assert f"**{name}**\n\n{table}\n\n" in text
    sources = text[text.index("| convention | read in |") :]
    assert {name for _, name in PAIRS} == {
        line.split(" | ")[0].removeprefix("| ") for line in sources.splitlines()[2:-2]
    }


def test_a_source_is_cited_with_its_commit():
    line = "| rigl-torch | [nollied/rigl-torch](https://github.com/nollied/rigl-torch/tree/34d19e4)"
    assert f"{line}, commit 34d19e4, `rigl_torch/RigL.py` |" in conventions.document(ALL)


@every_convention
def test_a_convention_was_read_somewhere(name, convention):
    source = conventions.SOURCES[convention]
    assert source.repository
    if source.commit:
        assert "/" in source.repository
        assert len(source.commit) == 7
        assert source.file


def test_no_source_is_left_over():
    assert set(conventions.SOURCES) == {convention for _, convention in PAIRS}


@every_convention
def test_a_convention_sets_options_that_exist(name, convention):
    known = {field.name for field in fields(ALL[name])}
    assert set(ALL[name].conventions[convention]) <= known


@pytest.mark.parametrize("name", ALL)
def test_the_paper_is_first_and_sets_nothing(name):
    assert next(iter(ALL[name].conventions)) == "paper"
    assert ALL[name].conventions["paper"] == {}


def trained(name, convention):
    """Positions and weights after a short training: inputs that are always dark, and many ties."""
    rng = np.random.default_rng(419)
    shapes = (12, 14), (12, 12), (5, 12)
    weights = []
    for shape in shapes:
        present = rng.random(shape) < 0.45
        values = np.abs(rng.integers(-6, 7, shape) / 10) * present  # few magnitudes, some zero
        values[:, ::2] *= shape != shapes[0]  # half of the first layer: what zeros do is seen
        weights.append(csr.from_dense(values, present))
    net = Network([part for w in weights for part in (Linear(w), ReLU())][:-1])
    x, y = rng.random((60, 14)), rng.integers(0, 5, 60)
    x[:, ::2] = 0  # nothing moves the weights there
    offered = {"every": 3, "density": 0.35}  # gradual: so that of equals some stay in the end
    options = {k: v for k, v in offered.items() if k in {field.name for field in fields(ALL[name])}}
    if convention != "paper":
        options["convention"] = convention
    fit(
        net,
        (x, y),
        method=ALL[name](**options),
        optimizer=optim.sgd(0.02, momentum=0.9),
        epochs=5,
        batch_size=10,
        rng=np.random.default_rng(421),
    )
    weights = [layer.weight for layer in net.sparse_layers]
    return [part for weight in weights for part in (csr.flat(weight), weight.data)]


@pytest.mark.parametrize(("name", "convention"), NOT_THE_PAPER)
def test_a_convention_changes_a_training(name, convention):
    pairs = zip(trained(name, "paper"), trained(name, convention), strict=True)
    assert not all(np.array_equal(a, b) for a, b in pairs)
