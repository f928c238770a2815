"""`sobo consensus`: policies that agree with trajectory optimisation (arXiv:2209.09006), and their references.

It needs the extra `train`, and the extra `rl` for `--method ppo` and `sac`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sobo_planner.cli.shared import Flag, TaskCommand, training_extra
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output_folder

if TYPE_CHECKING:
    from sobo_planner.tasks import Task


@dataclass(kw_only=True)
class Consensus(TaskCommand):
    """Learn a direct policy in agreement with trajectory optimisation (arXiv:2209.09006), or a reference for it.

    The same instances are solved again and again, with the policy's rollouts as starts. The same call goes on where an
    interrupted one stopped. What is not given is what suits the method.
    """

    out: Path
    """Folder of the run: status.json, the state of the last step, the policy."""
    method: str = "plal"
    """plal (augmented Lagrangian), pddp (projections), dpl (quadratic penalty), pods (Newton steps from rollouts), or,
    without the model, ppo or sac."""
    no_sobolev: Flag = False
    """Do not learn the solver's gains (without +S); pods never does."""
    shooting: Flag = False
    """plal: evaluate the policy at copies of the states (+M)."""
    no_bounds: Flag = False
    """Solve without the bounds of the controls (-C); the policy has them still. pods always does."""
    mu: float | None = None
    """Weight of the augmented Lagrangian: half of it is what a typical control away costs in a step."""
    warm_steps: int | None = None
    """First steps without the augmented Lagrangian."""
    steps: int | None = None
    """Steps: trajectories, then policy, then multipliers."""
    instances: int | None = None
    """Instances that are learned from."""
    starts: int | None = None
    """The task's own starts of each instance in the first step, the cheapest solution kept."""
    hidden: tuple[int, ...] | None = None
    """Units of the policy's hidden layers."""
    gradient_steps: int | None = None
    """Gradient steps in each step."""
    alpha: float | None = None
    """Weight of the gains beside that of the controls."""
    evaluate: int = 20
    """Held-out instances that the policy is measured on."""
    calls: int | None = None
    """ppo, sac: steps of the environment in all."""
    every: int | None = None
    """ppo, sac: steps between measurements."""
    seed: int = 0
    """Seed of instances, weights, batches and noise; the held-out instances are the same for all."""
    threads: int = 2
    """Solver threads; no result depends on it."""
    json: Flag = False
    """Print the status as JSON."""

    def run(self) -> int:
        """Run the method, then print its figures."""
        check_output_folder(self.out)
        with training_extra():
            from sobo_training.consensus.options import MODEL_FREE, check_method
            from sobo_training.consensus.report import render

        check_method(self.method)
        task = self.load_task()
        status = self._learn_free(task) if self.method in MODEL_FREE else self._learn(task)
        print(json.dumps(status, indent=1) if self.json else render(status))
        return 0

    def _learn(self, task: Task) -> dict[str, Any]:
        from sobo_training.consensus.loop import learn
        from sobo_training.consensus.options import ConsensusOptions

        self._refuse("calls", "every")
        names = {each.name for each in fields(ConsensusOptions)} - {"method"}
        given = {name: getattr(self, name) for name in names if getattr(self, name, None) is not None}
        free = self.method == "pods"
        given |= {"sobolev": not (free or self.no_sobolev), "bounds": not (free or self.no_bounds)}
        return learn(task, self.out, ConsensusOptions(method=self.method, **given))

    def _learn_free(self, task: Task) -> dict[str, Any]:
        with training_extra("rl"):
            from sobo_training.reinforcement.learn import ReferenceOptions, learn
        from sobo_training.consensus.loop import measure, reference

        self._refuse(
            "no_sobolev",
            "no_bounds",
            "shooting",
            "mu",
            "warm_steps",
            "steps",
            "instances",
            "starts",
            "gradient_steps",
            "alpha",
        )
        given = {name: getattr(self, name) for name in ("calls", "every", "hidden") if getattr(self, name) is not None}
        options = ReferenceOptions(method=self.method, seed=self.seed, **given)
        beside = reference(task, self.evaluate, self.threads)
        return learn(task, self.out, options, lambda act: measure(task, act, self.evaluate), beside)

    def _refuse(self, *names: str) -> None:
        """Refuses options that the method does not have."""
        given = [name for name in names if getattr(self, name) not in (None, False)]
        if given:
            options = ", ".join("--" + name.replace("_", "-") for name in given)
            raise ConfigError(f"{self.method} has no {options}")
