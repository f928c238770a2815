"""A plant that others wrote: the arm in MuJoCo, with friction, errors of its model, latency and noise.

Planner, checker and `Robot` share one library of dynamics. MuJoCo reads the same URDF with code of its own, so that a
mistake in our use of that library, or a controller that works on its own model alone, shows. Needs the extra `sim`.
"""

from __future__ import annotations

from sobo_planner.plant.execution import Execution, execute
from sobo_planner.plant.laws import EffortLaw, Interface, PositionLaw
from sobo_planner.plant.plant import Conditions, Plant, Sensor

__all__ = ["Conditions", "EffortLaw", "Execution", "Interface", "Plant", "PositionLaw", "Sensor", "execute"]
