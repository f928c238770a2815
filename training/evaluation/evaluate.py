"""Evaluate a policy on held-out instances: alone, as a warm start, and compared with the solver from a naive start.

    naive start ---------> solver = cold     (both naive starts; the better one on average is called `cold`)
    policy rollout ------> cost of the policy alone
    policy rollout ------> solver = refined
    Planner.plan --------> planner: chooses between policy and naive starts, and checks the result
    several starts ------> solver, the cheapest converged solution = best of starts

Everything that is timed runs one instance at a time on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from sobo_planner.errors import ConfigError
from sobo_planner.policy import Policy
from sobo_planner.sampling import SamplingSettings
from sobo_planner.tasks import ArmReach
from sobo_training.data.instances import held_out, logged
from sobo_training.evaluation import verdict
from sobo_training.evaluation.cells import evaluate_cell
from sobo_training.evaluation.evaluator import Evaluator
from sobo_training.evaluation.options import EvaluateOptions
from sobo_training.evaluation.report import report

if TYPE_CHECKING:
    from sobo_planner.tasks import Task
    from sobo_training.data.dataset import Dataset

#: Seed of the instances of quick verdicts.
VERDICT_SEED = 7919


def _name(policy: str | Path | Policy | SamplingSettings) -> str | Path:
    """Where a policy is, or what is sampled."""
    if isinstance(policy, SamplingSettings):
        return f"{policy.chain.update} on {policy.space}, {policy.chain.steps} steps"
    return policy.artifact.folder if isinstance(policy, Policy) else policy


def quick_verdict(task: Task, policy: str | Path | Policy, instances: int) -> str:
    """What a policy is worth on a few instances, which no evaluation with a usual seed uses."""
    options = EvaluateOptions(instances=instances, seed=VERDICT_SEED, starts=0, planner=False)
    found = evaluate(task, policy, options, progress=False)["verdict"]
    return verdict.render(found, "the policy", "no policy")


def evaluate(
    task: Task,
    policy: str | Path | Policy | SamplingSettings,
    options: EvaluateOptions | None = None,
    progress: bool = True,
    data: Dataset | None = None,
) -> dict[str, Any]:
    """Evaluate a policy, or planning by sampling in its place.

    Args:
        task: The task, in the variant to evaluate on.
        policy: Folder of the artifact, or the policy; or what is sampled.
        options: How to evaluate.
        progress: Show a progress bar on stderr.
        data: Evaluate on the instances of these solutions instead of sampled ones: on at most `options.instances` of
            them, spread evenly.

    Returns:
        The report; see `sobo_training.evaluation.report.report`, in a world `sobo_training.evaluation.cells`.

    Raises:
        SoboError: The policy does not fit the task.
    """
    options = options or EvaluateOptions()
    numbers: Sequence[int]
    loaded = policy if isinstance(policy, (Policy, SamplingSettings)) else Policy.load(policy, task)
    if isinstance(task, ArmReach) and task.cell is not None:
        if isinstance(loaded, SamplingSettings) or data is not None or options.action_horizon is not None:
            raise ConfigError("in a world policies are evaluated on held-out instances, with their own action horizon")
        source, samples = held_out(task, options.seed), options.samples or task.config.policy.samples
        found = evaluate_cell(task, loaded, range(options.instances), source, samples, progress)
        return found | {"seed": options.seed, "logged": False}
    evaluator = Evaluator(task, loaded, options)
    if data is None:
        source, numbers = held_out(task, options.seed), range(options.instances)
    else:
        count = min(options.instances, len(data))
        source = logged(data, options.seed)
        numbers = [int(each) for each in np.linspace(0, len(data) - 1, count).round()]
    evaluator.row(numbers[0], source)  # first calls allocate; what follows is timed
    rows = [evaluator.row(index, source) for index in tqdm(numbers, desc="evaluate", unit="inst", disable=not progress)]
    made = report(task, _name(policy), options, rows, evaluator.action_horizon, evaluator.samples)
    return made | {"logged": data is not None}
