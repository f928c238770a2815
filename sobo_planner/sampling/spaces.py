"""What samples are: points of a box, which a space turns into trajectories of one instance."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError
from sobo_planner.robot import CONSTANT_ACCELERATION
from sobo_planner.robot.kinematics import minimum_jerk
from sobo_planner.sampling.splines import deviations, linear
from sobo_planner.solver import Guess, Instance
from sobo_planner.tasks import ArmReach, QuadrotorReach, SwingUp, Task
from sobo_planner.tasks.batch import BatchCosts, Reference
from sobo_planner.tasks.quadrotor.task import GRAVITY

Array = NDArray[np.float64]


class Space(Protocol):
    """Samples Y (size,) with entries in [-1, 1].

    Attributes:
        start: Around which the first samples are drawn, (size,).
    """

    start: Array

    def costs(self, Y: Array, threads: int = 1, reference: Reference | None = None) -> BatchCosts:
        """What samples (N, size) cost."""
        ...

    def guess(self, y: Array) -> Guess:
        """The trajectory of one sample (size,)."""
        ...


class ControlSpace:
    """Controls at equally spaced knots, linear in between; scaled to their bounds.

    Args:
        task: The task.
        instance: The instance.
        knots: Their number; one for each step where there are no fewer steps.
        around: Controls (T, nu) in the middle of the first samples; by default those that hold the system at its start.
    """

    def __init__(self, task: Task, instance: Instance, knots: int, around: Array | None = None) -> None:
        self._task, self._instance = task, instance
        self._basis = linear(knots, task.horizon)
        self._middle = 0.5 * (task.control_upper + task.control_lower)
        self._half = 0.5 * (task.control_upper - task.control_lower)
        U = task.gravity_rollout(instance).U if around is None else around
        fitted = np.linalg.lstsq(self._basis, (U - self._middle) / self._half, rcond=None)[0]
        self.start = np.clip(fitted, -1.0, 1.0).ravel()

    def controls(self, Y: Array) -> Array:
        """Controls (N, T, nu) of samples (N, size)."""
        return self._middle + self._half * (self._basis @ Y.reshape(len(Y), -1, self._task.nu))

    def costs(self, Y: Array, threads: int = 1, reference: Reference | None = None) -> BatchCosts:
        """See `Space.costs`."""
        return self._task.batch_costs(self._instance, self.controls(Y), threads=threads, reference=reference)

    def guess(self, y: Array) -> Guess:
        """See `Space.guess`."""
        U = self.controls(y[None])[0]
        return Guess(self._task.simulate(self._instance.x0, U), U)


class MotionSpace:
    """Motions of the joints: a smooth motion to a posture, or none, and deviations from it by cubic splines.

    Torques follow by inverse dynamics. Those of a guess are clipped to their bounds: it is for a solver that allows
    gaps.

    Args:
        task: An arm or a pendulum.
        instance: The instance.
        knots: Coefficients of the splines.
        amplitude: Largest deviation at a knot [rad or m].
        goal: Posture that the motion leads to, (n,); None: it stands still, and only the deviations lead to the target.
        arrival: Share of the horizon after which it is there.

    Raises:
        ConfigError: The task has no joints.
    """

    def __init__(
        self,
        task: Task,
        instance: Instance,
        knots: int,
        amplitude: float,
        goal: Array | None = None,
        arrival: float = 1.0,
    ) -> None:
        if not isinstance(task, (ArmReach, SwingUp)):
            raise ConfigError(f"{task.name} has no joints whose motions could be sampled; use controls")
        self._task, self._instance, n = task, instance, task.nu
        q0, v0 = instance.x0[:n], instance.x0[n:]
        steps = max(1, round(arrival * task.horizon))
        self._velocities = np.zeros((task.horizon + 1, n))
        _, self._velocities[: steps + 1] = minimum_jerk(q0, q0 if goal is None else goal, steps, task.dt, v0)
        basis = deviations(knots, task.horizon, free_end=True)
        self._basis = amplitude * np.diff(basis, axis=0) / task.dt
        self.start = np.zeros(knots * n)

    def velocities(self, Y: Array) -> Array:
        """Velocities (N, T, n) after each step of samples (N, size)."""
        return self._velocities[1:] + self._basis @ Y.reshape(len(Y), -1, self._task.nu)

    def costs(self, Y: Array, threads: int = 1, reference: Reference | None = None) -> BatchCosts:
        """See `Space.costs`."""
        return self._task.motion_costs(self._instance, self.velocities(Y), threads=threads, reference=reference)

    def guess(self, y: Array) -> Guess:
        """See `Space.guess`."""
        task, n = self._task, self._task.nu
        V = np.vstack([self._instance.x0[n:], self.velocities(y[None])[0]])
        mean = 0.5 * (V[:-1] + V[1:]) if task.integrator == CONSTANT_ACCELERATION else V[1:]
        Q = self._instance.x0[:n] + np.vstack([np.zeros(n), task.dt * np.cumsum(mean, axis=0)])
        A = np.diff(V, axis=0) / task.dt
        U = np.array([task.robot.inverse_dynamics(*each) for each in zip(Q[:-1], V[:-1], A, strict=True)])
        return Guess(np.hstack([Q, V]), np.clip(U, task.control_lower, task.control_upper))


class PathSpace:
    """Paths of a quadrotor: the straight line and smooth deviations from it, followed within the limits of the thrusts.

    Args:
        task: A quadrotor's task.
        instance: The instance.
        knots: Coefficients of the splines.
        amplitude: Largest deviation at a knot [m].

    Raises:
        ConfigError: The task is another one.
    """

    def __init__(self, task: Task, instance: Instance, knots: int, amplitude: float) -> None:
        if not isinstance(task, QuadrotorReach):
            raise ConfigError(f"{task.name} is no quadrotor, whose paths could be sampled")
        self._task, self._instance = task, instance
        x0 = instance.x0
        self._line, _ = minimum_jerk(x0[:3], instance.target, task.horizon, task.dt, x0[6:9])
        self._basis = amplitude * deviations(knots, task.horizon, free_end=False)
        self.start = np.zeros(3 * knots)

    def _followed(self, y: Array) -> tuple[Array, Array]:
        """States and thrusts along the path of a sample, which tilts as its accelerations need."""
        dt, P = self._task.dt, self._line + self._basis @ y.reshape(-1, 3)
        desired = np.zeros((len(P), 12))
        desired[:, :3] = P
        desired[1:, 6:9] = np.diff(P, axis=0) / dt
        desired[0, 6:9] = self._instance.x0[6:9]
        thrust = np.diff(desired[:, 6:9], axis=0) / dt + [0.0, 0.0, GRAVITY]
        up = thrust / np.linalg.norm(thrust, axis=1, keepdims=True).clip(1e-9)
        sine = np.linalg.norm(up[:, :2], axis=1)
        turn = (np.arctan2(sine, up[:, 2]) / sine.clip(1e-9))[:, None]
        desired[:-1, 3:5] = turn * np.stack([-up[:, 1], up[:, 0]], axis=1)
        desired[1:, 9:12] = np.diff(desired[:, 3:6], axis=0) / dt
        return self._task.track(self._instance.x0, desired[1:])

    def costs(self, Y: Array, threads: int = 1, reference: Reference | None = None) -> BatchCosts:
        """See `Space.costs`."""
        U = np.array([self._followed(y)[1] for y in Y])
        return self._task.batch_costs(self._instance, U, threads=threads, reference=reference)

    def guess(self, y: Array) -> Guess:
        """See `Space.guess`."""
        return Guess(*self._followed(y))
