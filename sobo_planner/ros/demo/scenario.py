"""What the demo does with the robot, and how it is measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from sobo_planner.errors import TaskError
from sobo_planner.ros.demo.cell import clearance, target_among
from sobo_planner.ros.demo.client import DemoClient, Motion
from sobo_planner.ros.demo.processes import DemoError
from sobo_planner.ros.demo.results import REACHED, ErrorCurve, GoalResult, Trial
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks import ArmReach

Vector = NDArray[np.float64]

SETTLE = 0.5  # [s] between the end of a plan and the measurement of its final error
SAMPLES = 1000  # targets looked at before we say that none can be reached from here
INSTANCES = 10  # tried for each disturbed goal until the planner takes one
DISTURBANCE: dict[str, Any] = {
    "mass_error": 0.2,
    "push_force": [40.0, 40.0, 0.0],
    "push_time": 0.3,
    "push_duration": 0.1,
}
UNDISTURBED: dict[str, Any] = {"mass_error": 0.0, "push_force": [0.0, 0.0, 0.0], "use_gains": True}


def reach_goals(
    client: DemoClient, task: ArmReach, count: int, rng: np.random.Generator
) -> tuple[list[GoalResult], list[ErrorCurve], list[Vector]]:
    """Sends random goals one after the other, each from where the arm is then; in a world, goals near its objects.

    Returns:
        Results; and of the goals that were not refused, the errors over time and the joint positions (N, n).
    """
    solver = None if task.robot.world.objects else Solver(task)
    results, curves, ways = [], [], []
    progress = tqdm(range(count), desc="goals", unit="goal")
    for _ in progress:
        x = valid_state(client, task)
        target = reachable_target(task, x, rng) if solver else target_among(task, x, rng)
        motion = client.move_to(target, SETTLE)
        result = goal_result(task, solver, target, motion)
        results.append(result)
        if not motion.refused:
            curves.append(error_curve(task, target, motion))
            ways.append(motion.X[:, : task.robot.nq])
        progress.set_postfix(reached=f"{sum(r.reached for r in results)}/{len(results)}")
    return results, curves, ways


def valid_state(client: DemoClient, task: ArmReach) -> Vector:
    """The arm's state (2n,), after putting it home if no plan may start from where it is.

    An arm that is off its plan may end where the next plan cannot begin.
    """
    x = client.fresh_state()
    try:
        task.check(Instance(x, task.robot.tool_position(x[: task.robot.nq])))
    except TaskError as error:
        tqdm.write(f"putting the arm home: {error}")
        client.place_arm(np.array(task.config.robot.home))
        x = client.fresh_state()
    return x


def reachable_target(task: ArmReach, x: Vector, rng: np.random.Generator) -> Vector:
    """A target (3,) [m] from the task's distribution that the task accepts from state x (2n,)."""
    refusal: TaskError | None = None
    for _ in range(SAMPLES):
        target = task.sample(rng).target
        try:
            task.check(Instance(x, target))
        except TaskError as error:
            refusal = error
            continue
        return np.asarray(target)
    raise DemoError(f"no reachable target among {SAMPLES} samples; the last was refused: {refusal}")


def goal_result(task: ArmReach, solver: Solver | None, target: Vector, motion: Motion) -> GoalResult:
    """Measures one motion, and solves the same instance from the naive start for comparison, if there is a solver."""
    if motion.refused:
        return GoalResult(target.tolist(), reached=False, refused=motion.refused)
    report = motion.report
    error = float(tool_error(task, motion.X[-1:], target)[0])
    instance = Instance(np.array(report["start"]), target)
    cold = solver.solve(instance, task.interpolate(instance)) if solver else None
    phases = report["phases_ms"]
    distance, nearest = clearance(task, motion.X[:, : task.robot.nq])
    return GoalResult(
        target=target.tolist(),
        reached=error < REACHED,
        final_error_m=error,
        plan_ms=phases["total"],
        policy_ms=phases.get("policy", 0.0),
        refine_ms=phases["refine"],
        iterations_warm=report["iterations"],
        iterations_cold=int(cold.iterations) if cold else None,
        cost_warm=report["cost"],
        cost_cold=float(cold.cost) if cold and np.isfinite(cold.cost) else None,
        source=report["source"],
        clearance_m=distance,
        nearest=nearest,
    )


def compare_gains(client: DemoClient, task: ArmReach, count: int, rng: np.random.Generator) -> list[Trial]:
    """Sends the same goals from the same starts to a disturbed arm, with and without feedback gains."""
    trials = []
    for _ in tqdm(range(count), desc="disturbed goals", unit="goal"):
        for _ in range(INSTANCES):
            instance = task.sample(rng)
            pair = [disturbed_trial(client, task, instance, gains) for gains in (True, False)]
            found = [trial for trial in pair if trial is not None]
            if len(found) == len(pair):  # the planner took both: the states it starts from differ a little
                trials += found
                break
        client.set_simulator(**UNDISTURBED)
    return trials


def disturbed_trial(client: DemoClient, task: ArmReach, instance: Instance, gains: bool) -> Trial | None:
    """One disturbed motion from the instance's start; None when the planner refuses the goal."""
    client.set_simulator(**DISTURBANCE, use_gains=gains)
    client.place_arm(instance.x0[: task.robot.nq])
    motion = client.move_to(instance.target, 0.0)
    return None if motion.refused else measure_trial(task, instance.target, gains, motion)


def measure_trial(task: ArmReach, target: Vector, gains: bool, motion: Motion) -> Trial:
    """Errors of one disturbed motion, up to the end of its plan."""
    during = motion.time <= motion.plan_time[-1]
    n = task.robot.nq
    planned = np.column_stack([np.interp(motion.time[during], motion.plan_time, motion.plan_X[:, i]) for i in range(n)])
    actual = task.robot.tool_positions(motion.X[during, :n])
    peak = np.linalg.norm(actual - task.robot.tool_positions(planned), axis=1).max()
    final = np.linalg.norm(actual[-1] - target)
    return Trial([float(value) for value in target], gains, float(final), float(peak))


def error_curve(task: ArmReach, target: Vector, motion: Motion) -> ErrorCurve:
    """Tool error over the whole motion."""
    return ErrorCurve(motion.time, tool_error(task, motion.X, target), float(motion.plan_time[-1]))


def tool_error(task: ArmReach, X: Vector, target: Vector) -> Vector:
    """Distance (N,) [m] of the tool from the target in states X (N, 2n)."""
    positions = task.robot.tool_positions(np.ascontiguousarray(X[:, : task.robot.nq]))
    return np.asarray(np.linalg.norm(positions - target, axis=1))
