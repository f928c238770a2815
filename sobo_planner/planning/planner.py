"""From a state and a goal to a plan that may be executed: propose, refine, verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.planning.judge import FEASIBLE, Checker
from sobo_planner.planning.leaving import way_out
from sobo_planner.planning.plan import REACHED, Plan, PlanStatus
from sobo_planner.planning.plan_maker import PlanMaker
from sobo_planner.planning.policy_starter import PolicyStarter
from sobo_planner.planning.record import Found
from sobo_planner.planning.setups import Setup, Setups
from sobo_planner.planning.starters import InterpolationStarter, Starter
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import UNLIMITED, Budget, Instance, Interrupt
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import World

__all__ = ["FEASIBLE", "REACHED", "Plan", "PlanStatus", "Planner"]


class Planner:
    """Plans for one task. Used by one thread at a time; the solver releases the interpreter lock.

    Args:
        task: The task.
        policy: Proposes starts; without one, interpolation does.
        checker: Passes every plan before it is returned.
        samples: Noise samples rolled out, the cheapest of which is refined; the task file's number by default.
        seed: Of the diffusion noise. The noise is the same for every call, so that equal calls give equal plans.
        starters: Propose the first starts instead of policy and interpolation.
        gains: Which gains plans have.
        first_order: Whether solutions come with gains and Jacobians of the optimal control problem, for `Plan.optimum`
            and `optimum`. Solves take a quarter longer then. Always, if plans have these gains.
        world: What surrounds the arm, unless `plan` is given another one; by default the world of the task.
        margin: Distance [m] to be kept from objects.

    Attributes:
        world: What surrounds the arm; may be replaced between plans.
    """

    def __init__(
        self,
        task: ArmReach,
        policy: Policy | None = None,
        checker: Checker | None = None,
        *,
        samples: int | None = None,
        seed: int = 0,
        starters: Sequence[Starter] | None = None,
        gains: Gains = Gains.TRACKING,
        first_order: bool = False,
        world: World | None = None,
        margin: float = 0.0,
    ) -> None:
        self.task = task
        self.policy = policy
        self.world = task.robot.world if world is None else world
        self._checker = checker
        self._proposing: PolicyStarter | None = None
        if policy is not None:
            self._proposing = PolicyStarter(policy, task.config.policy.samples if samples is None else samples, seed)
        # The interpolation comes first: it takes a millisecond, and a short deadline may leave no time for a rollout.
        own: list[Starter] = [InterpolationStarter()]
        if self._proposing is not None:
            own.append(self._proposing)
        first_order = first_order or gains is Gains.TASK
        self._setups = Setups(
            task,
            own if starters is None else starters,
            checker,
            gains,
            first_order=first_order,
            seed=seed,
            margin=margin,
        )
        self._maker = PlanMaker(gains, first_order, policy)

    @property
    def policy_failures(self) -> int:
        """How often the policy's output was not finite."""
        return 0 if self._proposing is None else self._proposing.failures

    def prepare(self, goal_type: str = "position") -> None:
        """Builds all solvers for a type of goal (`GOAL_TYPES`); otherwise the first plans that need them do.

        Raises:
            PlanningError: There is no such type.
        """
        self._setups.prepare(goal_type)

    def plan(
        self,
        state: ArrayLike,
        goal: ArrayLike | None = None,
        deadline: float | None = None,
        interrupt: Interrupt | None = None,
        *,
        joints: ArrayLike | None = None,
        duration: float | None = None,
        velocity_scaling: float = 1.0,
        acceleration_scaling: float = 1.0,
        world: World | None = None,
    ) -> Plan:
        """Plans from a state to a goal. An arm that touches something leaves that first (`planning.leaving`).

        Args:
            state: [q, v], (nx,) [rad, rad/s].
            goal: Tool position, (3,) [m], or pose, (7,) [x, y, z, qx, qy, qz, qw], in the base frame; or None.
            deadline: Wall time [s] within which to answer, see docs/solver.md for the bound; None to converge.
            interrupt: Another thread sets it to end planning, within one solver iteration.
            joints: Positions of the joints to reach instead, (n,); whole turns are left out where the limits allow.
            duration: How long the motion is to last [s], once a contact is left; None: as long as it has to.
            velocity_scaling: Share of the robot's speeds that it may use, 0 < s <= 1.
            acceleration_scaling: The same for accelerations.
            world: What surrounds the arm; by default `Planner.world`.

        Returns:
            The first converged plan that reaches the goal, from the cheapest start; failing that, one that reaches it
            without having converged, or the one that ends closest, whose status is `SHORT`.

        Raises:
            TaskError: The state or the goal is refused; StartError if it is in a contact that cannot be left.
            PlanningError: No start led to a plan within the limits, or none reaches the goal within the duration that
                was asked for; PlanRefusedError if the checker refused one,
                DeadlineError if the time has passed, PlanInterruptedError after an interrupt.
        """
        if deadline is not None and not deadline > 0:
            raise PlanningError(f"the deadline must be positive, got {deadline} s")
        pace = Pace(duration, velocity_scaling, acceleration_scaling)
        budget = Budget(deadline, interrupt)
        if (goal is None) == (joints is None):
            raise PlanningError("give a goal of the tool, or joints")
        instance = Instance(np.array(state, float), np.array(goal if joints is None else joints, float))
        setup = self._setups.among(
            "joints" if goal is None else "pose" if instance.target.shape == (7,) else "position",
            self.world if world is None else world,
        )
        setup.task.check_limits(instance.x0)
        leaving = None
        if setup.task.robot.contact(instance.x0[: self.task.nu]) is not None:
            leaving = way_out(setup.task, instance.x0)
            instance = Instance(leaving.end, instance.target)
        setup.task.check_goal(instance, budget)
        plan, task = self._from_a_free_start(setup, setup.task.nearest(instance), pace, budget)
        return plan if leaving is None else self._checked(leaving.before(plan, task), setup.task)

    def _from_a_free_start(self, setup: Setup, instance: Instance, pace: Pace, budget: Budget) -> tuple[Plan, ArmReach]:
        """The plan of an instance that was checked, and the task at its pace."""
        task = setup.task.from_rest_to_rest(pace, instance.x0)
        try:
            plan = self._searched(setup, task, instance, budget)
        except (PlanInterruptedError, DeadlineError):
            raise
        except PlanningError:
            self._refuse_if_more_time_would_do(setup, pace, instance, budget)
            raise
        if plan.status is PlanStatus.SHORT:
            self._refuse_if_more_time_would_do(setup, pace, instance, budget)
        return plan, task

    def _refuse_if_more_time_would_do(self, setup: Setup, pace: Pace, instance: Instance, budget: Budget) -> None:
        """Raises PlanningError if a motion that lasts longer than asked for reaches the goal."""
        if pace.duration is None:
            return
        task = setup.task.from_rest_to_rest(replace(pace, duration=None), instance.x0)
        try:
            longer = self._searched(setup, task, instance, budget)
        except PlanInterruptedError:
            raise
        except PlanningError:  # of that time nothing is known
            return
        if longer.status is not PlanStatus.SHORT and longer.duration > pace.duration:
            raise PlanningError(
                f"the goal cannot be reached in {pace.duration:g} s: the shortest motion that was found takes "
                f"{longer.duration:.2f} s; ask for that or more, or for no duration"
            )

    def _searched(self, setup: Setup, task: ArmReach, instance: Instance, budget: Budget) -> Plan:
        return self._maker.make(task, instance, setup.search.of(task).run(instance, budget), budget)

    def optimum(
        self, instance: Instance, world: World | None = None, budget: Budget = UNLIMITED
    ) -> tuple[ArmReach, Found]:
        """What a plan to a position is made of, for learning: the solution, with gains and Jacobians by `first_order`.

        Args:
            instance: State (nx,) and target (3,).
            world: What surrounds the arm; by default `Planner.world`.
            budget: Time, and who may interrupt.

        Returns:
            The task at the pace of the solution, and what was found.

        Raises:
            TaskError, PlanningError: See `plan`.
        """
        setup = self._setups.among("position", self.world if world is None else world)
        setup.task.check(instance, budget)
        task = setup.task.from_rest_to_rest(Pace(), instance.x0)
        found = setup.search.of(task).run(instance, budget)
        return task if found.duration is None else task.lasting(found.duration), found

    def among(self, world: World) -> ArmReach:
        """The planner's task in a world, as plans there are made for it."""
        return self._setups.among(self.task.goal_type, world).task

    def recheck(self, plan: Plan, world: World) -> Plan:
        """A plan as it is in another world than that which it was made for.

        Args:
            plan: A plan of this planner.
            world: The world now.

        Returns:
            The same motion; its `surroundings` are those of that world.

        Raises:
            PlanRefusedError: The checker refuses it there.
        """
        task = self._setups.among(_goal_type(plan), world).task
        self._checked(plan, task, "the world changed while it was planned for: ")
        free = 0 if plan.left is None else plan.left.steps
        return replace(plan, surroundings=self._maker.surroundings(task, plan.X[free:]))

    def _checked(self, plan: Plan, task: ArmReach, why: str = "") -> Plan:
        """The plan, which the checker passes in the world of a task; raises PlanRefusedError where it does not."""
        checker: Checker = PlanChecker(task) if self._checker is None else self._checker.of(task)
        violation = checker.check(plan.time, plan.X, plan.U, plan.K)
        if violation is not None:
            raise PlanRefusedError(why + violation.detail)
        return plan


def _goal_type(plan: Plan) -> str:
    if plan.joint_error is not None:
        return "joints"
    return "position" if plan.orientation_error is None else "pose"
