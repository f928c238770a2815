"""Exceptions raised by sobo_planner.

Every error that the package raises on purpose derives from `SoboError`. A message names what was wrong,
the value, the bound, and what to do about it.
"""

from __future__ import annotations


class SoboError(Exception):
    """Root of all errors raised by sobo_planner and sobo_training."""


class ConfigError(SoboError):
    """A configuration file or command-line override is invalid."""


class RobotError(SoboError):
    """A robot description cannot be used, or a configuration does not fit it."""


class WorldError(SoboError):
    """Obstacles or attached objects are malformed, or the file that holds them."""


class TaskError(SoboError):
    """An instance (start, target) lies outside what the task allows."""


class StartError(TaskError):
    """No plan may begin at this state."""


class GoalError(TaskError):
    """The target is malformed or out of reach."""


class SolverError(SoboError):
    """A problem or an initial guess is malformed."""


class PolicyError(SoboError):
    """A policy artifact is missing, damaged, or made for another robot or task."""


class DatasetError(SoboError):
    """A dataset is missing, damaged, or belongs to another task."""


class PlanningError(SoboError):
    """No plan that may be executed was found."""


class DeadlineError(PlanningError):
    """The deadline passed before there was a plan."""


class PlanInterruptedError(PlanningError):
    """Planning was interrupted on request."""


class PlanRefusedError(PlanningError):
    """Plans were found, but leave a limit or a box that was set for them, or links would touch."""


class PlantError(SoboError):
    """The plant that takes the place of an arm cannot be made."""
