"""Bugs that a review once injected and that no test noticed then; `--bugs` injects them again."""

from __future__ import annotations

from typing import NamedTuple

from source import Mutant


class Bug(NamedTuple):
    """One of them: `old`, which stands once in the file, becomes `new`."""

    name: str
    path: str
    old: str
    new: str


def bug_of(bug: Bug, source: str) -> Mutant:
    """The edit. Raises ValueError where the text to replace is not there once."""
    if source.count(bug.old) != 1:
        raise ValueError(f"the bug {bug.name!r}: {bug.path} has {source.count(bug.old)} times {bug.old!r}, expected 1")
    at = source.index(bug.old)
    start, line = len(source[:at].encode()), source[:at].count("\n") + 1
    indented = source[:at].split("\n")[-1].startswith(" ") or bug.old.startswith(" ")
    lines = tuple(range(line, line + bug.old.count("\n") + 1)) if indented else ()
    before, after = (" ".join(text.split()) for text in (bug.old, bug.new))
    return Mutant(bug.path, line, bug.name, start, start + len(bug.old.encode()), bug.new, before, after, lines)


BUGS: tuple[Bug, ...] = (
    Bug(
        "a motion that converged comes before one that reaches the goal",
        "sobo_planner/planning/record.py",
        "(verdict.miss >= 1, not solution.converged, verdict.miss)",
        "(not solution.converged, verdict.miss >= 1, verdict.miss)",
    ),
    Bug(
        "a motion that ends short stands in for one that was refused",
        "sobo_planner/planning/record.py",
        "if not (self._misses and self.refused):",
        "if True:",
    ),
    Bug(
        "plans that end ten times further off count as near misses",
        "sobo_planner/planning/follow_ups.py",
        "NEAR_MISS = 2.0",
        "NEAR_MISS = 20.0",
    ),
    Bug(
        "an improved near miss is accepted though the checker refuses it",
        "sobo_planner/planning/record.py",
        "        if verdict.reason:\n",
        "        if verdict.reason and attempt.cause is not Cause.NEAR_MISS:\n",
    ),
    Bug(
        "the costliest start comes first",
        "sobo_planner/planning/attempts.py",
        "key=lambda proposal: proposal.cost)",
        "key=lambda proposal: -proposal.cost)",
    ),
    Bug(
        "a motion that reaches the goal is tried in more time, too",
        "sobo_planner/planning/attempts.py",
        "entry[-1].cause is Cause.START]",
        "True]",
    ),
    Bug(
        "a way past objects that was not made shorter need not converge",
        "sobo_planner/planning/follow_ups.py",
        "unfinished = not fit and worked.rest > 0",
        "unfinished = False",
    ),
    Bug(
        "what touches something is never tried",
        "sobo_planner/planning/agenda.py",
        "        if self._touching:\n",
        "        if False:\n",
    ),
    Bug(
        "the last state may leave the position limits",
        "sobo_planner/planning/judge.py",
        "X[1:, : self._task.nu]",
        "X[1:-1, : self._task.nu]",
    ),
    Bug(
        "ten times the violation is allowed",
        "sobo_planner/planning/judge.py",
        "FEASIBLE = 1e-3",
        "FEASIBLE = 1e-2",
    ),
    Bug(
        "motions that collide are not refined with the second weight",
        "sobo_planner/planning/attempts.py",
        "(SELF_WEIGHT, 10 * SELF_WEIGHT)",
        "(SELF_WEIGHT,)",
    ),
    Bug(
        "torques are held against the robot's limit, not the task's",
        "sobo_planner/safety/joints.py",
        "beyond = np.abs(U) - self._task.torque_limit",
        "beyond = np.abs(U) - self._robot.effort_limit",
    ),
    Bug(
        "collisions are looked for twice as far apart",
        "sobo_planner/safety/checker.py",
        "COLLISION_STEP = 0.05",
        "COLLISION_STEP = 0.1",
    ),
    Bug(
        "torques are not limited in the prediction",
        "sobo_planner/motion/prediction.py",
        "steps, task.torque_limit, ",
        "steps, 1e9 * task.torque_limit, ",
    ),
    Bug(
        "any motion arrives",
        "sobo_planner/receding/planner.py",
        "arrives = cycle.motion is not None and cycle.tool_error <= NEAR",
        "arrives = cycle.motion is not None",
    ),
    Bug(
        "multipliers of a failed solve are kept",
        "sobo_planner/receding/solver.py",
        "if not (published or solution.converged):",
        "if False:",
    ),
    Bug(
        "the distance of a goal is not checked after its transform",
        "sobo_planner/ros/inputs/goals.py",
        "    _check_distance(position)\n    goal =",
        "    goal =",
    ),
    Bug(
        "the speed before the last decides about braking",
        "sobo_planner/safety/points.py",
        "speed = float(np.abs(states[-1, n:]).max())",
        "speed = float(np.abs(states[-2, n:]).max())",
    ),
    Bug(
        "a plan is published though a request to stop came",
        "sobo_planner/ros/outputs/plan_outputs.py",
        "if not self._open or (unless is not None and unless.is_set()):",
        "if not self._open:",
    ),
    Bug(
        "the weight on clearance is the larger of two",
        "sobo_planner/tasks/arm/problem.py",
        "self.cost_scale * min(scale, SELF_TIME)",
        "self.cost_scale * max(scale, SELF_TIME)",
    ),
    Bug(
        "trust does not depend on the number of elements",
        "training/learning/chunks.py",
        "torch.cat(squares) / n)",
        "torch.cat(squares))",
    ),
    Bug(
        "solutions that are not finite are stored",
        "training/data/collector.py",
        'return None if all(np.isfinite(value).all() for value in values) else "not_finite"',
        "return None",
    ),
    Bug(
        "the costliest solution is stored",
        "training/data/collector.py",
        "best = min(usable, key",
        "best = max(usable, key",
    ),
)
