"""From a state and a goal to a plan that may be executed: propose, refine, verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import DeadlineError, PlanInterruptedError, PlanningError, PlanRefusedError
from sobo_planner.motion import Optimum
from sobo_planner.planning.attempts import CLEARANCES
from sobo_planner.planning.global_start import GlobalStarter
from sobo_planner.planning.judge import FEASIBLE, Checker, Judge
from sobo_planner.planning.leaving import way_out
from sobo_planner.planning.plan import REACHED, Plan, PlanStatus, Surroundings, reached
from sobo_planner.planning.search import Found, Search
from sobo_planner.planning.starters import (
    AlternativeStarter,
    InterpolationStarter,
    PolicyStarter,
    SamplingStarter,
    Starter,
)
from sobo_planner.policy import Policy
from sobo_planner.safety import PlanChecker
from sobo_planner.solver import UNLIMITED, Budget, Instance, Interrupt, Precision, Refinement, RefinementSolvers
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_planner.tasks.arm.instances import GOAL_TYPES
from sobo_planner.tasks.arm.timing import Pace
from sobo_planner.world import World

Array = NDArray[np.float64]

#: Refinements that more than one plan in a hundred needs; the solver of each problem takes 7 MB.
PREPARED = (
    Refinement(),
    Refinement(position_limits=True),
    Refinement(precision=Precision.TERMINAL),
    Refinement(clearance=CLEARANCES[0]),
)

# Ways past objects that are searched for at most: with a gripper in a cage, three sometimes are not enough.
WAYS = 8

__all__ = ["FEASIBLE", "REACHED", "Plan", "PlanStatus", "Planner"]


@dataclass(frozen=True)
class _Parts:
    """What planning for one type of goal needs."""

    task: ArmReach
    solvers: RefinementSolvers
    search: Search


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
        self.world, self._margin = task.robot.world if world is None else world, margin
        self._checker, self._seed, self._gains = checker, seed, gains
        self._first_order = first_order or gains is Gains.TASK
        self._proposing: PolicyStarter | None = None
        if policy is not None:
            self._proposing = PolicyStarter(policy, task.config.policy.samples if samples is None else samples, seed)
        # The interpolation comes first: it takes a millisecond, and a short deadline may leave no time for a rollout.
        own: list[Starter] = [InterpolationStarter()]
        if self._proposing is not None:
            own.append(self._proposing)
        self._starters = own if starters is None else starters
        self._parts = {task.goal_type: self._make(task)}
        self._views: dict[str, tuple[tuple[int, object], _Parts]] = {}

    @property
    def policy_failures(self) -> int:
        """How often the policy's output was not finite."""
        return 0 if self._proposing is None else self._proposing.failures

    def prepare(self, goal_type: str = "position") -> None:
        """Builds all solvers for a type of goal (`GOAL_TYPES`); otherwise the first plans that need them do.

        Raises:
            PlanningError: There is no such type.
        """
        if goal_type not in GOAL_TYPES:
            raise PlanningError(f"unknown type of goal {goal_type!r}; use {', '.join(GOAL_TYPES)}")
        for refinement in PREPARED:
            self._of(goal_type).solvers.solver(refinement)

    def _make(self, task: ArmReach) -> _Parts:
        solvers = RefinementSolvers(task, first_order=self._first_order)
        judge, others = Judge(task, self._checker, self._gains), AlternativeStarter(self._seed)
        rest = (GlobalStarter(self._seed + each) for each in range(3, WAYS))
        around = (GlobalStarter(self._seed), GlobalStarter(self._seed + 1, self._seed + 2), *rest)
        search = Search(task, self._starters, others, solvers, judge, SamplingStarter(self._seed), around)
        q = np.array(task.config.robot.home)
        target = q if task.goal_type == "joints" else task.robot.tool_pose(q)[: task.goal_size]
        home = Instance(np.concatenate([q, np.zeros(task.nu)]), target)
        search.measure(home, task.gravity_rollout(home))
        return _Parts(task, solvers, search)

    def _of(self, goal_type: str) -> _Parts:
        if goal_type not in self._parts:
            self._parts[goal_type] = self._make(self.task.with_goal_type(goal_type))
        return self._parts[goal_type]

    def _among(self, goal_type: str, world: World) -> _Parts:
        """What planning for a type of goal in a world needs; that of the last world is kept."""
        parts = self._of(goal_type)
        own = parts.task.robot.world
        if world.version == own.version or not (world.everything or own.everything):
            return parts
        made_for = (world.version, parts.task.robot.native)
        if self._views.get(goal_type, (None,))[0] != made_for:
            view = parts.task.with_world(world, self._margin)
            self._views[goal_type] = made_for, _Parts(view, parts.solvers.of(view), parts.search.of(view))
        return self._views[goal_type][1]

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
        parts = self._among(
            "joints" if goal is None else "pose" if instance.target.shape == (7,) else "position",
            self.world if world is None else world,
        )
        parts.task.check_limits(instance.x0)
        leaving = None
        if parts.task.robot.contact(instance.x0[: self.task.nu]) is not None:
            leaving = way_out(parts.task, instance.x0)
            instance = Instance(leaving.end, instance.target)
        parts.task.check_goal(instance, budget)
        instance = parts.task.nearest(instance)
        task = parts.task.from_rest_to_rest(pace, instance.x0)
        plan = self._from_a_free_start(parts, task, instance, pace, budget)
        return plan if leaving is None else self._checked(leaving.before(plan, task), parts.task)

    def _from_a_free_start(self, parts: _Parts, task: ArmReach, instance: Instance, pace: Pace, budget: Budget) -> Plan:
        """The plan of an instance that was checked."""
        try:
            plan = self._plan(task, instance, parts.search.of(task).run(instance, budget), budget)
        except (PlanInterruptedError, DeadlineError):
            raise
        except PlanningError:
            if pace.duration is not None:
                self._refuse_if_more_time_would_do(parts, pace, pace.duration, instance, budget)
            raise
        if plan.status is PlanStatus.SHORT and pace.duration is not None:
            self._refuse_if_more_time_would_do(parts, pace, pace.duration, instance, budget)
        return plan

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
        parts = self._among("position", self.world if world is None else world)
        parts.task.check(instance, budget)
        task = parts.task.from_rest_to_rest(Pace(), instance.x0)
        found = parts.search.of(task).run(instance, budget)
        return task if found.duration is None else task.lasting(found.duration), found

    def among(self, world: World) -> ArmReach:
        """The planner's task in a world, as plans there are made for it."""
        return self._among(self.task.goal_type, world).task

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
        task = self._among(self._goal_type(plan), world).task
        self._checked(plan, task, "the world changed while it was planned for: ")
        free = 0 if plan.left is None else plan.left.steps
        return replace(plan, surroundings=self._surroundings(task, plan.X[free:]))

    def _checked(self, plan: Plan, task: ArmReach, why: str = "") -> Plan:
        """The plan, which the checker passes in the world of a task; raises PlanRefusedError where it does not."""
        checker: Checker = PlanChecker(task) if self._checker is None else self._checker.of(task)
        violation = checker.check(plan.time, plan.X, plan.U, plan.K)
        if violation is not None:
            raise PlanRefusedError(why + violation.detail)
        return plan

    def _surroundings(self, task: ArmReach, X: Array) -> Surroundings | None:
        world, known = task.robot.world, None if self.policy is None else self.policy.world
        knows_another = known is not None and known["hash"] != world.hash
        if not (world.everything or knows_another):
            return None
        around = Surroundings.along(task.robot, X[:, : task.nu])
        return replace(around, policy_knows=self.policy.artifact.knows) if self.policy and knows_another else around

    def _goal_type(self, plan: Plan) -> str:
        if plan.joint_error is not None:
            return "joints"
        return "position" if plan.orientation_error is None else "pose"

    def _refuse_if_more_time_would_do(
        self, parts: _Parts, pace: Pace, duration: float, instance: Instance, budget: Budget
    ) -> None:
        """Raises PlanningError if a motion that lasts longer than asked for reaches the goal."""
        task = parts.task.from_rest_to_rest(replace(pace, duration=None), instance.x0)
        try:
            longer = self._plan(task, instance, parts.search.of(task).run(instance, budget), budget)
        except PlanInterruptedError:
            raise
        except PlanningError:  # of that time nothing is known
            return
        if longer.status is not PlanStatus.SHORT and longer.duration > duration:
            raise PlanningError(
                f"the goal cannot be reached in {duration:g} s: the shortest motion that was found takes "
                f"{longer.duration:.2f} s; ask for that or more, or for no duration"
            )

    def _plan(self, task: ArmReach, instance: Instance, found: Found, budget: Budget) -> Plan:
        solution, target, proposal = found.solution, instance.target, found.proposal
        if proposal is not None and proposal.duration is None:
            proposal = replace(proposal, duration=task.duration)
        tool_error = task.tool_distance(solution.X[-1], target)
        off = task.final_error(solution.X, target) if task.goal_type == "joints" else None
        angle = task.orientation_error(solution.X[-1], target) if task.goal_type == "pose" else None
        status = PlanStatus.CONVERGED if solution.converged else PlanStatus.FEASIBLE
        view = task if found.duration is None else task.lasting(found.duration)
        U, K = commands(view, self._gains, solution.X, solution.U, solution.K)
        seconds = found.account.seconds | {"total": budget.elapsed()}
        return Plan(
            status=status if reached(tool_error, angle, off) else PlanStatus.SHORT,
            time=np.linspace(0.0, view.duration, task.horizon + 1),
            X=solution.X,
            U=U,
            K=K,
            cost=view.cost(solution.X, solution.U, target),
            violation=solution.primal_residual,
            iterations=found.account.iterations,
            tool_error=tool_error,
            orientation_error=angle,
            joint_error=off,
            source=found.source,
            phases_ms={name: 1e3 * value for name, value in seconds.items()},
            goal=target,
            optimum=Optimum(solution.U, solution.K) if self._first_order else None,
            surroundings=self._surroundings(task, solution.X),
            proposal=proposal,
        )
