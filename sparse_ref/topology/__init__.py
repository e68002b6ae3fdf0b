"""What the pattern of a network's connections says: measures that look at no weight's value.

A weight is a CSR array ``(n_out, n_in)``: rows are the units a layer feeds, columns the units it
reads. A stored 0.0 is a connection. Every measure costs O(connections + units) and makes no dense
array.
"""

from sparse_ref.topology.empty import (
    Emptiness,
    downsized_parameters,
    emptiness,
    empty_inputs,
    empty_neurons,
)

__all__ = [
    "Emptiness",
    "downsized_parameters",
    "emptiness",
    "empty_inputs",
    "empty_neurons",
]
