"""Pruning: how many connections go, which ones, and what becomes of them.

A *pruner* is a frozen dataclass. Called with the weights of a network it says which slots go,
an array for each weight, and changes nothing; `Network.prune` removes them. Weights are CSR or
dense arrays alike: a dense array has every position as a slot, slot k is flat position k.

On CSR there is nothing behind a mask. What other libraries ask about masked values (rank them or
not, `torch`'s container hands its methods a masked or a raw tensor) has no meaning here: an absent
connection has no value. Where its masked value 0 decides (the smallest magnitude of a channel) it
counts as 0.

Sources
-------
A convention is a bundle of options by which a public code differs. What was read:

==============  ================================================  =======  =========================
``torch``       pytorch/pytorch                                   0345947  torch/nn/utils/prune.py
``google-lth``  google-research/lottery-ticket-hypothesis         1f17279  foundations/pruning.py
``open-lth``    facebookresearch/open_lth                         2ce732f  pruning/sparse_global.py
``zhou``        uber-research/deconstructing-lottery-tickets      dbad201  get_weight_init.py
``tfmot``       tensorflow/model-optimization                     05d87a3  .../keras/pruning_impl.py
==============  ================================================  =======  =========================

Masks2020 is iclr-8dafb2ab/iterative-pruning-reinit, 8dd25c1, pruning.py and schemas/.
"""

from sparse_ref.pruning.by_layer import ByLayer
from sparse_ref.pruning.counts import COUNTS, Amount, removed
from sparse_ref.pruning.ranks import TIES, weakest
from sparse_ref.pruning.structured import RandomStructured, Structured, channel_norms
from sparse_ref.pruning.unstructured import Magnitude, Random
from sparse_ref.pruning.weights import Drops, Pruner, Weight
from sparse_ref.pruning.zhou import CRITERIA, ZhouCriterion
from sparse_ref.pruning.zhou_actions import ACTIONS, Masked, mask_zero

__all__ = [
    "ACTIONS",
    "COUNTS",
    "CRITERIA",
    "TIES",
    "Amount",
    "ByLayer",
    "Drops",
    "Magnitude",
    "Masked",
    "Pruner",
    "Random",
    "RandomStructured",
    "Structured",
    "Weight",
    "ZhouCriterion",
    "channel_norms",
    "mask_zero",
    "removed",
    "weakest",
]
