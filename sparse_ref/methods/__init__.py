"""Sparse-training methods, one file per paper; `ALL` lists them for tests and the command."""

from sparse_ref.methods.base import Method, Run
from sparse_ref.methods.rigl import RigL
from sparse_ref.methods.set_ import SET
from sparse_ref.methods.static import Static

ALL = {"static": Static, "set": SET, "rigl": RigL}

__all__ = ["ALL", "SET", "Method", "RigL", "Run", "Static"]
