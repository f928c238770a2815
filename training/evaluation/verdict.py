"""Whether a policy is worth having, in plain words.

Two sides are compared on the same instances: the solver alone and the solver after the policy's rollout, or the
policies before and after a training. Differences are judged in pairs, so that hard instances count on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sobo_training.evaluation.attempts import Attempt
from sobo_training.evaluation.statistics import interval_of_ratio, number, sign_test

#: Ratios that are known to lie this near to 1 are called the same: costs that differ by less than what local optima
#: differ by, and iterations and times that nobody would notice.
SAME = {"iterations": 0.05, "time_ms": 0.05, "cost": 0.01}
#: Fewer instances than this prove nothing.
LEAST = 6
#: Chance of so uneven a split below which a difference in success counts.
SURE = 0.05
#: Quantities whose ratio is judged, and how the text names them.
RATIOS = {"iterations": "iterations", "time_ms": "time [ms]", "cost": "cost"}


@dataclass(frozen=True)
class Effort:
    """What a goal took.

    Attributes:
        good: Whether there is a converged solution.
        reached: Whether it ends near the target, too.
        iterations: Solver iterations.
        time_ms: Time from the instance to the solution, that of the start included [ms].
        cost: Its cost.
    """

    good: bool
    reached: bool
    iterations: float
    time_ms: float
    cost: float


def effort(solved: Attempt, distance: float, rollout: Attempt | None = None) -> Effort:
    """The effort of a solve; `rollout` is the start that it was made from, where that was a policy's."""
    before = solved.start_ms if rollout is None else rollout.time_ms or 0.0
    return Effort(
        good=solved.good,
        reached=solved.success(distance),
        iterations=float(solved.iterations),
        time_ms=before + (solved.time_ms or 0.0),
        cost=np.nan if solved.cost is None else solved.cost,
    )


def change(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The findings for two policies, from the reports of their evaluations on the same instances."""
    distance = before["success_distance"]
    sides = (
        [effort(Attempt(**row["refined"]), distance, Attempt(**row["policy"])) for row in report["rows"]]
        for report in (before, after)
    )
    return compare(*sides)


def compare(before: Sequence[Effort], after: Sequence[Effort]) -> dict[str, Any]:
    """The findings for each quantity, as JSON values.

    A failed solve counts as the most iterations and the longest time of any solve; costs are those of the instances on
    which both sides are good.

    Args:
        before: One side, such as the solver alone.
        after: The other one, such as the solver after a policy, on the same instances.
    """
    both = [*before, *after]
    found: dict[str, Any] = {"instances": len(before)}
    for name in ("iterations", "time_ms"):
        worst = max(getattr(each, name) for each in both)
        sides = [[getattr(each, name) if each.good else worst for each in side] for side in (before, after)]
        found[name] = _ratio(name, *sides)
    pairs = [(a.cost, b.cost) for a, b in zip(before, after, strict=True) if a.good and b.good]
    found["cost"] = _ratio("cost", [a for a, _ in pairs], [b for _, b in pairs])
    found["success"] = _success([each.reached for each in before], [each.reached for each in after])
    found["overall"] = overall(found)
    return found


def _ratio(name: str, before: Sequence[float], after: Sequence[float]) -> dict[str, Any]:
    if len(before) < 2 or not min(sum(before), sum(after)) > 0:
        return {"before": None, "after": None, "ratio": None, "interval": None, "found": "unclear"}
    low, high = interval_of_ratio(after, before)
    word, near = "unclear", SAME[name]
    if len(before) >= LEAST:
        if low > 1 - near and high < 1 + near:
            word = "same"
        elif high < 1:
            word = "better"
        elif low > 1:
            word = "worse"
    means = float(np.mean(before)), float(np.mean(after))
    ratio = means[1] / means[0]
    return {"before": means[0], "after": means[1], "ratio": ratio, "interval": [low, high], "found": word}


def _success(before: Sequence[bool], after: Sequence[bool]) -> dict[str, Any]:
    gained = sum(b and not a for a, b in zip(before, after, strict=True))
    lost = sum(a and not b for a, b in zip(before, after, strict=True))
    chance = sign_test(gained, lost)
    word = "same" if gained == lost == 0 else "unclear"
    if chance < SURE:
        word = "better" if gained > lost else "worse"
    shares = float(np.mean(before)), float(np.mean(after))
    return {"before": shares[0], "after": shares[1], "gained": gained, "lost": lost, "chance": chance, "found": word}


def overall(found: dict[str, Any]) -> str:
    """One word: `better`, `worse`, `same`, `mixed` or `unclear`.

    Time is left out: it follows from the iterations and from the machine, which may be busy.
    """
    words = {found[name]["found"] for name in ("iterations", "cost", "success")}
    if {"better", "worse"} <= words:
        return "worse" if found["success"]["found"] == "worse" else "mixed"
    for word in ("better", "worse", "unclear"):
        if word in words:
            return word
    return "same"


def render(found: dict[str, Any], of: str, beside: str, times: bool = True) -> str:
    """The findings as text.

    Args:
        found: What `compare` returned.
        of: What is judged, such as `the policy`.
        beside: What it is compared with, such as `no policy`.
        times: Show times; leave them out where the two sides were not measured side by side.
    """
    count = found["instances"]
    lines = [f"{sentence(found, of, beside, times)} ({count} instance{'s' if count > 1 else ''})"]
    lines += [f"  {label:<15} {_line(found[name])}" for name, label in RATIOS.items() if times or name != "time_ms"]
    share = found["success"]
    reached = f"{100 * share['before']:.0f} % -> {100 * share['after']:.0f} %"
    lines.append(
        f"  {'target reached':<15} {share['found']}: {reached}, {share['gained']} gained, {share['lost']} lost"
    )
    return "\n".join(lines)


def _line(figures: dict[str, Any]) -> str:
    if figures["ratio"] is None:
        return "unclear: fewer than two instances were solved on both sides"
    low, high = figures["interval"]
    means = f"{number(figures['before'])} -> {number(figures['after'])}"
    return f"{figures['found']}: {means}, x {figures['ratio']:.2f} (95 % sure: {low:.2f} to {high:.2f})"


def sentence(found: dict[str, Any], of: str, beside: str, times: bool = True) -> str:
    """The verdict in one sentence."""
    slower = times and found["time_ms"]["found"] == "worse"
    return {
        "better": f"verdict: {of} is better than {beside}{', but takes longer' if slower else ''}",
        "worse": f"verdict: {of} is WORSE than {beside}; do not use it",
        "mixed": f"verdict: {of} is better than {beside} in some respects and worse in others",
        "same": f"verdict: {of} is as good as {beside}, no better",
        "unclear": f"verdict: not sure whether {of} is better than {beside}; evaluate on more instances",
    }[found["overall"]]
