"""Sparse-training methods, one file per paper; `ALL` lists them for tests and the command."""

from typing import Any

from sparse_ref.methods.base import Method, Run
from sparse_ref.methods.deepr import DeepR
from sparse_ref.methods.dnw import DNW
from sparse_ref.methods.dsr import DSR
from sparse_ref.methods.edge_popup import EdgePopup
from sparse_ref.methods.ggr import GGR
from sparse_ref.methods.gradual import GradualPruning
from sparse_ref.methods.itop import ITOP
from sparse_ref.methods.rigl import RigL
from sparse_ref.methods.set_ import SET
from sparse_ref.methods.set_rigl import SetRigL
from sparse_ref.methods.snfs import SNFS
from sparse_ref.methods.static import Static
from sparse_ref.methods.supermask import Supermask
from sparse_ref.methods.topkast import TopKAST

ALL: dict[str, Any] = {  # name -> subclass of `Method`
    "static": Static,
    "set": SET,
    "deepr": DeepR,
    "rigl": RigL,
    "set_rigl": SetRigL,
    "ggr": GGR,
    "dsr": DSR,
    "snfs": SNFS,
    "itop": ITOP,
    "topkast": TopKAST,
    "dnw": DNW,
    "edge_popup": EdgePopup,
    "supermask": Supermask,
    "gradual": GradualPruning,
}

__all__ = [
    "ALL",
    "DNW",
    "DSR",
    "GGR",
    "ITOP",
    "SET",
    "SNFS",
    "DeepR",
    "EdgePopup",
    "GradualPruning",
    "Method",
    "RigL",
    "Run",
    "SetRigL",
    "Static",
    "Supermask",
    "TopKAST",
]
