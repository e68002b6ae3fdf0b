"""Where a network's connections are: topologies made, compared and measured.

A weight is a CSR array ``(n_out, n_in)``: rows are the units a layer feeds, columns the units it
reads; of a convolution a unit is a channel, and columns are the positions of its kernels. A stored
0.0 is a connection, and apart from `weight_stability` and `infer` nothing looks at a weight's value
(``pattern="nonzero"`` only at whether it is 0). Measures cost O(connections + units), and nothing
here is as large as a dense layer, but for these: `nnstd` pairs all units of two layers;
`connectivity` and `path_counts` look at pairs of inputs and outputs; `spectrum` iterates, and each
says at what cost.
"""

from sparse_ref.topology.archive import load_topologies, save_topologies
from sparse_ref.topology.changes import changed, generations
from sparse_ref.topology.degrees import correlation, in_degrees, out_degrees
from sparse_ref.topology.downsizing import Survivors, survivors
from sparse_ref.topology.empty import (
    Emptiness,
    downsized_parameters,
    emptiness,
    empty_inputs,
    empty_neurons,
)
from sparse_ref.topology.exploration import exploration_rate, explored
from sparse_ref.topology.graph_challenge import categories, graph_challenge, infer
from sparse_ref.topology.mask_distance import (
    hamming_distance,
    iou,
    jaccard_distance,
    per_layer,
)
from sparse_ref.topology.nnstd import (
    Comparison,
    layer_distance,
    nnstd,
    normalized_edit_distances,
)
from sparse_ref.topology.pairwise import pairwise
from sparse_ref.topology.paths import effective_pattern, effective_sparsity, effective_units
from sparse_ref.topology.radix_net import lenet_radix_net, radix_net, radix_path_count
from sparse_ref.topology.random_graphs import (
    ErdosRenyi,
    bernoulli,
    epsilon_for,
    erdos_renyi,
    probabilities,
    uniform,
)
from sparse_ref.topology.reachability import Connectivity, connectivity, path_counts
from sparse_ref.topology.spectra import MeanGap, Spectrum, imsg, spectrum
from sparse_ref.topology.stability import weight_stability
from sparse_ref.topology.units import Link, UnitGraph
from sparse_ref.topology.x_net import expected_isolated, x_net

__all__ = [
    "Comparison",
    "Connectivity",
    "Emptiness",
    "ErdosRenyi",
    "Link",
    "MeanGap",
    "Spectrum",
    "Survivors",
    "UnitGraph",
    "bernoulli",
    "categories",
    "changed",
    "connectivity",
    "correlation",
    "downsized_parameters",
    "effective_pattern",
    "effective_sparsity",
    "effective_units",
    "emptiness",
    "empty_inputs",
    "empty_neurons",
    "epsilon_for",
    "erdos_renyi",
    "expected_isolated",
    "exploration_rate",
    "explored",
    "generations",
    "graph_challenge",
    "hamming_distance",
    "imsg",
    "in_degrees",
    "infer",
    "iou",
    "jaccard_distance",
    "layer_distance",
    "lenet_radix_net",
    "load_topologies",
    "nnstd",
    "normalized_edit_distances",
    "out_degrees",
    "pairwise",
    "path_counts",
    "per_layer",
    "probabilities",
    "radix_net",
    "radix_path_count",
    "save_topologies",
    "spectrum",
    "survivors",
    "uniform",
    "weight_stability",
    "x_net",
]
