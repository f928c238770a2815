"""What an iteration of the interplay loop has changed, from the evaluations in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sobo_training.evaluation import verdict
from sobo_training.interplay.record import read_json

#: Evaluations of a policy: on sampled instances, and on logged ones that it was not trained on.
EVALUATIONS = ("evaluation.json", "logged.json")
NAMES = {"evaluation.json": "sampled", "logged.json": "logged"}


def comparisons(folder: Path, iteration: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What each evaluation of an iteration says.

    Args:
        folder: The run.
        iteration: From 1 on.

    Yields:
        `sampled` or `logged`; what it is compared with, `no_policy` or `before` (the policy that the run went on from);
        and the findings of `verdict.compare`.
    """
    for name in EVALUATIONS:
        path, before = folder / f"iteration-{iteration:02d}" / name, folder / "iteration-00" / name
        if path.exists():
            report = read_json(path)
            yield NAMES[name], "no_policy", report["verdict"]
            if before.exists():
                yield NAMES[name], "before", verdict.change(read_json(before), report)


def findings(folder: Path, iteration: int) -> dict[str, Any]:
    """The comparisons of an iteration for its entry in the status: without times, which no two runs share."""
    found: dict[str, Any] = {}
    for where, beside, each in comparisons(folder, iteration):
        found.setdefault(where, {})[beside] = {name: value for name, value in each.items() if name != "time_ms"}
    return found


def render(folder: Path, iteration: int) -> str:
    """The comparisons of an iteration as text."""
    lines = []
    for where, beside, each in comparisons(folder, iteration):
        heading = "on sampled instances" if where == "sampled" else "on logged instances that were kept for evaluation"
        if beside == "no_policy":
            lines += [f"{heading}:", verdict.render(each, "the policy", "no policy")]
        else:
            lines += [verdict.render(each, "the new policy", "the one before", times=False)]
    return "\n".join(lines)
