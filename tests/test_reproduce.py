"""The command ``reproduce`` and its framework, with a recipe that takes a blink."""

import csv
import json
import re

import numpy as np
import pytest
from matplotlib.figure import Figure as Picture
from typer.testing import CliRunner

from sparse_ref import cli
from sparse_ref.experiments import reproduce as framework
from sparse_ref.experiments import sweep as sweeping
from sparse_ref.experiments.config import ConfigError, parse
from sparse_ref.experiments.output import write_json
from sparse_ref.experiments.recipe import Claim, Figure, Report, Table, drawn, parted
from sparse_ref.experiments.report import report_text
from sparse_ref.experiments.reproduce import RECIPES, order, reproduce
from sparse_ref.experiments.runner import Data
from sparse_ref.experiments.sweep import Job

RECORDS = {"config.json", "environment.json", "results.csv", "metrics.jsonl"}
FILES = RECORDS | {"report.json", "report.txt", "a.png"}


def images(n=48):
    rng = np.random.default_rng(141)
    return (rng.random((n, 6)), rng.integers(0, 3, n)), (rng.random((20, 6)), np.arange(20) % 3)


def absent():
    raise FileNotFoundError("fashion-mnist: no file in /nowhere\nhow to get it")


LOADERS = {"fashion-mnist": images, "fashion-mnist-sample": images}


def job(seed, rate=0.1, name="static"):
    config = {
        "model": {"sizes": [6, 5, 3], "density": 0.5},
        "method": {"name": "static"},
        "optimizer": {"learning_rate": rate, "schedule": "constant"},
        "epochs": 2,
        "batch_size": 16,
        "seed": seed,
    }
    return Job(name, parse(config), curve=True)


def recipe(jobs):
    def run(context):
        found = context.images("fashion-mnist")
        outcomes = context.train(jobs(context), {"data": Data(found.train, None, found.test)})
        accuracies = [outcome.test.accuracy for outcome in outcomes]
        return Report(
            tables=[Table("Accuracies", ("seed", "%"), (("1", "50.00"),))],
            claims=[Claim("it learns", "it learnt", True)],
            pictures={"a.png": Picture()},
            notes=["a note"],
            numbers={"accuracies": np.array(accuracies), "context": context.scale},
        )

    return run


@pytest.fixture(autouse=True)
def fake(monkeypatch):
    """Recipes of a blink; `two` has two figures."""
    one = Figure("One figure", "Nobody 2020", recipe(lambda c: [job(s) for s in c.seed_numbers(3)]))
    bad = Figure("Diverges", "Nobody", recipe(lambda c: [job(1), job(2, 1e30, "wild")]))
    monkeypatch.setitem(RECIPES, "fake", {"fig1": one})
    monkeypatch.setitem(RECIPES, "two", {"fig1": one, "fig2": bad})


def read(folder, name):
    return json.loads((folder / name).read_text())


def rows(folder):
    with open(folder / "results.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_in_the_folder(tmp_path):
    reproduce(order("fake", None, "laptop"), LOADERS, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert (tmp_path / "out" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_configuration_tells_all_runs(tmp_path):
    reproduce(order("fake", "fig1", "laptop", seeds=2, workers=0), LOADERS, tmp_path / "out")
    config = read(tmp_path / "out", "config.json")
    assert config["command"] == {
        "recipe": "fake",
        "figure": "fig1",
        "scale": "laptop",
        "seeds": 2,
        "workers": 0,
    }
    assert [parse(entry["config"]) for entry in config["runs"]] == [job(1).config, job(2).config]


def test_every_training_has_a_line(tmp_path):
    report = reproduce(order("fake", None, "laptop", workers=0), LOADERS, tmp_path / "out")
    lines = rows(tmp_path / "out")
    assert [line["seed"] for line in lines] == ["1", "2", "3"]
    assert [float(line["test_accuracy"]) for line in lines] == list(report.numbers["accuracies"])
    assert {line["failure"] for line in lines} == {""}


def test_every_epoch_has_a_line(tmp_path):
    reproduce(order("fake", None, "laptop", workers=0), LOADERS, tmp_path / "out")
    text = (tmp_path / "out" / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["seed"], line["epoch"]) for line in lines] == [
        (seed, epoch) for seed in (1, 2, 3) for epoch in (1, 2)
    ]
    finals = [line["test_accuracy"] for line in lines if line["epoch"] == 2]
    assert finals == [float(line["test_accuracy"]) for line in rows(tmp_path / "out")]
    assert {line["validation_accuracy"] for line in lines} == {None}


def test_the_report_is_in_json(tmp_path):
    reproduce(order("fake", None, "laptop", workers=0), LOADERS, tmp_path / "out")
    report = read(tmp_path / "out", "report.json")
    assert (report["title"], report["source"]) == ("One figure", "Nobody 2020")
    claim = {"paper": "it learns", "measured": "it learnt", "agrees": True, "why": ""}
    assert report["claims"] == [claim]
    assert len(report["numbers"]["accuracies"]) == 3


def test_a_training_that_diverges_is_noted_and_the_others_go_on(tmp_path):
    report = reproduce(order("two", "fig2", "laptop", workers=0), LOADERS, tmp_path / "out")
    assert [line["failure"].split(":")[0] for line in rows(tmp_path / "out")] == ["", "diverged"]
    assert any(note.startswith("wild, density 0.5, seed 2: diverged") for note in report.notes)
    assert read(tmp_path / "out", "report.json")["numbers"]["accuracies"][1] is None
    assert rows(tmp_path / "out")[1]["test_accuracy"] == ""


def test_what_is_interrupted_keeps_the_trainings_that_ended(tmp_path, monkeypatch):
    def interrupted(jobs, data, workers):
        yield from [(k, sweeping.train(jobs[k], data["data"])) for k in (0, 1)]
        raise KeyboardInterrupt

    monkeypatch.setattr(framework, "sweep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reproduce(order("fake", None, "laptop"), LOADERS, tmp_path / "out")
    assert [line["seed"] for line in rows(tmp_path / "out")] == ["1", "2"]
    assert len(read(tmp_path / "out", "config.json")["runs"]) == 3


def test_smoke_judges_nothing_and_takes_the_sample(tmp_path):
    loaders = {"fashion-mnist": absent, "fashion-mnist-sample": images}
    report = reproduce(order("fake", None, "smoke", workers=0), loaders, tmp_path / "out")
    assert report.claims[0].agrees is None
    assert "trained on fashion-mnist-sample, as always at scale smoke" in report.notes


def test_the_sample_stands_in_with_a_note(tmp_path):
    loaders = {"fashion-mnist": absent, "fashion-mnist-sample": images}
    report = reproduce(order("fake", None, "laptop", workers=0), loaders, tmp_path / "out")
    note = "trained on fashion-mnist-sample, since fashion-mnist: no file in /nowhere"
    assert note in report.notes
    assert report.claims[0].agrees is True


def test_data_without_a_sample_are_missed(tmp_path):
    with pytest.raises(FileNotFoundError, match="how to get it"):
        reproduce(order("fake", None, "laptop"), {"fashion-mnist": absent}, tmp_path / "out")


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("work")
    with pytest.raises(FileExistsError, match="must be new or an empty folder"):
        reproduce(order("fake", None, "laptop"), LOADERS, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dragon", None, "smoke"), "reproduce: recipe must be one of [..., got 'dragon'"),
        (
            ("fake", "fig9", "smoke"),
            "reproduce: figure must be one of ['fig1'] of fake, got 'fig9'",
        ),
        (
            ("two", None, "smoke"),
            "reproduce: figure must be one of ['fig1', 'fig2'] of two, got none",
        ),
        (
            ("fake", "fig1", "huge"),
            "reproduce: scale must be one of ['smoke', 'laptop', 'paper'], got 'huge'",
        ),
        (("fake", "fig1", "smoke", 0), "reproduce: seeds must be at least 1, got 0"),
        (("fake", "fig1", "smoke", 1, -1), "reproduce: workers must be at least 0, got -1"),
    ],
)
def test_a_wrong_order_is_refused(arguments, message):
    pattern = re.escape(message).replace(re.escape("[..."), ".*")
    with pytest.raises(ConfigError, match=f"^{pattern}$"):
        order(*arguments)


# The command --------------------------------------------------------------------------------------


def invoke(*arguments):
    return CliRunner().invoke(cli.app, ["reproduce", *(str(a) for a in arguments)])


@pytest.fixture
def loaders(monkeypatch):
    for name, loader in LOADERS.items():
        monkeypatch.setitem(cli.DATA, name, loader)


def test_without_a_recipe_all_are_listed():
    result = invoke()
    assert result.exit_code == 0
    for recipe_name, figures in RECIPES.items():
        for figure in figures:
            assert f"{recipe_name} {figure}: " in result.output


def test_the_command_prints_what_report_txt_holds(loaders, tmp_path):
    result = invoke("fake", "--scale", "laptop", "--out", tmp_path / "out", "--workers", 0)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "report.txt").read_text()
    assert text in result.output
    assert "verdict:  agrees" in text


def test_seeds_may_be_asked_for(loaders, tmp_path):
    options = ("--seeds", 2, "--workers", 0)
    invoke("fake", "fig1", "--scale", "laptop", "--out", tmp_path / "out", *options)
    assert [line["seed"] for line in rows(tmp_path / "out")] == ["1", "2"]


def test_a_mistake_is_told_in_a_line_and_writes_nothing(tmp_path):
    result = invoke("dragon", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "reproduce: recipe must be one of" in result.output
    assert not (tmp_path / "out").exists()


def test_an_interrupted_command_says_what_is_left(loaders, tmp_path, monkeypatch):
    def interrupted(jobs, data, workers):
        yield 0, sweeping.train(jobs[0], data["data"])
        raise KeyboardInterrupt

    monkeypatch.setattr(framework, "sweep", interrupted)
    result = invoke("fake", "--scale", "laptop", "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert "interrupted" in result.output
    assert len(rows(tmp_path / "out")) == 1


# Report and parts ---------------------------------------------------------------------------------


def text_of(claim):
    return report_text(Figure("Title", "Source", lambda context: Report()), Report(claims=[claim]))


def test_a_claim_that_fails_is_told_plainly():
    assert "verdict:  does NOT agree" in text_of(Claim("up", "down", False))


def test_a_claim_that_cannot_be_decided_says_why():
    claim = Claim("up", "level", None, "one training has no spread")
    assert "verdict:  cannot be decided: one training has no spread" in text_of(claim)


def test_numbers_in_a_table_are_never_cut():
    wide = Table(
        "Wide", tuple(f"c{k}" for k in range(30)), (tuple("1234567890" for _ in range(30)),)
    )
    text = report_text(Figure("T", "S", lambda context: Report()), Report(tables=[wide]), width=40)
    assert text.count("1234567890") == 30


def test_json_has_plain_numbers_only(tmp_path):
    content = {0.5: np.float32(0.5), "nan": float("nan"), "array": np.arange(2), "tuple": (1, None)}
    write_json(tmp_path / "a.json", content)
    plain = {"0.5": 0.5, "nan": None, "array": [0, 1], "tuple": [1, None]}
    assert json.loads((tmp_path / "a.json").read_text()) == plain


def test_drawn_examples_are_of_the_part_and_none_twice():
    x, y = np.arange(30)[:, None], np.arange(30) % 7
    some_x, some_y = drawn((x, y), 12, np.random.default_rng(142))
    assert len({*some_x[:, 0]}) == 12
    np.testing.assert_array_equal(some_y, some_x[:, 0] % 7)


def test_more_examples_than_there_are_is_all_of_them():
    x, y = np.arange(5)[:, None], np.arange(5)
    assert sorted(drawn((x, y), 9, np.random.default_rng(143))[1]) == [0, 1, 2, 3, 4]


def test_a_part_in_two():
    x, y = np.arange(30)[:, None], np.arange(30)
    kept, held_out = parted((x, y), 0.2, np.random.default_rng(144))
    assert (len(kept[1]), len(held_out[1])) == (24, 6)
    assert sorted([*kept[1], *held_out[1]]) == list(range(30))
    np.testing.assert_array_equal(held_out[0][:, 0], held_out[1])


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1])
def test_a_part_in_two_needs_a_fraction(fraction):
    rule = f"parted: fraction must be in (0, 1), got {fraction}"
    with pytest.raises(ValueError, match=re.escape(rule)):
        parted(images()[0], fraction, np.random.default_rng(145))
