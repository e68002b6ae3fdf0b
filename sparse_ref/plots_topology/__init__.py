"""Pictures of topologies: small networks as graphs, patterns, degrees, and distances between many.

Figures are returned and made without pyplot, and colours are told apart by people with any colour
vision, as in `plots`.
"""

from sparse_ref.plots_topology.connections import degree_ridges, masks
from sparse_ref.plots_topology.distances import heat_maps, over_epochs
from sparse_ref.plots_topology.graphs import bipartite, matching

__all__ = ["bipartite", "degree_ridges", "heat_maps", "masks", "matching", "over_epochs"]
