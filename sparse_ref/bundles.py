"""Named bundles of options: how a dataclass with ``conventions`` takes ``convention=``."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, TypeVar

AnyClass = TypeVar("AnyClass", bound=type)


def conventional(cls: AnyClass) -> AnyClass:
    """Let ``convention=`` fill in options that were not given (decorator).

    To be put on a dataclass that declares ``convention: InitVar[str] = "paper"`` and has a mapping
    ``conventions``, name -> options.
    """
    names = [field.name for field in dataclasses.fields(cls)]

    def with_convention(plain: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(plain)
        def init(self: Any, *args: Any, convention: str = "paper", **options: Any) -> None:
            given = dict(zip(names, args, strict=False)) | options
            plain(self, **(_bundle(cls, convention) | given))

        return init

    setattr(cls, "__init__", with_convention(cls.__init__))  # type: ignore[misc]  # noqa: B010
    return cls


def _bundle(cls, convention):
    if convention not in cls.conventions:
        known = list(cls.conventions)
        raise ValueError(f"{cls.__name__}: convention must be one of {known}, got {convention!r}")
    return dict(cls.conventions[convention])
