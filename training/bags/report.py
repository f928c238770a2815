"""What of bags was used, what was not, and why."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import KINDS, Candidate, Found
from sobo_training.bags.contents import Contents
from sobo_training.bags.demonstrations import RECORDED, stays_optimal
from sobo_training.bags.records import SECOND
from sobo_training.bags.worlds import Views, described
from sobo_training.data.collection import CollectSummary
from sobo_training.data.dataset import shard_paths
from sobo_training.data.shards import read_shard

#: What became of a candidate that has a solution.
STAYED, AGAIN, OTHER, OWN = (
    "the recorded plan still is optimal, with its gains",
    "solved from the recorded motion",
    "solved from another start, which is cheaper",
    "solved from the task's own starts",
)


def describe(contents: Contents) -> dict[str, Any]:
    """What is in a bag, as JSON values."""
    duration = 0.0 if contents.first is None or contents.last is None else (contents.last - contents.first) / SECOND
    topics = {
        topic: {
            "type": contents.types.get(topic, ""),
            "messages": total,
            "uses": {what: count for what, count in contents.uses.get(topic, Counter()).most_common() if count},
        }
        for topic, total in sorted(contents.totals.items())
    }
    return {
        "path": str(contents.bag.path),
        "files": [path.name for path in contents.bag.files],
        "messages": sum(contents.totals.values()),
        "duration_s": duration,
        "topics": topics,
        "plans": len(contents.plans),
        "motions": len(contents.motions),
        "goals": len(contents.goals),
        "trajectories": len(contents.trajectories),
        "refused_goals": dict(Counter(refusal.reason for refusal in contents.refusals)),
        "damages": [str(damage) for damage in contents.damages],
        "notes": contents.notes,
    }


@dataclass
class Report:
    """What was found in bags and what became of it.

    Attributes:
        task: Name of the task.
        out: The dataset.
        bags: What is in each bag, see `describe`.
        found: Candidates, and what gave none.
        summary: Of the dataset; None where nothing can be used.
        outcomes: Of the candidates of each kind, how many became what.
    """

    task: str
    out: str
    bags: list[dict[str, Any]]
    found: Found
    summary: CollectSummary | None = None
    outcomes: dict[str, Counter[str]] = field(default_factory=dict)

    @property
    def stored(self) -> int:
        """Solutions in the dataset."""
        return 0 if self.summary is None else self.summary.collected

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        candidates = Counter(candidate.kind for candidate in self.found.candidates)
        kinds = {
            kind: {
                "instances": candidates[kind],
                "outcomes": dict(self.outcomes.get(kind, Counter())),
                "not_used": {cause: count for cause, count in self.found.unused[kind].most_common() if count},
            }
            for kind in KINDS
        }
        return {
            "task": self.task,
            "out": self.out,
            "bags": self.bags,
            "kinds": kinds,
            "worlds": {
                each.world.world.hash: described(each.world) for each in self.found.candidates if each.world is not None
            },
            "dataset": None if self.summary is None else dataclasses.asdict(self.summary),
            "instances": [
                {
                    "number": number,
                    "kind": each.kind,
                    "bag": each.bag,
                    "recorded_ns": each.recorded,
                    "stretch": each.stretch,
                    "world": None if each.world is None else each.world.world.hash,
                }
                for number, each in enumerate(self.found.candidates)
            ],
        }

    def render(self) -> str:
        """The report as text."""
        lines: list[str] = []
        for bag in self.bags:
            lines.append(f"{bag['path']}: {bag['messages']} messages in {bag['duration_s']:.1f} s")
            for topic, each in bag["topics"].items():
                uses = "; ".join(f"{count} {what}" for what, count in each["uses"].items())
                lines.append(f"  {topic} ({each['type']}): {uses}")
            lines += [f"  damaged: {damage}" for damage in bag["damages"]]
            lines += [f"  note: {note}" for note in bag["notes"]]
        data = self.as_dict()
        for kind, each in data["kinds"].items():
            if each["instances"] or each["not_used"]:
                lines.append(f"{kind}s: {each['instances']} used as instances")
                lines += [f"  {count}: {what}" for what, count in each["outcomes"].items()]
                lines += [f"  not used, {count}: {cause}" for cause, count in each["not_used"].items()]
        if self.summary is None:
            lines.append("nothing that can be used was found; no dataset was written")
        else:
            lines.append(self.summary.render())
        return "\n".join(lines)


def results(folder: Path, task: ArmReach, candidates: list[Candidate]) -> dict[str, Counter[str]]:
    """What became of the candidates of each kind, from the shards of the dataset."""
    outcomes: dict[str, Counter[str]] = {}
    views = Views(task)
    for path in shard_paths(folder):
        tensors, info = read_shard(path)
        for row, number in enumerate(info.indices):
            candidate = candidates[number]
            what = OWN if candidate.states is None else OTHER
            if tensors["start"][row] == RECORDED:
                there = views.of(candidate.world)
                stayed = stays_optimal(candidate, float(tensors["cost"][row]), tensors["K"][row], there)
                what = STAYED if stayed else AGAIN
            outcomes.setdefault(candidate.kind, Counter())[what] += 1
        for number, causes in info.rejected.items():
            cause = Counter(causes).most_common(1)[0][0] if causes else "no_start"
            outcomes.setdefault(candidates[number].kind, Counter())[f"not solved: {cause}"] += 1
    return outcomes
