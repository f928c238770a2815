"""A receding horizon in closed loop with a simulated arm, without clocks or threads, checked at every hand-over."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import POSITION_JUMP, VELOCITY_JUMP, Followed, Motion
from sobo_planner.motion.braking import Brakes
from sobo_planner.receding import Cycle, RecedingPlanner
from sobo_planner.receding.proposer import Proposer, _Question
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains

Array = NDArray[np.float64]

PERIOD = 0.01  # [s] from cycle to cycle
STEP = 1e-3  # [s] of the plant and its controller
LEAD = 2  # periods from a cycle's beginning to the hand-over
N = 6
JUMP = np.repeat([POSITION_JUMP, VELOCITY_JUMP], N) + 1e-9
UNHURRIED = 1e3  # [s] budget of a cycle: results do not depend on how fast the machine is


class PromptProposer(Proposer):
    """Answers within `ask`, so that a run can be repeated."""

    def ask(self, instance: Instance, begin: float) -> None:
        motion = self._roll_out(_Question(instance, begin))
        self._answer = None if motion is None else (instance.target, motion)


def receding(
    task: ArmReach,
    proposer: Proposer | None = None,
    *,
    checker: PlanChecker | None = None,
    propose_every: int = 25,
    gains: Gains = Gains.TRACKING,
) -> RecedingPlanner:
    """A planner whose cycles end when their iterations do."""
    checker = checker or PlanChecker(task)
    return RecedingPlanner(
        task,
        checker,
        Brakes(task, checker),
        Followed(),
        proposer,
        budget=UNHURRIED,
        propose_every=propose_every,
        gains=gains,
    )


@dataclass
class Loop:
    """The arm under the motions of a planner, which `run` checks one by one.

    Attributes:
        task: What is planned for.
        planner: What plans.
        x: State of the plant, (12,).
        mass_error: Share by which the plant is heavier than the model.
        noise: Standard deviations of the measured positions [rad] and velocities [rad/s].
        frozen: The plant stands still, whatever its torques are.
        origin: Time at the beginning [s].
        motions: What was published, in order.
        cycles: Results of the cycles, in order.
    """

    task: ArmReach
    planner: RecedingPlanner
    x: Array
    mass_error: float = 0.0
    noise: tuple[float, float] = (0.0, 0.0)
    frozen: bool = False
    origin: float = 0.0
    motions: list[Motion] = field(default_factory=list)
    cycles: list[Cycle] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._plant = self.task.robot.with_mass_scale(1.0 + self.mass_error) if self.mass_error else self.task.robot
        self._checker = PlanChecker(self.task)
        self._rng = np.random.default_rng(7)
        self._steps = 0

    def run(self, target: Array, cycles: int) -> list[Cycle]:
        """Runs some cycles towards a target. Returns their results."""
        for _ in range(cycles):
            measured = self.x + self._rng.normal(size=2 * N) * np.repeat(self.noise, N)
            cycle = self.planner.cycle(measured, self.now, target, self.now + LEAD * PERIOD)
            self.cycles.append(cycle)
            if cycle.motion is not None:
                self._check(cycle)
                self.planner.followed.add(cycle.motion, self.now)
                self.motions.append(cycle.motion)
            for _ in range(round(PERIOD / STEP)):
                self._step()
        return self.cycles[-cycles:]

    @property
    def now(self) -> float:
        """Time [s]."""
        return self.origin + self._steps * STEP

    def tool_distance(self, target: Array) -> float:
        """Of the plant's tool to a target [m]."""
        return float(np.linalg.norm(self.task.robot.tool_position(self.x[:N]) - target[:3]))

    def desired(self, time: float) -> Array:
        """What the arm is meant to do at a time."""
        followed = self.followed(time)
        assert followed is not None
        return followed.state(time)

    def followed(self, time: float) -> Motion | None:
        """The motion that the arm follows at a time; None before the first begins."""
        return next((motion for motion in reversed(self.motions) if motion.begin <= time + 1e-6), None)

    def _check(self, cycle: Cycle) -> None:
        motion = cycle.motion
        assert motion is not None
        assert motion.begin == self.now + LEAD * PERIOD
        assert self._checker.check(motion.time, motion.X, motion.U, motion.K) is None
        assert np.abs(self._needed(motion) - motion.U).max() <= 0.1, "torques of the middle of each step"
        if self.motions and not cycle.lost:
            step = motion.X[0] - self.motions[-1].state(motion.begin)
            assert (np.abs(step) <= JUMP).all(), step

    def _needed(self, motion: Motion) -> Array:
        """Torques within the limits that follow the states of a motion, (T, n)."""
        robot, limit = self.task.robot, self.task.torque_limit
        middle, a = 0.5 * (motion.X[:-1] + motion.X[1:]), np.diff(motion.X[:, N:], axis=0) / motion.dt
        torques = [robot.inverse_dynamics(x[:N], x[N:], each) for x, each in zip(middle, a, strict=True)]
        return np.clip(torques + robot.friction_torque(middle[:, N:]), -limit, limit)

    def _step(self) -> None:
        motion = self.followed(self.now)
        if motion is None:
            torque = self.task.robot.gravity(self.x[:N])
        else:
            stage = motion.stage(self.now)
            torque = motion.U[stage] + motion.K[stage] @ (self.x - motion.state(self.now))
        if not self.frozen:
            limit = self.task.torque_limit
            friction = self._plant.friction_torque(self.x[N:])
            self.x = self._plant.step(self.x, np.clip(torque, -limit, limit) - friction, STEP)
        self._steps += 1
