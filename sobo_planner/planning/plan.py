"""What planning gives: a trajectory that may be executed, and how good it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Optimum
from sobo_planner.planning.proposals import Proposal
from sobo_planner.robot import Robot

Array = NDArray[np.float64]

# A plan that ends further from the goal than this [m], or from its orientation than this [rad], does not reach it.
REACHED = 0.01
ORIENTED = 0.02
# The same for each joint [rad or m] of a joint goal.
IN_PLACE = 0.02


class PlanStatus(str, Enum):
    """How good a plan is."""

    CONVERGED = "converged"  # it reaches the goal, and the solver's tolerances are met
    FEASIBLE = "feasible"  # it reaches the goal; out of time or iterations, but within limits and true to the dynamics
    SHORT = "short"  # it may be executed, but does not reach the goal


@dataclass(frozen=True)
class Surroundings:
    """The world that a plan was checked in.

    Attributes:
        version: Of the world, see `World`.
        hash: Of what it means.
        objects: How many objects it has, attached ones included.
        distance: Smallest distance [m] to an obstacle, at the states of the plan; None where there are none.
        nearest: What is so near to what.
        policy_knows: The world that the policy knows, where that is another one; empty otherwise.
    """

    version: int
    hash: str
    objects: int
    distance: float | None = None
    nearest: tuple[str, str] | None = None
    policy_knows: str = ""

    @classmethod
    def along(cls, robot: Robot, Q: Array) -> Surroundings:
        """The world of a robot, and how near it comes to it at configurations Q (N, nq)."""
        world, found = robot.world, robot.nearest_object(Q)
        names = (world.version, world.hash, len(world.everything))
        return cls(*names) if found is None else cls(*names, found.distance, (found.first, found.second))


@dataclass(frozen=True)
class LeftContact:
    """A contact that a motion begins in, and leaves.

    Attributes:
        first: A link, or what is attached to one.
        second: What it touches.
        distance: Of the two at the beginning [m]; negative where they overlap.
        steps: Of the motion until the arm is free and rests.
    """

    first: str
    second: str
    distance: float
    steps: int = 0


@dataclass(frozen=True)
class Plan:
    """A trajectory that may be executed, with its feedback.

    Attributes:
        status: How good it is.
        time: Times of the states from the start [s], (T+1,).
        X: States, (T+1, nx).
        U: Torques [Nm], (T, nu), within the limits.
        K: Feedback gains du/dx, (T, nu, ndx): u = U[t] + K[t] (x - X[t]).
        cost: Total cost.
        violation: Largest violation of dynamics and limits.
        iterations: Solver iterations, over everything that was refined.
        tool_error: Distance of the tool to the goal at the end [m].
        orientation_error: Angle of the tool to a pose goal at the end [rad]; None for other goals.
        joint_error: Distance of the farthest joint to a joint goal at the end [rad or m]; None for other goals.
        source: Where the start came from: `policy`, `interpolation`, `gravity`, `posture`, `global` or
            `sampling`.
        phases_ms: Wall time of `policy` (rollouts), `start` (other starts), `refine` and `total` [ms].
        goal: What to reach: position, (3,) [m]; pose, (7,) [x, y, z, qx, qy, qz, qw]; or joints, (n,).
        optimum: Controls and gains of the optimal control problem itself, which U and K are made of; None
            unless the planner was made with `first_order`.
        proposal: The start that it was refined from, as it was proposed.
        surroundings: The world that it was checked in; None if that was empty, unless the policy knows one. Its
            distance is that from `left` on.
        left: The contact that it leaves first; None where it begins free. The cost is that of what follows.
    """

    status: PlanStatus
    time: Array
    X: Array
    U: Array
    K: Array
    cost: float
    violation: float
    iterations: int
    tool_error: float
    source: str
    phases_ms: dict[str, float]
    goal: Array
    orientation_error: float | None = None
    joint_error: float | None = None
    optimum: Optimum | None = None
    surroundings: Surroundings | None = None
    proposal: Proposal | None = None
    left: LeftContact | None = None

    @property
    def duration(self) -> float:
        """How long the motion lasts [s]."""
        return float(self.time[-1])

    @property
    def acceleration_jump(self) -> float:
        """Largest change of an acceleration from one step to the next, beginning and end included [rad/s^2]."""
        V = self.X[:, self.X.shape[1] // 2 :]
        accelerations = np.diff(V, axis=0) / np.diff(self.time)[:, None]
        return float(np.abs(np.diff(accelerations, axis=0, prepend=0.0, append=0.0)).max())

    @property
    def jerk(self) -> float:
        """The same over the length of a step: the jerk of accelerations that lead from one to the next [rad/s^3]."""
        return self.acceleration_jump / float(self.time[1] - self.time[0])

    @property
    def reached(self) -> bool:
        """Whether the tool ends within 1 cm of the goal, and within 0.02 rad of its orientation or joints, if any."""
        return reached(self.tool_error, self.orientation_error, self.joint_error)

    @property
    def reason(self) -> str:
        """Why the goal is not reached; empty if it is."""
        if self.reached:
            return ""
        found, allowed = f"{1e3 * self.tool_error:.1f} mm", f"{1e3 * REACHED:g} mm"
        if self.orientation_error is not None:
            found += f" and {self.orientation_error:.3f} rad"
            allowed += f" and {ORIENTED:g} rad"
        if self.joint_error is not None:
            found += f" and {self.joint_error:.3f} rad in a joint"
            allowed += f" and {IN_PLACE:g} rad"
        return f"the plan ends {found} from the goal, allowed are {allowed}; choose another goal or start"


def reached(tool_error: float, orientation_error: float | None, joint_error: float | None = None) -> bool:
    """Whether a distance [m], an angle [rad] for pose goals, and a joint's [rad or m] for theirs, are small enough."""
    return (
        tool_error < REACHED
        and (orientation_error is None or orientation_error < ORIENTED)
        and (joint_error is None or joint_error < IN_PLACE)
    )
