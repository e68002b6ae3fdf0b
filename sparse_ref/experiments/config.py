"""The configuration of one training: what a file or the command line may say, and nothing else.

A file is TOML or JSON. An unknown key, a wrong type or an impossible value is refused with its
path in the file (``method.options.drop_fraction``).
"""

import dataclasses
import json
import os
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from sparse_ref import methods, optim, schedules
from sparse_ref.experiments.model_config import ModelConfig, Part

LONG = 10**9  # steps of the training for which a method is built only to see whether it can be


class ConfigError(ValueError):
    """A configuration that cannot be used."""


class DataConfig(Part):
    """What to train on."""

    name: str = "fashion-mnist-sample"
    validation: float = Field(default=0.1, ge=0, lt=1)  # fraction of the training part held out
    augment: str | None = None  # a name in `data_loaders.AUGMENTATIONS`


class MethodConfig(Part):
    """A method and its hyper-parameters."""

    name: str = "rigl"
    convention: str = "paper"  # a bundle of options, see `sparse_ref.methods.conventions`
    options: dict[str, Any] = Field(default_factory=dict)  # overrule the convention
    # Fraction of the training after which nothing rewires; None: as the method and convention say.
    # Says nothing to a method without a `stop`.
    until: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _buildable(self):
        if self.name not in methods.ALL:
            raise ValueError(f"name must be one of {sorted(methods.ALL)}, got {self.name!r}")
        cls: Any = methods.ALL[self.name]
        known = list(cls.conventions)
        if self.convention not in known:
            raise ValueError(f"convention must be one of {known}, got {self.convention!r}")
        for key in self.options:
            if key not in self._known():
                raise ValueError(f"options.{key} is not an option of {self.name}: {self._known()}")
        try:
            self.build(steps=LONG)
        except TypeError as error:  # pydantic tells ValueErrors only
            raise ValueError(f"options: {error}") from error
        return self

    def _known(self):
        return [field.name for field in dataclasses.fields(methods.ALL[self.name])]

    def build(self, steps: int) -> methods.Method:
        """The method for a training of `steps` steps; its option ``stop`` overrules `until`."""
        given: dict[str, Any] = {}
        if self.convention != "paper":  # not every method takes one
            given["convention"] = self.convention
        if self.until is not None and "stop" in self._known():
            given["stop"] = max(1, int(self.until * steps))
        return methods.ALL[self.name](**(given | self.options))


class OptimizerConfig(Part):
    """The optimizer and its learning-rate schedule."""

    name: Literal["sgd", "adam"] = "sgd"
    learning_rate: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    momentum: float = Field(default=0.9, ge=0, lt=1)  # sgd only
    nesterov: bool = True  # sgd only
    weight_decay: float = Field(default=1e-3, ge=0, allow_inf_nan=False)
    decay: Literal[optim.DECAYS] = "l2"  # type: ignore[valid-type]
    bias_factor: float = Field(default=1.0, gt=0, allow_inf_nan=False)  # sgd only
    schedule: Literal["constant", "cosine", "step"] = "cosine"
    warmup_epochs: int = Field(default=0, ge=0)
    # With schedule "step": where the rate is multiplied by step_factor.
    step_epochs: list[int] = Field(default_factory=list)
    step_factor: float = Field(default=0.1, gt=0, le=1)

    @field_validator("step_epochs")
    @classmethod
    def _ascending(cls, epochs):
        if any(a >= b for a, b in pairwise((0, *epochs))):
            raise ValueError("epochs must be positive and ascending")
        return epochs

    def build(self, steps_per_epoch: int, steps: int) -> optim.Optimizer:
        """The optimizer for a training of `steps` steps."""
        rate = self._schedule(steps_per_epoch, steps)
        if self.name == "adam":
            return optim.adam(rate, weight_decay=self.weight_decay, decay=self.decay)
        nesterov = self.nesterov and self.momentum > 0
        return optim.sgd(
            rate, self.momentum, nesterov, self.weight_decay, self.decay, self.bias_factor
        )

    def _schedule(self, steps_per_epoch, steps):
        rate: schedules.Schedule = schedules.Constant(self.learning_rate)
        if self.schedule == "cosine":
            rate = schedules.Cosine(self.learning_rate, stop=steps)
        if self.schedule == "step":
            boundaries = tuple(epoch * steps_per_epoch for epoch in self.step_epochs)
            rate = schedules.Steps(self.learning_rate, boundaries, self.step_factor)
        if self.warmup_epochs:
            rate = schedules.Warmup(rate, self.warmup_epochs * steps_per_epoch)
        return rate


class RunConfig(Part):
    """One training."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    method: MethodConfig = MethodConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    epochs: int = Field(default=40, ge=1)
    batch_size: int = Field(default=64, ge=1)
    seed: int = Field(default=1, ge=0)

    @property
    def density(self) -> float | None:
        """What the training is to end with: a method's own density comes before the model's."""
        return self.method.options.get("density", self.model.density)


def read_file(path: str | os.PathLike) -> dict[str, Any]:
    """The contents of a ``.toml`` or ``.json`` file.

    Raises
    ------
    FileNotFoundError
        No such file.
    ConfigError
        Another ending, or not valid TOML or JSON, or not a table.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config: no file {path.name} in {path.parent.resolve()}")
    if path.suffix not in (".toml", ".json"):
        raise ConfigError(f"config: a file must end in .toml or .json, got {path.name}")
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise ConfigError(
            f"config: {path} is not valid {path.suffix[1:].upper()}: {error}"
        ) from error
    if not isinstance(content, dict):
        raise ConfigError(f"config: {path} must hold a table of settings, got {content!r}")
    return content


def parse(settings: dict[str, Any], origin: str = "config") -> RunConfig:
    """The configuration that `settings` describe; what they leave out keeps its default.

    Raises
    ------
    ConfigError
        One line per offence: origin, path, rule, what was given.
    """
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        lines = [_line(origin, found) for found in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def merged(settings: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `settings` with the entry at a dotted `path` replaced.

    Examples
    --------
    >>> merged({"model": {"density": 0.1}}, "model.density", 0.02)
    {'model': {'density': 0.02}}
    """
    head, _, rest = path.partition(".")
    inner = settings.get(head, {})
    return settings | {
        head: merged(inner if isinstance(inner, dict) else {}, rest, value) if rest else value
    }


def _line(origin, found):
    path = ".".join(str(part) for part in found["loc"])
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        return f"{origin}: {path} is not a setting"
    if message.startswith(("options", "name ", "convention ", "dense ", "distribution ")):
        return f"{origin}: {path}.{message}"
    given = "" if isinstance(found["input"], dict) else f", got {found['input']!r}"
    return f"{origin}: {path}: {message}{given}"
