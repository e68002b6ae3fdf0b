import json

import numpy as np
import pytest

from sparse_ref import methods, optim, schedules
from sparse_ref.experiments.config import ConfigError, RunConfig, merged, parse, read_file
from sparse_ref.experiments.runner import Data, run, warm_up
from sparse_ref.models import MODELS


def test_an_empty_configuration_is_the_default():
    assert parse({}) == RunConfig()


def test_a_dense_network_can_be_said_in_a_file():
    assert parse({"model": {"density": "dense"}}).model.density is None


def test_a_configuration_survives_json():
    config = parse({"method": {"name": "set", "options": {"drop_fraction": 0.2}}, "seed": 5})
    assert parse(json.loads(config.model_dump_json())) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "config: epoch is not a setting"),
        ({"model": {"densty": 0.1}}, "config: model.densty is not a setting"),
        ({"model": {"density": 1.5}}, "config: model.density: .*less than or equal to 1, got 1.5"),
        ({"model": {"density": "much"}}, "config: model.density: .*number.*, got 'much'"),
        ({"method": {"name": "rigel"}}, "config: method.name must be one of .*, got 'rigel'"),
        (
            {"method": {"name": "set", "options": {"every_": 3}}},
            "config: method.options.every_ is not an option of set",
        ),
        (
            {"method": {"name": "rigl", "options": {"drop_fraction": 2}}},
            r"config: method: RigL: drop_fraction must be in \[0, 1\], got 2",
        ),
        ({"optimizer": {"name": "lion"}}, "config: optimizer.name: .*'sgd' or 'adam', got 'lion'"),
        (
            {"method": {"name": "set", "options": {"drop_fraction": "a"}}},
            "config: method.options: SET: drop_fraction must be a number or a schedule, got str",
        ),
        (
            {"method": {"name": "set", "options": {"grow_std": "a"}}},
            "config: method.options: SET: grow_std must be a number, got str",
        ),
        ({"model": {"sizes": [784]}}, "config: model.sizes: .*at least 2 items"),
        (
            {"model": {"sizes": [784, 0]}},
            "config: model.sizes.1: .*greater than or equal to 1, got 0",
        ),
        ({"model": {"dense": [7]}}, r"config: model.dense must name layers in \[-3, 3\), got 7"),
        ({"model": {"initialisation": "best"}}, "config: model.initialisation: .*, got 'best'"),
        ({"model": {"fan": "out"}}, "config: model.fan: .*'shape', 'nnz' or 'layer', got 'out'"),
        ({"optimizer": {"step_factor": 2}}, "config: optimizer.step_factor: .*, got 2"),
        (
            {"optimizer": {"step_epochs": [3, 3]}},
            r"config: optimizer.step_epochs: epochs must be positive and ascending, got \[3, 3\]",
        ),
        (
            {"optimizer": {"learning_rate": float("inf")}},
            "config: optimizer.learning_rate: .*finite number, got inf",
        ),
        ({"epochs": 0}, "config: epochs: .*greater than or equal to 1, got 0"),
        ({"batch_size": 2.5}, "config: batch_size: .*integer.*, got 2.5"),
        ({"data": "mnist"}, "config: data: .*, got 'mnist'"),
        (
            {"model": {"distribution": "even"}},
            r"config: model.distribution: must be one of \[.*'erk'.*\], or counts, "
            "got 'even'",
        ),
        ({"model": {"loss": "hinge"}}, "config: model.loss: .*, got 'hinge'"),
        ({"model": {"draw": "coin"}}, "config: model.draw: .*, got 'coin'"),
        ({"model": {"dropout_rule": "none"}}, "config: model.dropout_rule: .*, got 'none'"),
        (
            {"model": {"distribution": [5, 6]}},
            "config: model.distribution must hold a count for each of 3 sparse layers, got 2",
        ),
        (
            {"model": {"distribution": [5, 6, 7], "dense": [-1]}},
            "config: model.distribution must hold a count for each of 2 sparse layers, got 3",
        ),
        (
            {"model": {"distribution": [5, 6, 7], "density": "dense"}},
            "config: model.distribution must be a name in a dense network, got counts",
        ),
        (
            {"model": {"name": "resnet99"}},
            "config: model.name: .*'mlp', 'lenet_300_100'.*, got 'resnet99'",
        ),
        (
            {"model": {"name": "resnet18", "options": {"depth": 34}}},
            r"config: model.options.depth is not an option of resnet18: \['classes', 'image', "
            r"'width', 'stem'\]",
        ),
        (
            {"model": {"options": {"width": 2}}},
            r"config: model.options.width is not an option of mlp: \[\]",
        ),
        (
            {"model": {"name": "resnet18", "activation": "srelu"}},
            "config: model.name 'resnet18' settles activation, got srelu",
        ),
        ({"optimizer": {"bias_factor": 0}}, "config: optimizer.bias_factor: .*, got 0"),
        ({"optimizer": {"decay": "l1"}}, "config: optimizer.decay: .*, got 'l1'"),
    ],
)
def test_a_bad_setting_is_refused_by_its_path(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(settings)


def test_a_network_may_be_named():
    options = {"width": 0.125, "classes": 3, "image": [1, 8, 8]}
    model = parse({"model": {"name": "resnet18", "options": options, "density": 0.2}}).model
    net = model.build(np.random.default_rng(2401))
    assert net.shape == (1, 8, 8)
    assert net.n_out == 3
    assert net.density == pytest.approx(0.2, abs=1e-3)
    same = model.build(np.random.default_rng(2402), structure=net)
    assert same.connections == net.connections
    assert model.title == "resnet18, width 0.125, classes 3, image [1, 8, 8]"
    assert parse({}).model.title == "784-300-100-10"


def test_dense_layers_are_the_models_choice_unless_named():
    named = {"name": "mobilenet_v2", "options": {"width": 0.25}}
    counts = [
        len(parse({"model": named | dense}).model.build(np.random.default_rng(2403)).sparse_layers)
        for dense in ({}, {"dense": []}, {"dense": [-1]})
    ]
    assert counts == [53 - 18, 53, 52]


def test_every_named_network_can_be_configured():
    small = {"alexnet": 0.05, "vgg11": 0.05, "vgg16": 0.05, "vgg16_tiny_imagenet": 0.05}
    for name in MODELS:
        options = {"width": small[name]} if name in small else {}
        model = parse({"model": {"name": name, "options": options, "density": 0.01}}).model
        assert model.build(np.random.default_rng(2404)).density < 0.1


def test_a_named_network_is_trained():
    rng = np.random.default_rng(2405)
    data = rng.random((24, 28, 28)), rng.integers(0, 10, 24)
    settings = {"model": {"name": "lenet_5"}, "epochs": 2, "batch_size": 9}
    config = parse(settings | {"method": {"name": "rigl", "options": {"every": 2}}})
    warm_up(9, examples=24, model=config.model)
    result = run(config, Data(data, data, data))
    assert result.positions == (54, 864, 48_000, 10_080, 840)
    assert sum(result.connections[1]) == round(0.1 * sum(result.positions))
    assert len(result.history.epochs) == 2
    assert [degrees.shape for degrees in result.input_degrees] == [(9,), (9,)]


def test_all_offences_are_listed_at_once():
    with pytest.raises(ConfigError) as error:
        parse({"epoch": 3, "model": {"density": 7}})
    assert len(str(error.value).splitlines()) == 2


def test_until_becomes_the_methods_stop():
    method = parse({"method": {"name": "set", "until": 0.5}}).method.build(steps=1000)
    assert method == methods.SET(stop=500)


def test_the_option_stop_overrules_until():
    settings = {"method": {"name": "set", "until": 0.5, "options": {"stop": 30}}}
    assert parse(settings).method.build(steps=1000) == methods.SET(stop=30)


def test_a_convention_is_passed_on():
    settings = {"method": {"name": "rigl", "convention": "jaxpruner", "until": 0.5}}
    method = parse(settings).method.build(steps=1000)
    assert method == methods.RigL(stop=500, convention="jaxpruner")
    assert method != methods.RigL(stop=500)


def test_options_overrule_the_convention():
    options = {"rounding": "ceil"}
    settings = {"method": {"name": "set", "convention": "rigl-tf1", "options": options}}
    method = parse(settings).method.build(steps=100)
    assert method == methods.SET(convention="rigl-tf1", rounding="ceil")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"method": {"name": "rigl", "convention": "tf3"}},
            r"^config: method.convention must be one of \['paper', 'rigl-tf1', .*\], got 'tf3'$",
        ),
        (
            {"method": {"name": "static", "convention": "rigl-tf1"}},
            r"^config: method.convention must be one of \['paper'\], got 'rigl-tf1'$",
        ),
        (
            {"method": {"name": "set", "options": {"convention": "rigl-tf1"}}},
            "^config: method.options.convention is not an option of set",
        ),
    ],
)
def test_a_convention_that_a_method_has_not_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        parse(settings)


def test_the_paper_is_a_convention_of_every_method():
    for name in methods.ALL:
        settings = {"method": {"name": name, "convention": "paper"}}
        assert parse(settings) == parse({"method": {"name": name}})


def test_an_option_is_judged_as_in_a_long_training():
    # `until` of a training of a few steps would come before `start`.
    settings = {"method": {"name": "rigl", "options": {"start": 200}}}
    assert parse(settings).method.build(steps=1000).start == 200


def test_a_method_without_stop_ignores_until():
    assert parse({"method": {"name": "static"}}).method.build(steps=9) == methods.Static()


def test_schedules_are_built_in_steps():
    optimizer = {
        "schedule": "step",
        "step_epochs": [2, 3],
        "learning_rate": 1.0,
        "step_factor": 0.5,
    }
    rate = parse({"optimizer": optimizer}).optimizer.build(10, 50).learning_rate
    assert [rate(t) for t in (20, 21, 30, 31)] == [1.0, 0.5, 0.5, 0.25]


def test_warm_up_wraps_the_schedule():
    rate = parse({"optimizer": {"warmup_epochs": 2}}).optimizer.build(10, 50).learning_rate
    assert rate == schedules.Warmup(schedules.Cosine(0.05, stop=50), 20)


def test_counts_and_loss_reach_the_network():
    model = {"sizes": [5, 4, 3], "distribution": [7, 6], "loss": "sigmoid_squared_error"}
    net = parse({"model": model}).model.build(np.random.default_rng(7))
    assert (net.connections, net.loss) == ((7, 6), "sigmoid_squared_error")


def test_sgd_is_built_with_the_factor_of_its_biases():
    optimizer = {"schedule": "constant", "decay": "unscaled", "bias_factor": 0.25}
    built = parse({"optimizer": optimizer}).optimizer.build(10, 50)
    assert built == optim.sgd(0.05, 0.9, True, 1e-3, "unscaled", 0.25)


def test_adam_is_built_with_its_decay():
    optimizer = {"name": "adam", "learning_rate": 0.002, "decay": "decoupled"}
    built = parse({"optimizer": optimizer}).optimizer.build(10, 50)
    assert (type(built).__name__, built.decay, built.weight_decay) == ("Adam", "decoupled", 1e-3)


def test_a_constant_rate_is_constant():
    rate = parse({"optimizer": {"schedule": "constant"}}).optimizer.build(10, 50).learning_rate
    assert rate == schedules.Constant(0.05)


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "a.toml").write_text("seed = 3\n[model]\ndensity = 0.2\n")
    (tmp_path / "a.json").write_text('{"seed": 3, "model": {"density": 0.2}}')
    assert read_file(tmp_path / "a.toml") == read_file(tmp_path / "a.json")


def test_a_missing_file_is_named_with_its_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"config: no file b.toml in {tmp_path}"):
        read_file(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "seed: 3", "config: a file must end in .toml or .json, got a.yaml"),
        ("a.toml", "seed = ", "a.toml is not valid TOML: "),
        ("a.json", "{", "a.json is not valid JSON: "),
        ("a.json", "[1]", r"a.json must hold a table of settings, got \[1\]"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_file(tmp_path / name)


def test_merging_leaves_the_original_alone():
    settings = {"model": {"density": 0.1, "dropout": 0.2}}
    assert merged(settings, "model.density", 0.3) == {"model": {"density": 0.3, "dropout": 0.2}}
    assert settings == {"model": {"density": 0.1, "dropout": 0.2}}


@pytest.mark.parametrize(
    ("settings", "stop"),
    [
        ({"name": "rigl"}, 750),
        ({"name": "rigl", "options": {"until": 1.0}}, 1000),
        ({"name": "rigl", "convention": "itop"}, 1000),
        ({"name": "ggr"}, 501),
        ({"name": "set"}, 1000),
        ({"name": "set", "until": 0.5}, 500),
    ],
)
def test_without_until_events_end_where_method_and_convention_say(settings, stop):
    method = parse({"method": settings}).method.build(steps=1000)
    assert method.bind(methods.Run(100, 1000)).stop == stop
