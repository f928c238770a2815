"""The optimal control problem of an arm: costs, bounds, and what the native solver gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.robot import Robot
from sobo_planner.solver import Instance, Precision, Refinement
from sobo_planner.tasks.arm.paces import ArmPaces
from sobo_planner.tasks.batch import BatchCosts, Reference, arm_costs
from sobo_planner.tasks.config import Weights
from sobo_planner.tasks.weights import CostWeights, flat, named_weights

Array = NDArray[np.float64]

# Where links are kept apart: the distance below which they cost [m], how long the one at the end counts [s], and the
# usual weight [1/(m^2 s)]. Of 44 plans of the UR5 that collide these free 37 at 1.03 times the cost; all end at the
# goal. With 3 cm it is 38, at 1.2 times, and 5 end short; with a weight of 500, 28. Ten times the weight frees 6 more.
SELF_MARGIN = 0.01
# The same for objects, beyond the distance that is to be kept from them.
OBJECT_MARGIN = 0.02
SELF_TIME = 0.1
SELF_WEIGHT = 2e3
# Among objects, in every problem: fewer motions graze them than with a fifth of it, as many problems are solved.
AMONG_WEIGHT = 1e4
# Factor on the weight of the goal where it is to be reached more precisely. Near the edge of the workspace, holding the
# arm up with less torque can be worth a centimetre to the original task.
PRECISE = 100.0
# The same along the way, for a receding horizon. With 100, an arm that had reached its goal may leave it again, by 4 cm
# for 0.7 s, to change to a posture in which less torque holds it (one of 50 goals; with 1000 none).
STAYING = 1000.0
PLAIN = Refinement()


class ArmProblem(ArmPaces):
    """A task file's weights and bounds as a native problem.

    Attributes:
        robot: The arm.
        velocity_limit: Largest speeds, (nu,).
        acceleration_limit: Largest accelerations, (nu,); infinite for problems without.
        integrator: Of rollouts and simulated motions, see `Robot.step`.
    """

    robot: Robot
    velocity_limit: Array
    acceleration_limit: Array
    integrator: str

    def make_worker(self, refinement: Refinement = PLAIN) -> _native.Worker:
        """Builds the native problem with a solver of its own.

        Args:
            refinement: Parts of the problem that are on, beside those of the task file. Without collision geometry
                (`robot.collision: false`) clearance has no effect.
        """
        return _native.Worker(self.robot.native, self._spec(refinement))

    def adapt(self, worker: _native.Worker, refinement: Refinement) -> _native.Worker:
        """Switches the parts of a native problem that `make_worker` has built; with RK2 it is built again."""
        spec = self._spec(refinement)
        if not spec.adaptable:
            return self.make_worker(refinement)
        worker.adapt(self.robot.native, spec)
        return worker

    def _spec(self, refinement: Refinement) -> _native.ReachSpec:
        problem, pose = self.config.problem, self.config.pose
        clearance = max(refinement.clearance, self.least_clearance)
        terminal = 1.0 if refinement.precision is Precision.TASK else PRECISE
        running = STAYING if refinement.precision is Precision.THROUGHOUT else 1.0
        spec = _native.ReachSpec()
        spec.horizon, spec.dt, spec.integrator = self.horizon, self.dt, problem.integrator
        spec.joints, spec.actuation = self.goal_type == "joints", np.eye(self.nu)
        spec.accelerations = problem.integrator != "rk2"
        goal = self.config.joints if self.goal_type == "joints" else pose
        spec.running = self._weights(problem.running, goal.running, self.dt, running, clearance)
        spec.terminal = self._weights(problem.terminal, goal.terminal, 1.0, terminal, clearance)
        spec.control = _native.Box(self.control_lower, self.control_upper)
        if problem.velocity_limits:
            spec.velocity = _native.Box(-self.velocity_limit, self.velocity_limit)
        if np.isfinite(self.acceleration_limit).any():
            spec.acceleration = _native.Box(-self.acceleration_limit, self.acceleration_limit)
            spec.ramp_start, spec.ramp_end = self.ramps
        if refinement.position_limits:
            spec.position = _native.Box(*self.position_bounds())
        spec.adaptable = problem.integrator != "rk2"
        return spec

    def _weights(
        self, weights: Weights, goal: float, scale: float, precision: float, clearance: float
    ) -> _native.ReachWeights:
        """The weights of a running stage (`scale` is its length [s]) or of the end (1), times `cost_scale`.

        `goal` is that of the orientation, or of the joints.
        """
        out, joints = _native.ReachWeights(), self.goal_type == "joints"
        clearance *= self.cost_scale * min(scale, SELF_TIME)
        scale *= self.cost_scale
        if self.goal_type == "pose":
            out.orientation = np.full(3, scale * (precision * goal))
        out.self_distance, out.self_margin, out.object_margin = clearance, SELF_MARGIN, OBJECT_MARGIN
        out.position = np.full(3, 0.0 if joints else scale * (precision * weights.position))
        position = precision * goal if joints else 0.0
        out.state = scale * np.repeat([position, weights.velocity], self.nu)
        out.control = np.full(self.nu, scale * weights.torque)
        out.state_reference, out.control_reference = np.zeros(self.nx), np.zeros(self.nu)
        return out

    def cost_weights(self) -> CostWeights:
        """The weights of its cost, by name, those on the goal's orientation or joints among them."""
        problem, zero = self.config.problem, Weights(0.0, 0.0)

        def flat_of(running: Weights, terminal: Weights, goals: tuple[float, float] = (0.0, 0.0)) -> Array:
            first = self._weights(running, goals[0], self.dt, 1.0, 0.0)
            return np.array([flat(first), flat(self._weights(terminal, goals[1], 1.0, 1.0, 0.0))])

        named = named_weights(problem.running, problem.terminal, flat_of)
        if self.goal_type == "position":
            return named
        goal = self.config.joints if self.goal_type == "joints" else self.config.pose
        return named.and_more(
            {
                f"{self.goal_type}.running": (goal.running, flat_of(zero, zero, (1.0, 0.0))),
                f"{self.goal_type}.terminal": (goal.terminal, flat_of(zero, zero, (0.0, 1.0))),
            }
        )

    @property
    def least_clearance(self) -> float:
        """Weight of the cost on links that come near each other or an object, in every problem [1/(m^2 s)]."""
        return AMONG_WEIGHT if self.robot.world.everything else 0.0

    def batch_costs(
        self, instance: Instance, controls: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """See `Task.batch_costs`; limits on positions count as bounds."""
        return self._batch(instance, controls, False, threads, reference)

    def motion_costs(
        self, instance: Instance, velocities: Array, *, threads: int = 1, reference: Reference | None = None
    ) -> BatchCosts:
        """See `Task.motion_costs`; limits on positions count as bounds."""
        return self._batch(instance, velocities, True, threads, reference)

    def _batch(
        self, instance: Instance, inputs: Array, motions: bool, threads: int, reference: Reference | None
    ) -> BatchCosts:
        spec = self._spec(Refinement(position_limits=True))
        spec.integrator = self.integrator
        found = arm_costs(self.robot, spec, instance, inputs, motions, threads, reference)
        return replace(found, cost=found.cost / self.cost_scale)
