"""Pruning at initialisation: which connections a network need not have before it is trained.

Every function returns what `sparse_ref.Network.prune` takes, and changes nothing ::

    net = models.lenet_300_100(density=None, rng=rng)
    net.prune(at_init.snip(net, x, y, density=0.05))

Networks may be dense, sparse or mixed. Which connections stay follows from scores, by rules of
counting and ties that are the same for all (`sparse_ref.at_init.pool`); conventions name the
options under which public codes do something else (`sparse_ref.at_init.conventions`).
"""

from sparse_ref.at_init.grasp import grasp, grasp_scores
from sparse_ref.at_init.hessian import hessian_product, weight_gradients
from sparse_ref.at_init.magnitude import magnitude
from sparse_ref.at_init.pool import Drops
from sparse_ref.at_init.random_ import random, shuffled
from sparse_ref.at_init.snip import mask_gradients, snip, snip_scores
from sparse_ref.at_init.synflow import synflow, synflow_scores

__all__ = [
    "Drops",
    "grasp",
    "grasp_scores",
    "hessian_product",
    "magnitude",
    "mask_gradients",
    "random",
    "shuffled",
    "snip",
    "snip_scores",
    "synflow",
    "synflow_scores",
    "weight_gradients",
]
