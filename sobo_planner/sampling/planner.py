"""Model-based diffusion for a task: the space that suits it, and starts for the solver from it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError, TaskError
from sobo_planner.sampling.chain import Chain, ChainSettings, run
from sobo_planner.sampling.demonstrations import Demonstration
from sobo_planner.sampling.spaces import ControlSpace, MotionSpace, PathSpace, Space
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance
from sobo_planner.tasks import ArmReach, QuadrotorReach, SwingUp, Task

Array = NDArray[np.float64]

#: What samples may stand for.
SPACES = ("controls", "motions", "paths")


@dataclass(frozen=True)
class SamplingSettings:
    """What is sampled, and how.

    Attributes:
        space: `controls` at knots; `motions` of the joints of an arm or a pendulum; `paths` of a quadrotor.
        knots: Knots of controls, or coefficients of the splines of motions and paths.
        amplitude: Largest deviation of motions [rad or m] and paths [m] at a knot.
        goal: Whether motions deviate from one to a posture at the target, which an arm's inverse kinematics finds; else
            from standing still.
        arrival: Share of the horizon after which that one is there.
        chain: How samples are drawn and weighed.
    """

    space: str = "controls"
    knots: int = 12
    amplitude: float = 3.0
    goal: bool = False
    arrival: float = 1.0
    chain: ChainSettings = field(default_factory=ChainSettings)

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise ConfigError(f"unknown space {self.space!r}; use {', '.join(SPACES)}")
        if self.knots < 1:
            raise ConfigError(f"knots must be at least 1, got {self.knots}")
        if not 0.0 < self.amplitude < np.inf:
            raise ConfigError(f"amplitude must be positive, got {self.amplitude:g}")
        if not 0.0 < self.arrival <= 1.0:
            raise ConfigError(f"arrival must lie in (0, 1], got {self.arrival:g}")

    @staticmethod
    def of(task: Task) -> SamplingSettings:
        """The settings that suit a task."""
        if isinstance(task, ArmReach):
            return SamplingSettings("motions", 6, 3.0, chain=ChainSettings(samples=256, steps=50, temperature=0.3))
        if isinstance(task, SwingUp) and task.nu > 1:  # one joint may turn too fast for torques to average out
            return SamplingSettings("motions", 8, 3.0, goal=True, arrival=0.5)
        if isinstance(task, QuadrotorReach):
            return SamplingSettings("paths", 6, 1.5, chain=ChainSettings(samples=64, steps=20))
        return SamplingSettings("controls", 8, chain=ChainSettings(noise=0.6))


@dataclass(frozen=True)
class Sampled:
    """A trajectory that was found by sampling.

    Attributes:
        guess: The trajectory. One of motions has torques that are clipped to their bounds, so that its dynamics have
            gaps; the solver closes them.
        chain: How it was found.
        space: What the samples of the chain stand for.
    """

    guess: Guess
    chain: Chain
    space: Space


def space_of(task: Task, instance: Instance, settings: SamplingSettings) -> Space:
    """What samples stand for.

    Raises:
        ConfigError: The space does not fit the task.
        TaskError: The target of an arm is out of reach, where its posture is asked for.
    """
    if settings.space == "controls":
        return ControlSpace(task, instance, settings.knots)
    if settings.space == "paths":
        return PathSpace(task, instance, settings.knots, settings.amplitude)
    goal = _goal(task, instance, settings.goal)
    return MotionSpace(task, instance, settings.knots, settings.amplitude, goal, settings.arrival)


def _goal(task: Task, instance: Instance, wanted: bool) -> Array | None:
    if isinstance(task, ArmReach) and task.goal_type == "joints":
        return instance.target
    if not wanted:
        return None
    return task.goal_configuration(instance) if isinstance(task, ArmReach) else np.zeros(task.nu)


def diffuse(
    task: Task,
    instance: Instance,
    settings: SamplingSettings | None = None,
    *,
    rng: np.random.Generator,
    demonstration: Demonstration | None = None,
    threads: int = 1,
    budget: Budget = UNLIMITED,
) -> Sampled:
    """Finds a trajectory of an instance by sampling, without training and without derivatives.

    Args:
        task: The task.
        instance: The instance.
        settings: What is sampled; by default what suits the task.
        rng: Source of the noise; fixes the result.
        demonstration: A way that somebody has shown.
        threads: Of the rollouts; the result does not depend on their number.
        budget: Looked at before each step.

    Raises:
        ConfigError: The settings do not fit the task.
        TaskError: No sample was finite, or as of `space_of`.
        DeadlineError: The budget ran out.
        PlanInterruptedError: Planning was interrupted.
    """
    settings = SamplingSettings.of(task) if settings is None else settings
    space = space_of(task, instance, settings)
    chain = run(space, settings.chain, rng, demonstration=demonstration, threads=threads, budget=budget)
    guess = space.guess(chain.best)
    if not np.isfinite(chain.cost) or not guess.finite:
        raise TaskError(f"every sampled trajectory of {task.name} diverged; use fewer knots or less noise")
    return Sampled(guess, chain, space)
