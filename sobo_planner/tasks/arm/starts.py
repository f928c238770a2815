"""Initial guesses of the solver for an arm."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot.kinematics import inverse_kinematics, minimum_jerk
from sobo_planner.solver import UNLIMITED, Budget, Guess, Instance
from sobo_planner.tasks.arm.config import ArmConfig
from sobo_planner.tasks.arm.instances import ArmInstances
from sobo_planner.tasks.base import Task

Array = NDArray[np.float64]


class ArmStarts(ArmInstances, Task):
    """Starts of one arm, consistent with its dynamics and within its torque limits.

    Attributes:
        torque_limit: Largest torques [Nm], (nu,).
        acceleration_limit: Largest accelerations, (nu,); infinite for problems without.
    """

    config: ArmConfig
    torque_limit: Array
    acceleration_limit: Array

    @abstractmethod
    def track(self, x: Array, desired: Array, blend: float, velocity_share: float = 1.0) -> tuple[Array, Array]:
        """Follows desired states within the limits."""

    def interpolate(self, instance: Instance, budget: Budget = UNLIMITED) -> Guess:
        """Joint interpolation to the nearest inverse-kinematics solution, with the torques it needs.

        Few postures reach a pose, and they may be far apart: the cheapest interpolation is returned.

        Raises:
            TaskError: The target is out of reach.
            DeadlineError: The budget ran out.
        """
        return self._interpolations(instance, budget)[0]

    def _interpolations(self, instance: Instance, budget: Budget) -> list[Guess]:
        """To a position one, to a pose one to each of `goal_postures`, cheapest first."""
        if self.goal_type != "pose":
            return [self._interpolate_to(instance, self.goal_configuration(instance, budget))]
        guesses = [self._interpolate_to(instance, q) for q in self.goal_postures(instance, budget)]
        return sorted(guesses, key=lambda guess: self._cost_if_finite(guess, instance))

    def _cost_if_finite(self, guess: Guess, instance: Instance) -> float:
        """The total cost; infinite for a motion that diverged."""
        return self.cost(guess.X, guess.U, instance.target) if guess.finite else np.inf

    def _interpolate_to(self, instance: Instance, q: Array) -> Guess:
        Q, V = minimum_jerk(instance.x0[: self.nu], q, self.horizon, self.dt)
        return self._follow_exactly(instance, np.hstack([Q, V]) + self._stopping(instance.x0))

    def _stopping(self, x0: Array) -> Array:
        """What a start in motion adds to a motion from rest, states (T+1, 2n): it goes on, and comes back.

        Within twice the time that the limits on accelerations need to stop the arm; without them, by the end.
        """
        n, v0 = self.nu, x0[self.nu :]
        stopping = float((np.abs(v0) / self.acceleration_limit).max())
        steps = self.horizon if stopping == 0.0 else min(2 + int(2.0 * stopping / self.dt), self.horizon)
        out = np.zeros((self.horizon + 1, 2 * n))
        out[: steps + 1] = np.hstack(minimum_jerk(np.zeros(n), np.zeros(n), steps, self.dt, v0))
        return out

    def _interpolate_over(self, instance: Instance, q: Array) -> Guess:
        """To the goal of the joints by way of a configuration."""
        half = self.horizon // 2
        there = minimum_jerk(instance.x0[: self.nu], q, half, self.dt)
        onwards = minimum_jerk(q, instance.target, self.horizon - half, self.dt)
        return self._follow_exactly(instance, np.vstack([np.hstack(there)[:-1], np.hstack(onwards)]))

    def _follow_exactly(self, instance: Instance, desired: Array) -> Guess:
        """From the start after the velocities of desired states (T+1, nx), as far as the limits let it."""
        X, U = self.track(instance.x0, desired[1:], 0.0)
        return Guess(X, np.clip(U, -self.torque_limit, self.torque_limit))

    def bend(self, guess: Guess, instance: Instance, budget: Budget = UNLIMITED) -> Guess | None:
        """A motion that ends near a target, bent to end at it with the nearest posture there; None if there is none.

        The difference in joint space is added to it with the time law of the interpolation.
        """
        end = guess.X[-1, : self.nu]
        q = inverse_kinematics(self.robot, end, instance.target, over=budget.over)
        if q is None or self.robot.colliding_pair(q) is not None:
            return None
        Q, V = minimum_jerk(np.zeros(self.nu), q - end, self.horizon, self.dt)
        return self._follow_exactly(instance, guess.X + np.hstack([Q, V]))

    def gravity_rollout(self, instance: Instance) -> Guess:
        """The arm holding its start against gravity."""
        q = instance.x0[: self.nu]
        U = np.tile(np.clip(self.robot.gravity(q), -self.torque_limit, self.torque_limit), (self.horizon, 1))
        return Guess(self.simulate(instance.x0, U), U)

    def starts(self, instance: Instance, n: int, rng: np.random.Generator, budget: Budget = UNLIMITED) -> list[Guess]:
        """n different starts: nearest interpolation, gravity, interpolations to other postures, random ones last."""
        nearest, *others = self._interpolations(instance, budget)
        guesses = [nearest, self.gravity_rollout(instance), *others][:n]
        while len(guesses) < n and self.goal_type == "joints":
            guesses.append(self._interpolate_over(instance, self._sample_configuration(rng, None)))
        while len(guesses) < n:
            q = self.reachable_configuration(instance.x0[: self.nu], instance.target, rng, budget)
            guesses.append(self._interpolate_to(instance, q) if q is not None else guesses[0])
        return guesses
