"""What each planner learns before it plans, and what that costs in processor time and simulator calls.

Simulator calls are counted as docs/consensus.md says: for the solver its iterations times the horizon, for every start
of every instance, those that failed included.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cells import Cell, data_folder
from consensus_runs import Job, run_job
from experiment import trained
from planner_plans import Propose
from planner_tasks import CONSENSUS, MODEL_FREE, Budget, PlannedTask
from records import remember

from sobo_planner.sampling import SamplingSettings
from sobo_planner.solver import Instance, Solution, Solver
from sobo_training.consensus.loop import load_policy
from sobo_training.consensus.options import ConsensusOptions
from sobo_training.data.collection import CollectOptions, resolved_config
from sobo_training.data.collector import Collector
from sobo_training.data.filling import fill
from sobo_training.data.instances import policy_start, sampled_start
from sobo_training.evaluation.closed_loop import Act, roll_out
from sobo_training.reinforcement.learn import Reference

#: Held-out instances that a run measures itself on while it learns; not the comparison's figures.
WATCHED = 2


@dataclass
class Learned:
    """A planner that is ready.

    Attributes:
        propose: Makes its proposals.
        calls: Simulator calls of a proposal.
        training: `seconds` of processor time and simulator `calls` that learning took, the solver's data included.
    """

    propose: Propose
    calls: int
    training: dict[str, float]


@dataclass
class CountingCollector(Collector):
    """Counts the iterations of all solves, those of failed starts included."""

    iterations: int = field(default=0)

    def objection(self, instance: Instance, solution: Solution) -> str | None:
        """See `Collector.objection`."""
        self.iterations += int(solution.iterations)
        return super().objection(instance, solution)


def cell_of(planned: PlannedTask, method: str, seed: int, scale: str) -> Cell:
    """The training run of a policy from solutions."""
    budget = planned.budgets[scale]
    train: tuple[tuple[str, Any], ...] = (("batch", budget.batch), ("steps", budget.updates))
    if method == "sob_diff":
        train = (*train, ("mode", "auto"))
    return Cell(planned.file, method, budget.instances, seed, planned.overrides, budget.starts, tuple(sorted(train)))


def job_of(planned: PlannedTask, method: str, seed: int, scale: str) -> Job:
    """The run of PLAL+S, PPO or SAC."""
    budget = planned.budgets[scale]
    options = options_of(budget) if method == CONSENSUS else free_options(budget, method)
    return Job(planned.file, planned.overrides, method, tuple(sorted(options.items())), seed, WATCHED)


def options_of(budget: Budget) -> dict[str, Any]:
    """Options of PLAL+S."""
    return {
        "instances": budget.instances,
        "starts": budget.starts,
        "steps": budget.steps,
        "gradient_steps": max(1, budget.updates // budget.steps),
        "batch": budget.batch,
        "hidden": budget.hidden,
        "alpha": budget.alpha,
        "warm_steps": budget.steps // 2,
    }


def free_options(budget: Budget, method: str) -> dict[str, Any]:
    """Options of PPO and SAC: watched five times."""
    calls = budget.ppo if method == "PPO" else budget.sac
    return {"calls": calls, "every": max(1, calls // 5)}


def make_data(cell: Cell, folder: Path) -> dict[str, Any]:
    """Solutions that all policies of one seed learn from; returns what they cost. Begun again where it was stopped."""
    place = data_folder(cell, folder)
    return remember(place.with_name(f"{place.name}-{cell.trajectories}.json"), lambda: _solutions(cell, place))


def _solutions(cell: Cell, place: Path) -> dict[str, Any]:
    shutil.rmtree(place, ignore_errors=True)
    task, wanted = cell.load_task(), cell.trajectories
    options = CollectOptions(20 * wanted, 100 + cell.seed, cell.starts, threads=1, wanted=wanted)
    collector, began = CountingCollector(task, Solver(task), options), time.process_time()
    found = fill(place, collector, resolved_config(task, options, None), progress=False)
    seconds = time.process_time() - began
    return {"seconds": seconds, "calls": task.horizon * collector.iterations, "rejected": found.rejected}


def from_data(cell: Cell, task: Any, folder: Path) -> Learned:
    """A policy that learns from solutions: diff, sob_diff, mlp or sob_mlp."""
    data, run = make_data(cell, folder), folder / "runs" / cell.name(task)
    shutil.rmtree(run, ignore_errors=True)  # of a call that was stopped: its time is not known
    began = time.process_time()
    policy, _ = trained(cell, task, folder, run)
    seconds = time.process_time() - began
    shutil.rmtree(run)
    samples = 1 if "mlp" in cell.method else task.config.policy.samples  # perceptrons draw no noise
    training = {"seconds": data["seconds"] + seconds, "calls": data["calls"]}
    return Learned(
        lambda instance, rng: policy_start(task, policy, instance, rng, samples=samples),
        task.horizon * samples,
        training,
    )


def from_job(job: Job, task: Any, folder: Path) -> Learned:
    """A direct policy by PLAL+S, PPO or SAC."""
    record, settings, place = run_job(job, folder), job.settings, job.place(folder)
    act: Act
    if isinstance(settings, ConsensusOptions):
        act = load_policy(place, task, settings).act
    else:
        run = Reference(task, place, settings)
        run.resume()
        act = run.act
    entries = record["iterations"]
    seconds = sum(sum(each["seconds"].values()) for each in entries)
    training = {"seconds": seconds, "calls": entries[-1]["calls"]}
    return Learned(lambda instance, _: roll_out(task, act, [instance])[0].guess, task.horizon, training)


def sampling(task: Any) -> Learned:
    """Model-based diffusion, which learns nothing."""
    chain = SamplingSettings.of(task).chain
    calls = task.horizon * (chain.samples * chain.steps + 1)
    return Learned(lambda instance, rng: sampled_start(task, instance, rng), calls, {"seconds": 0.0, "calls": 0})


def learned(planned: PlannedTask, method: str, seed: int, scale: str, task: Any, folder: Path) -> Learned:
    """The planner of a method that proposes trajectories."""
    if method == "mbd":
        return sampling(task)
    if method == CONSENSUS or method in MODEL_FREE:
        return from_job(job_of(planned, method, seed, scale), task, folder)
    return from_data(cell_of(planned, method, seed, scale), task, folder)
