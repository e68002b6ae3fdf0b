"""The network of a configuration: an `mlp` of given sizes, or one of the papers' by name."""

import inspect
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sparse_ref.allocation import DISTRIBUTIONS
from sparse_ref.initialise import FANS, SCHEMES
from sparse_ref.losses import LOSSES
from sparse_ref.models import DRAWS, DROPOUTS, LOGITS_ACTIVATIONS, MODELS, mlp
from sparse_ref.network import Network
from sparse_ref.topology.patterns import Topology

MLP = "mlp"
OF_MLP = ("sizes", "activation", "logits_activation", "dropout", "dropout_rule")


class Part(BaseModel):
    """A table of settings: nothing else may stand in it, and it does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(Part):
    """The network: `sparse_ref.models.mlp`, or by `name` one of `sparse_ref.models.MODELS`."""

    name: Literal[(MLP, *MODELS)] = MLP  # type: ignore[valid-type]
    options: dict[str, Any] = Field(
        default_factory=dict
    )  # of a named model: width, classes, image, variant, ...
    sizes: list[Annotated[int, Field(ge=1)]] = Field(default=[784, 300, 100, 10], min_length=2)
    density: Annotated[float, Field(gt=0, le=1)] | None = 0.1  # None or "dense": dense layers
    # By name, or the counts themselves, one for each sparse layer: they settle the density.
    distribution: str | list[Annotated[int, Field(ge=0)]] = "erk"
    activation: Literal["relu", "srelu", "all_relu"] = "relu"
    logits_activation: Literal[tuple(LOGITS_ACTIVATIONS)] = "none"  # type: ignore[valid-type]
    dropout: float = Field(default=0.0, ge=0, lt=1)
    dropout_rule: Literal[DROPOUTS] = "inverted"  # type: ignore[valid-type]
    # Layers to keep dense, from 0; -1 is the output layer. None: the model's own choice.
    dense: list[int] | None = None
    draw: Literal[DRAWS] = "exact"  # type: ignore[valid-type]
    initialisation: Literal[tuple(SCHEMES)] = "kaiming_uniform"  # type: ignore[valid-type]
    fan: Literal[FANS] = "shape"  # type: ignore[valid-type]
    loss: Literal[tuple(LOSSES)] = "softmax_cross_entropy"  # type: ignore[valid-type]
    dtype: Literal["float32", "float64"] = "float32"

    @field_validator("density", mode="before")
    @classmethod
    def _dense_by_name(cls, density):
        return None if density == "dense" else density

    @field_validator("distribution")
    @classmethod
    def _distribution_exists(cls, distribution):
        if isinstance(distribution, str) and distribution not in DISTRIBUTIONS:
            raise ValueError(f"must be one of {sorted(DISTRIBUTIONS)}, or counts")
        return distribution

    @model_validator(mode="after")
    def _counts_fit(self):
        if isinstance(self.distribution, str):
            return self
        if self.density is None:
            raise ValueError("distribution must be a name in a dense network, got counts")
        layers = len(self.sizes) - 1
        n = layers - len({layer % layers for layer in self.dense or ()})
        if self.name == MLP and len(self.distribution) != n:
            raise ValueError(
                f"distribution must hold a count for each of {n} sparse layers, "
                f"got {len(self.distribution)}"
            )
        return self

    @model_validator(mode="after")
    def _dense_layers_exist(self):
        n = len(self.sizes) - 1
        for layer in self.dense or () if self.name == MLP else ():
            if not -n <= layer < n:
                raise ValueError(f"dense must name layers in [{-n}, {n}), got {layer}")
        return self

    @model_validator(mode="after")
    def _settings_are_the_models(self):
        known = [] if self.name == MLP else _options_of(self.name)
        for key in self.options:
            if key not in known:
                raise ValueError(f"options.{key} is not an option of {self.name}: {known}")
        if self.name != MLP:
            for key in _left_to(self.name):
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"name {self.name!r} settles {key}, got {getattr(self, key)}")
        return self

    @property
    def title(self) -> str:
        """What tables call it: ``784-300-100-10``, or ``resnet18, width 0.25``."""
        if self.name == MLP:
            return "-".join(map(str, self.sizes))
        return ", ".join([self.name, *(f"{key} {value}" for key, value in self.options.items())])

    def build(self, rng: np.random.Generator, structure: Topology | None = None) -> Network:
        """The network with its starting weights.

        Parameters
        ----------
        rng : Generator
        structure : sequence of (n_out, n_in) csr_array, optional
            The sparse layers' connections, whatever density, distribution and draw say.
        """
        settings = self.model_dump(exclude={"name", "options"})
        if self.dense is None:
            del settings["dense"]
        if structure is not None:
            settled = ("density", "distribution", "draw")
            settings = {name: value for name, value in settings.items() if name not in settled}
        if self.name == MLP:
            return mlp(rng=rng, structure=structure, **settings)
        for key in _left_to(self.name):
            del settings[key]
        return MODELS[self.name](rng=rng, structure=structure, **settings, **self.options)


def _left_to(name):
    """Settings of `OF_MLP` that a model does not take."""
    return [key for key in OF_MLP if key not in inspect.signature(MODELS[name]).parameters]


def _options_of(name):
    """What a model takes beyond what all take."""
    shared = set(ModelConfig.model_fields) | {"rng", "structure"}
    parameters = inspect.signature(MODELS[name]).parameters.values()
    return [p.name for p in parameters if p.kind != p.VAR_KEYWORD and p.name not in shared]
