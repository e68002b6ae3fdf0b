import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import data_loaders
from sparse_ref import cli, methods
from sparse_ref.experiments import compare as comparison
from sparse_ref.history import Epoch, History

PICTURES = {"learning_curves.png", "layer_densities.png", "input_connections.png"}
RECORDS = {"config.json", "environment.json", "metrics.jsonl", "results.csv"}


@pytest.fixture
def images(monkeypatch):
    """The shipped sample cut to 200 + 100 images, so that a run takes a blink."""
    train, test = data_loaders.fashion_mnist_sample()
    rng = np.random.default_rng(2018)
    few = [data_loaders.hold_out(part, n, rng)[1] for part, n in ((train, 200), (test, 100))]
    monkeypatch.setitem(cli.DATA, "fashion-mnist-sample", lambda: tuple(few))


def invoke(*arguments):
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


@pytest.fixture
def compared(images, tmp_path):
    folder = tmp_path / "run"
    result = invoke("compare", "--epochs", 2, "--seeds", 2, "--density", "0.1", "--out", folder)
    return result, folder


def test_compare_prints_a_line_per_method_and_density(compared):
    result, _ = compared
    assert result.exit_code == 0, result.output
    first_words = [line.split()[0] for line in result.output.splitlines() if line.strip()]
    assert [word for word in first_words if word in comparison.NAMES] == list(comparison.NAMES)


def test_compare_writes_its_records_and_pictures(compared):
    _, folder = compared
    assert {path.name for path in folder.iterdir()} == RECORDS | PICTURES
    for name in PICTURES:
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_compare_keeps_every_connection(compared):
    _, folder = compared
    with open(folder / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * len(comparison.NAMES)
    thinned = {name for name, cls in methods.ALL.items() if cls.starts_complete}
    for row in rows:
        before = "266200" if row["method"] in thinned else row["connections_after"]
        assert row["connections_before"] == before
    assert {row["connections_after"] for row in rows if row["method"] != "dense"} == {"26620"}


def test_compare_has_a_metric_line_per_epoch_and_run(compared):
    _, folder = compared
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 2 * 2 * len(comparison.NAMES)
    assert {(line["seed"], line["epoch"]) for line in lines} == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_the_environment_names_versions_and_no_machine(compared):
    _, folder = compared
    environment = json.loads((folder / "environment.json").read_text())
    assert set(environment["packages"]) >= {"numpy", "scipy", "numba"}
    assert not {"host", "hostname", "user", "node"} & set(environment)


def test_methods_start_from_the_same_network(images):
    data = cli._load(cli.parse({}))
    configs = comparison.grid({"epochs": 1}, ["static", "set"], [0.1], [3])
    static, set_ = comparison.compare(configs, data)
    np.testing.assert_array_equal(static.input_degrees[0], set_.input_degrees[0])
    assert static.history.steps[0] == set_.history.steps[0]


def test_the_table_shows_mean_and_spread_over_seeds(images):
    data = cli._load(cli.parse({}))
    configs = comparison.grid({"epochs": 1}, ["static"], [0.1], [3, 5, 8])
    results = list(comparison.compare(configs, data))
    (row,) = comparison.table(results)
    accuracies = [result.test.accuracy for result in results]
    assert row.accuracy_mean == pytest.approx(sum(accuracies) / 3)
    assert row.accuracy_std == pytest.approx(np.std(accuracies, ddof=1))


def test_train_writes_a_history_that_can_be_compared(images, tmp_path):
    for name in ("one", "two"):
        result = invoke("train", "--method", "set", "--epochs", 2, "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
    one, two = (History.load(tmp_path / name / "history.npz") for name in ("one", "two"))
    assert len(one.events) == 3  # one epoch ends before the last, three layers
    assert cli_first_difference(one, two) is None


def cli_first_difference(one, two):
    from sparse_ref import first_difference

    return first_difference(one, two)


def test_flags_amend_a_file(images, tmp_path):
    (tmp_path / "c.toml").write_text('epochs = 2\nseed = 4\n[method]\nname = "static"\n')
    result = invoke("train", tmp_path / "c.toml", "--seed", 9, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["epochs"], config["seed"], config["method"]["name"]) == (2, 9, "static")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--methods", "set,dragon"], "compare: methods must be among"),
        (["compare", "--density", "0.1,x"], "--density must be numbers separated by commas"),
        (["compare", "--density", "1.5"], "compare: model.density: "),
        (["compare", "--density", "0.1,0.1"], "densities must be one or more, none twice"),
        (["compare", "--methods", "set,set"], "methods must be one or more, none twice"),
        (["compare", "--seeds", 0], "compare: seeds must be one or more, none twice, got none"),
        (["compare", "--epochs", 0], "compare: epochs: "),
        (["compare", "--data", "imagenet"], "data: name must be one of"),
        (["train", "--density", "-1"], "train: model.density: "),
        (["train", "no-such.toml"], "config: no file no-such.toml in"),
        (["data", "verify", "imagenet"], "imagenet"),
    ],
)
def test_a_mistake_is_told_in_a_line(arguments, message, tmp_path):
    out = [] if arguments[0] == "data" else ["--out", tmp_path / "run"]
    result = invoke(*arguments, *out)
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_network_of_another_width_than_the_data_is_refused(tmp_path):
    (tmp_path / "c.toml").write_text("[model]\nsizes = [100, 10]\n")
    result = invoke("train", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "model.sizes: the first must be the 784 features" in result.output
    assert not (tmp_path / "run").exists()


def test_a_dense_network_can_be_trained_by_flag(images, tmp_path):
    result = invoke("train", "--density", "dense", "--epochs", 1, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "266,200 → 266,200" in result.output


def test_dense_is_a_method_by_flag_too(images, tmp_path):
    result = invoke("train", "--method", "dense", "--epochs", 1, "--out", tmp_path / "run")
    assert "266,200 → 266,200" in result.output


def test_numbers_are_whole_in_a_narrow_terminal(images, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    result = invoke("train", "--epochs", 1, "--out", tmp_path / "run")
    assert "26,620 → 26,620" in result.output
    assert "542,080" in result.output


def test_a_method_that_had_no_time_to_rewire_is_named(images, tmp_path):
    result = invoke("train", "--method", "rigl", "--epochs", 1, "--out", tmp_path / "run")
    assert "rigl never rewired" in result.output


def test_an_option_that_is_not_the_methods_own_stands_under_the_table(compared):
    result, _ = compared
    assert "set: grow_std = 0.01" in result.output


def test_an_interrupted_training_keeps_its_epochs(images, tmp_path, monkeypatch):
    def interrupted(config, data, callbacks):
        for number in (1, 2):
            epoch = Epoch(number, 0.5, 0.6, 0.7, (3,), 0.1)
            for callback in callbacks:
                callback(None, epoch, None)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run", interrupted)
    result = invoke("train", "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "interrupted" in result.output
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


def test_the_version_is_told():
    from sparse_ref import __version__

    assert invoke("--version").output == f"sparse-ref {__version__}\n"


def test_a_refused_command_writes_nothing(tmp_path):
    invoke("compare", "--methods", "dragon", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_never_overwritten(images, tmp_path):
    (tmp_path / "mine.txt").write_text("work")
    result = invoke("train", "--epochs", 1, "--out", tmp_path)
    assert (result.exit_code, (tmp_path / "mine.txt").read_text()) == (2, "work")
    assert "must be new or an empty folder" in result.output


def test_a_file_in_the_place_of_the_folder_is_refused(images, tmp_path):
    (tmp_path / "mine.txt").write_text("work")
    result = invoke("train", "--epochs", 1, "--out", tmp_path / "mine.txt")
    assert result.exit_code == 2
    assert "must be new or an empty folder" in result.output


def test_data_list_names_every_set():
    result = invoke("data", "list")
    assert result.exit_code == 0, result.output
    for name in cli.DATA:
        assert name in result.output


def test_data_list_says_what_is_a_part(monkeypatch, tmp_path):
    (tmp_path / "cifar-100-binary").mkdir()
    for name in ("train.bin", "test.bin"):
        (tmp_path / "cifar-100-binary" / name).write_bytes(bytes(3074))
    monkeypatch.setenv("SPARSE_REF_DATA", str(tmp_path))
    result = invoke("data", "list")
    assert result.exit_code == 0, result.output
    assert "".join(result.output.split()).count("(apartofit)") == 1
    result = invoke("data", "verify", "cifar100")
    assert result.exit_code == 1
    assert "train.bin: part: 1 of 50,000 examples" in result.output


def test_data_verify_says_ok_of_the_sample():
    result = invoke("data", "verify", "fashion-mnist-sample")
    assert result.exit_code == 0, result.output
    assert result.output.count(": ok") == 4


def test_data_verify_fails_on_a_difference(tmp_path):
    result = invoke("data", "verify", "mnist", "--folder", tmp_path)
    assert result.exit_code != 0


def test_the_command_names_a_missing_extra():
    code = "import sys; sys.modules['typer'] = None\nfrom sparse_ref.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'the command needs typer: pip install "sparse-ref[cli,config]"' in done.stderr


LENET = """
epochs = 1
[model]
name = "lenet_5"
options = { variant = "A" }
[method]
name = "static"
[data]
augment = "masks_2020"
"""


def test_a_convnet_is_trained_by_name_with_augmented_images(images, tmp_path):
    (tmp_path / "c.toml").write_text(LENET)
    (tmp_path / "plain.toml").write_text(LENET.replace('augment = "masks_2020"', ""))
    for name in ("c", "plain"):
        result = invoke("train", tmp_path / f"{name}.toml", "--out", tmp_path / name)
        assert result.exit_code == 0, result.output
        assert "lenet_5, variant A" in result.output
    with_, without = (History.load(tmp_path / name / "history.npz") for name in ("c", "plain"))
    assert (
        with_.epochs[0].connections == without.epochs[0].connections == (54, 196, 3645, 1430, 659)
    )
    assert with_.epochs[0].loss != without.epochs[0].loss


def test_an_augmentation_that_is_not_known_is_told_in_a_line(images, tmp_path):
    (tmp_path / "c.toml").write_text(LENET.replace("masks_2020", "mixup"))
    result = invoke("train", tmp_path / "c.toml", "--out", tmp_path / "run")
    assert result.exit_code == 2
    assert "augmentation: name must be one of" in result.output
