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

# Postures at a position that interpolations lead to. From the cheapest one, solutions of the UR5 cost 1.01 times as
# much as those from the best of six starts, from the nearest one 1.10 times, in 7.5 instead of 8 iterations.
NEAREST = 3


class ArmStarts(ArmInstances, Task):
    """Starts of one arm, consistent with its dynamics and within its torque limits.

    Attributes:
        torque_limit: Largest torques [Nm], (nu,).
        velocity_limit: Largest speeds, (nu,).
        acceleration_limit: Largest accelerations, (nu,); infinite for problems without.
    """

    config: ArmConfig
    torque_limit: Array
    velocity_limit: Array
    acceleration_limit: Array

    @abstractmethod
    def track(self, x: Array, desired: Array, blend: float, velocity_share: float = 1.0) -> tuple[Array, Array]:
        """Follows desired states within the limits."""

    def interpolate(self, instance: Instance, budget: Budget = UNLIMITED) -> Guess:
        """The cheapest of `interpolations`."""
        return self.interpolations(instance, budget)[0]

    def interpolate_near(self, instance: Instance, budget: Budget = UNLIMITED) -> Guess:
        """The interpolation to the nearest posture; to the cheapest one at a pose, whose postures may be far apart."""
        if self.goal_type == "pose":
            return self.interpolate(instance, budget)
        return self._interpolate_to(instance, self.goal_configuration(instance, budget))

    def interpolations(self, instance: Instance, budget: Budget = UNLIMITED) -> list[Guess]:
        """Joint interpolations to inverse-kinematics solutions, with the torques they need, cheapest first.

        One leads to each of `goal_postures` at a pose, and to the nearest ones at a position.

        Raises:
            TaskError: The target is out of reach.
            DeadlineError: The budget ran out before there was one.
        """
        guesses = [self._interpolate_to(instance, q) for q in self._interpolated(instance, budget)]
        return sorted(guesses, key=lambda guess: self._cost_if_finite(guess, instance))

    def lines(self, instance: Instance, budget: Budget = UNLIMITED) -> list[Array]:
        """The ways (T+1, nq) of `interpolations` from rest: straight lines, nearest first at a position.

        Raises:
            TaskError: The target is out of reach.
            DeadlineError: The budget ran out before there was one.
        """
        q0 = instance.x0[: self.nu]
        return [np.linspace(q0, q, self.horizon + 1) for q in self._interpolated(instance, budget)]

    def _interpolated(self, instance: Instance, budget: Budget) -> list[Array]:
        """The postures that interpolations lead to."""
        if self.goal_type == "joints":
            return [instance.target]
        postures, q0 = self.goal_postures(instance, budget), instance.x0[: self.nu]
        if self.goal_type == "pose":
            return postures
        return sorted(postures, key=lambda q: float((np.abs(q - q0) / self.velocity_limit).sum()))[:NEAREST]

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
        """n different starts: cheapest interpolation, gravity, interpolations to other postures, random ones last."""
        cheapest, *others = self.interpolations(instance, budget)
        guesses = [cheapest, self.gravity_rollout(instance), *others][:n]
        while len(guesses) < n:
            guesses.append(self.elsewhere(instance, rng, budget) or cheapest)
        return guesses

    def elsewhere(self, instance: Instance, rng: np.random.Generator, budget: Budget = UNLIMITED) -> Guess | None:
        """The interpolation to a random posture at the target, or by way of a random configuration to a goal of joints.

        None where no posture was found.
        """
        if self.goal_type == "joints":
            return self._interpolate_over(instance, self._sample_configuration(rng, None))
        q = self.reachable_configuration(instance.x0[: self.nu], instance.target, rng, budget)
        return None if q is None else self._interpolate_to(instance, q)
