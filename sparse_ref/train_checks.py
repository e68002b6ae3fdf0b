"""What `sparse_ref.train` refuses, and in which words."""

import numpy as np

from sparse_ref.csr_checks import integers, require_ascending


def checked_data(net, data, who):
    """Examples as the network takes them, and labels or targets that fit."""
    if len(data) != 2:
        raise ValueError(f"{who} must be a pair (x, y), got {len(data)} parts")
    x, y = net.examples(data[0], who), np.asarray(data[1])
    if len(x) == 0 or len(x) != len(y):
        raise ValueError(
            f"{who} must hold as many labels as examples and at least one, "
            f"got {len(x)} examples and {len(y)} labels"
        )
    if np.issubdtype(y.dtype, np.integer) and (y.min() < 0 or y.max() >= net.n_out):
        worst = y.min() if y.min() < 0 else y.max()
        raise ValueError(f"{who} labels must be in [0, {net.n_out}), got {worst}")
    if np.issubdtype(y.dtype, np.floating) and not np.isfinite(y).all():
        example = int(np.flatnonzero(~np.isfinite(y).reshape(len(y), -1).all(axis=1))[0])
        raise ValueError(f"{who} targets must be finite, got {y[example]} in example {example}")
    return x, y


def check_kinds(**options):
    """Refuse options given as ``name=(value, kind)`` that are not of their kind."""
    for name, (value, kind) in options.items():
        if not isinstance(value, kind):
            kind_name = f"{kind.__module__.removesuffix('._generator')}.{kind.__name__}"
            got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
            raise TypeError(f"fit: {name} must be a {kind_name}, got {got}")


def check_positive(**counts):
    """Refuse counts that are not whole and positive."""
    for name, value in counts.items():
        if not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"fit: {name} must be a positive whole number, got {value}")


def checked_span(span, steps):
    """First and last step of a span, if it is one of a training of `steps` steps."""
    if len(span) != 2 or not all(isinstance(s, int | np.integer) for s in span if s is not None):
        raise ValueError(f"fit: span must be (first, last) in steps, got {span}")
    first, last = span[0], steps if span[1] is None else span[1]
    if first is None or not 0 <= first < last <= steps:
        raise ValueError(f"fit: span must ascend within 0 ... {steps} steps, got {span}")
    return first, last


def check_momentum(rewires):
    """Refuse a starting momentum that is not one finite number for each grown connection."""
    for rewire in rewires:
        momentum = rewire.momentum
        if momentum is None:
            continue
        if np.shape(momentum) != np.shape(rewire.grow):
            raise ValueError(
                "fit: momentum must be as many as grow positions, "
                f"{len(rewire.grow)}, got shape {np.shape(momentum)}"
            )
        if not np.isfinite(momentum).all():
            raise ValueError(f"fit: momentum of grown connections must be finite, got {momentum}")


def check_drifts(drifts, updates):
    """Refuse drifts that are not one entry for each connection: another shape might spread."""
    if len(drifts) != len(updates):
        raise ValueError(
            f"fit: drifts must be one for each sparse layer, {len(updates)}, got {len(drifts)}"
        )
    for k, (drift, update) in enumerate(zip(drifts, updates, strict=True)):
        if np.shape(drift) != update.shape:
            raise ValueError(
                f"fit: drift of layer {k} must have one entry a connection, {len(update)}, "
                f"got shape {np.shape(drift)}"
            )


def checked_held(held, updates):
    """Slots that are held still, one array for each sparse layer, if the layers have them."""
    if len(held) != len(updates):
        raise ValueError(
            f"fit: slots held still must be one array for each sparse layer, {len(updates)}, "
            f"got {len(held)}"
        )
    every = [integers("fit", "slots held still", slots) for slots in held]
    for slots, update in zip(every, updates, strict=True):
        require_ascending("fit", "slots held still", slots, len(update))
    return every
