"""The README's program does what its comments say, and its two commands are what they claim."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def run(program):
    """What a program prints, and what the comments beside its prints say."""
    lines = []
    exec(program, {"print": lambda *values: lines.append(" ".join(map(str, values)))})
    return lines, re.findall(r"^print\(.*?\)\s+# (.*)$", program, re.MULTILINE)


@pytest.fixture(scope="module")
def printed():
    return run(PROGRAMS[0])


def test_what_is_said_of_topologies_is_printed():
    lines, claimed = run(PROGRAMS[1])
    assert len(lines) == 6
    assert lines == claimed


def test_what_is_said_of_pruning_is_printed():
    lines, claimed = run(PROGRAMS[2])
    assert len(lines) == 2
    assert lines == claimed


def test_what_is_said_of_convolutions_is_printed():
    lines, claimed = run(PROGRAMS[3])
    assert len(PROGRAMS) == len(claimed) == 4
    assert [lines[0], *lines[2:]] == [claimed[0], *claimed[2:]]
    # 1,000 test images: two standard errors are 2.4 points.
    assert float(lines[1]) == pytest.approx(float(claimed[1].removeprefix("about ")), abs=0.025)


def test_the_program_prints_as_often_as_it_says(printed):
    lines, claimed = printed
    assert len(lines) == len(claimed) == 4


def test_the_connections_are_those_of_the_comment_before_and_after(printed):
    lines, claimed = printed
    assert lines[:2] == claimed[:2]
    assert lines[0] == lines[1]


def test_the_accuracy_is_about_what_the_comment_says(printed):
    # 1,000 test images: two standard errors are 2.4 points.
    lines, claimed = printed
    assert float(lines[2]) == pytest.approx(float(claimed[2].removeprefix("about ")), abs=0.025)


def test_the_bytes_are_those_of_the_comment(printed):
    lines, claimed = printed
    ours, dense = (int(n.replace(",", "")) for n in re.findall(r"[\d,]{5,}", claimed[3]))
    assert int(lines[3]) == ours
    assert dense == 4 * 266_610


def test_every_method_has_a_row_in_the_table():
    from sparse_ref import methods

    for method in methods.ALL.values():
        assert f"| `{method.__name__}` |" in README


def test_the_configuration_shown_is_accepted():
    import tomllib

    from sparse_ref.experiments.config import parse

    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert parse(tomllib.loads(text)).method.name == "rigl"


def test_the_conventions_are_those_of_the_code():
    from sparse_ref.methods import ALL, conventions

    assert conventions.document(ALL) in README
