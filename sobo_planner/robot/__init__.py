"""The robot: URDF, kinematics, dynamics and self-collision, computed by Pinocchio and Coal."""

from __future__ import annotations

from sobo_planner.robot.mechanics import CONSTANT_ACCELERATION, SEMI_IMPLICIT_EULER
from sobo_planner.robot.robot import Robot
from sobo_planner.robot.surroundings import GRAVITY

__all__ = ["CONSTANT_ACCELERATION", "GRAVITY", "SEMI_IMPLICIT_EULER", "Robot"]
