"""The plan that is made of what a search has found."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sobo_planner.motion import Optimum
from sobo_planner.planning.plan import Plan, PlanStatus, Surroundings, reached
from sobo_planner.planning.record import Found
from sobo_planner.policy import Policy
from sobo_planner.solver import Budget, Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PlanMaker:
    """Makes plans.

    Attributes:
        gains: Which gains they have.
        first_order: Whether they come with `Plan.optimum`.
        policy: The policy that proposes starts, if there is one.
    """

    gains: Gains
    first_order: bool
    policy: Policy | None

    def make(self, task: ArmReach, instance: Instance, found: Found, budget: Budget) -> Plan:
        """The plan for an instance of a task, from what a search with a budget has found."""
        solution, target, proposal = found.solution, instance.target, found.proposal
        if proposal is not None and proposal.duration is None:
            proposal = replace(proposal, duration=task.duration)
        tool_error = task.tool_distance(solution.X[-1], target)
        off = task.final_error(solution.X, target) if task.goal_type == "joints" else None
        angle = task.orientation_error(solution.X[-1], target) if task.goal_type == "pose" else None
        status = PlanStatus.CONVERGED if solution.converged else PlanStatus.FEASIBLE
        view = task if found.duration is None else task.lasting(found.duration)
        U, K = commands(view, self.gains, solution.X, solution.U, solution.K)
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
            optimum=Optimum(solution.U, solution.K) if self.first_order else None,
            surroundings=self.surroundings(task, solution.X),
            proposal=proposal,
        )

    def surroundings(self, task: ArmReach, X: Array) -> Surroundings | None:
        """What is around states X (N, nx) in the world of a task.

        None if that is empty, unless the policy knows a world that is not.
        """
        world, known = task.robot.world, None if self.policy is None else self.policy.world
        knows_another = known is not None and known["hash"] != world.hash
        if not (world.everything or knows_another):
            return None
        around = Surroundings.along(task.robot, X[:, : task.nu])
        return replace(around, policy_knows=self.policy.artifact.knows) if self.policy and knows_another else around
