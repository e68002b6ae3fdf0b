"""Conventions of scores at initialisation: named bundles of options, and where they were read.

As `sparse_ref.methods.conventions`, for functions: ``snip(net, x, y, 0.1, convention=
"snip-public")``. Options given beside a convention overrule its bundle.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sparse_ref.methods.base import check_name
from sparse_ref.methods.conventions import Source

_SYNAPTIC_FLOW = Source("ganguli-lab/Synaptic-Flow", "9dfa57a", "Pruners/pruners.py, prune.py")
SOURCES = {
    "paper": Source("the paper, as the function's docstring reads it", "", ""),
    "snip-public": Source("namhoonlee/snip-public", "f028496", "snip/model.py, snip/prune.py"),
    "grasp-public": Source("alecwangcq/GraSP", "f17d87a", "pruner/GraSP.py"),
    "synaptic-flow": _SYNAPTIC_FLOW,
}

Pruning = TypeVar("Pruning", bound=Callable[..., Any])


def conventional(bundles: Mapping[str, Mapping[str, Any]]) -> Callable[[Pruning], Pruning]:
    """Let ``convention=`` fill in keyword options that were not given (decorator).

    Parameters
    ----------
    bundles : mapping
        Name of a convention, a key of `SOURCES`, -> options. Also the attribute ``conventions`` of
        the function.
    """

    def decorate(plain: Pruning) -> Pruning:
        @functools.wraps(plain)
        def chosen(*args: Any, convention: str = "paper", **options: Any) -> Any:
            check_name(plain.__name__, "convention", convention, list(bundles))
            return plain(*args, **(dict(bundles[convention]) | options))

        chosen.conventions = bundles  # type: ignore[attr-defined]
        return chosen  # type: ignore[return-value]

    return decorate
