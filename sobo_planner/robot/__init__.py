"""The robot: URDF, kinematics, dynamics and self-collision, computed by Pinocchio and Coal."""

from __future__ import annotations

from sobo_planner.robot.robot import Robot

__all__ = ["Robot"]
