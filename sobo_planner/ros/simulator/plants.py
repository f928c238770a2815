"""What the simulated arm is: the planner's own model of it, or MuJoCo's."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError, PlantError
from sobo_planner.plant import Conditions, Plant
from sobo_planner.robot import Robot

Vector = NDArray[np.float64]

MODEL, MUJOCO = "model", "mujoco"


class Dynamics(Protocol):
    """An arm that moves."""

    def step(self, x: Vector, u: Vector, dt: float, external: Vector) -> Vector:
        """State (2n,) after torques u (n,) of its drives, and `external` ones, have acted for dt [s] on x."""
        ...


class ModelPlant:
    """The robot's own dynamics by semi-implicit Euler, with its dry friction smoothed around rest."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot

    def step(self, x: Vector, u: Vector, dt: float, external: Vector) -> Vector:
        """See `Dynamics.step`."""
        return self._robot.step(x, u + external - self._robot.friction_torque(x[self._robot.nq :]), dt)


def make_plant(kind: str, robot: Robot, mass_error: float) -> Dynamics:
    """A plant whose links are heavier by the share `mass_error` than the robot's.

    Raises:
        ConfigError: There is no such plant, or MuJoCo is not installed or refuses the robot.
    """
    if kind == MODEL:
        return ModelPlant(robot.with_mass_scale(1.0 + mass_error) if mass_error else robot)
    if kind != MUJOCO:
        raise ConfigError(f"the parameter plant must be one of {MODEL}, {MUJOCO}, got {kind!r}")
    try:
        return Plant(robot, Conditions(mass_error=mass_error))
    except PlantError as error:
        raise ConfigError(f"the parameter plant: {error}; or set it to {MODEL}") from error
