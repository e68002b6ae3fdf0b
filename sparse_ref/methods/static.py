"""Static: a sparse network whose connections never change, the control of every comparison.

Called "fixed probability" in Mocanu2018 and "Static" in Evci2020. No memory beyond the network.
"""

from dataclasses import dataclass

from sparse_ref.methods.base import Method


@dataclass(frozen=True)
class Static(Method):
    """Train the connections the network was built with."""
