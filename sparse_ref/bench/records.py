"""Finding among records: each is one flat dict, as the parts yield them and JSON keeps them."""

from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]


def select(records: Sequence[Record], **wanted: Any) -> list[Record]:
    """Those that have every wanted value.

    Examples
    --------
    >>> select([{"part": "kernels", "batch": 32}, {"part": "events"}], part="kernels")
    [{'part': 'kernels', 'batch': 32}]
    """
    return [r for r in records if all(r.get(key) == value for key, value in wanted.items())]


def seconds(records: Sequence[Record], **wanted: Any) -> list[float] | None:
    """The seconds of the one record that has every wanted value; None if there is none."""
    found = select(records, **wanted)
    if len(found) > 1:
        raise ValueError(f"seconds: one record must be meant, got {len(found)} with {wanted}")
    return found[0]["seconds"] if found else None


def values(records: Sequence[Record], key: str) -> list[Any]:
    """The different values of `key`, in ascending order; records without it do not count."""
    return sorted({r[key] for r in records if key in r})


def shape(record: Record) -> str:
    """Name of a layer: ``784x1000``, inputs first."""
    return f"{record['n_in']}x{record['n_out']}"
