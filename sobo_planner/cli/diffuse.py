"""`sobo diffuse`: find one trajectory by sampling, without training."""

from __future__ import annotations

import io
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from sobo_planner.cli.shared import Flag, TaskCommand, finish
from sobo_planner.errors import ConfigError
from sobo_planner.files import check_output, write_bytes

if TYPE_CHECKING:
    from sobo_planner.sampling import Sampled, SamplingSettings
    from sobo_planner.solver import Guess, Instance, Solution
    from sobo_planner.tasks import Task


@dataclass(kw_only=True)
class Sampling(TaskCommand):
    """Options of planning by sampling. What is not given is what suits the task."""

    update: str | None = None
    """Planner: mbd (model-based diffusion), mppi, cem or cma-es."""
    space: str | None = None
    """What samples stand for: controls, motions (arms and pendulums) or paths (quadrotors)."""
    knots: int | None = None
    """Knots of a sample."""
    amplitude: float | None = None
    """Largest deviation at a knot of motions [rad or m] and paths [m]."""
    sampled: Annotated[int | None, arg(name="samples")] = None
    """Samples of each step."""
    steps: int | None = None
    """Steps of the chain."""
    temperature: float | None = None
    """Of the weights: lower follows the best samples more."""
    noise: float | None = None
    """Standard deviation of the first samples, in units of half the range."""
    excess: float | None = None
    """Weight of what exceeds bounds; inf: such samples do not count."""

    def settings(self, task: Task) -> SamplingSettings:
        """The settings that suit the task, with what was given."""
        from sobo_planner.sampling import SamplingSettings

        suits = SamplingSettings.of(task)
        chain = {name: getattr(self, name) for name in ("update", "steps", "temperature", "noise", "excess")}
        chain["samples"] = self.sampled
        rest = {name: getattr(self, name) for name in ("space", "knots", "amplitude")}
        given = {name: value for name, value in rest.items() if value is not None}
        chosen = {name: value for name, value in chain.items() if value is not None}
        return replace(suits, **given, chain=replace(suits.chain, **chosen))


@dataclass(kw_only=True)
class Diffuse(Sampling):
    """Find one trajectory by sampling (model-based diffusion), without training, and refine it by the solver."""

    seed: int = 0
    """Of the instance and of the noise."""
    refine: bool = True
    """Refine the trajectory by the solver."""
    threads: int = 2
    """Threads of the rollouts; the result does not depend on it."""
    json: Flag = False
    """Print the result as JSON."""
    out: Path | None = None
    """File for the trajectory, the refined one if there is one: .npz with X, U, x0 and target."""
    picture: Path | None = None
    """File for a picture of the chain: .png, .svg or .pdf."""

    def run(self) -> int:
        """Sample, refine, print the result, and store trajectory and picture if asked."""
        import numpy as np

        from sobo_planner.sampling import diffuse
        from sobo_planner.solver import Solver

        self._check_files()
        task = self.load_task()
        settings, rng = self.settings(task), np.random.default_rng(self.seed)
        instance = task.sample(rng)
        wall, cpu = time.perf_counter(), time.process_time()
        found = diffuse(task, instance, settings, rng=rng, threads=self.threads)
        seconds = time.perf_counter() - wall, time.process_time() - cpu
        solution = Solver(task).solve(instance, found.guess) if self.refine else None
        summary = summarise(task, instance, settings, found, seconds, solution)
        finish(
            json.dumps(summary, indent=2) if self.json else render(summary),
            lambda: self._store(task, instance, found, solution),
        )
        return 0

    def _check_files(self) -> None:
        if self.out is not None and self.out.suffix != ".npz":
            raise ConfigError(f"--out must end with .npz, got {self.out}")
        if self.picture is not None and self.picture.suffix not in (".png", ".svg", ".pdf"):
            raise ConfigError(f"--picture must end with .png, .svg or .pdf, got {self.picture}")
        for path in (self.out, self.picture):
            if path is not None:
                check_output(path)

    def _store(self, task: Task, instance: Instance, found: Sampled, solution: Solution | None) -> None:
        import numpy as np

        kept: Guess | Solution = found.guess if solution is None else solution
        if self.out is not None:
            content = io.BytesIO()
            np.savez(content, allow_pickle=False, X=kept.X, U=kept.U, x0=instance.x0, target=instance.target)
            write_bytes(self.out, content.getvalue())
        if self.picture is not None:
            from sobo_planner.cli.chain_picture import draw_chain

            write_bytes(self.picture, draw_chain(task, instance, found, solution, self.picture.suffix[1:]))


def summarise(
    task: Task,
    instance: Instance,
    settings: SamplingSettings,
    found: Sampled,
    seconds: tuple[float, float],
    solution: Solution | None,
) -> dict[str, Any]:
    """The figures of what was found, as JSON values."""
    chain, links = settings.chain, found.chain.links
    refined = None
    if solution is not None:
        refined = {
            "status": str(solution.status.value),
            "cost": float(solution.cost),
            "iterations": int(solution.iterations),
            "error_m": task.final_error(solution.X, instance.target),
        }
    return {
        "task": task.name,
        "update": chain.update,
        "space": settings.space,
        "knots": settings.knots,
        "samples": chain.samples,
        "steps": chain.steps,
        "cost": found.chain.cost,
        "excess": found.chain.excess,
        "error_m": task.final_error(found.guess.X, instance.target),
        "wall_s": seconds[0],
        "cpu_s": seconds[1],
        "refined": refined,
        "chain": [{"noise": each.noise, "loss": each.loss, "best": each.best} for each in links],
    }


def render(summary: dict[str, Any]) -> str:
    """The figures as text."""
    lines = [
        f"{summary['task']}: {summary['update']} on {summary['space']}, {summary['samples']} samples in each of "
        f"{summary['steps']} steps, {summary['wall_s']:.2f} s ({summary['cpu_s']:.2f} s of CPU time)",
        f"cost {summary['cost']:.4g}, excess over the bounds {summary['excess']:.2g}, final error "
        f"{summary['error_m']:.3g} m",
    ]
    refined = summary["refined"]
    if refined is not None:
        lines.append(
            f"refined: {refined['status']} after {refined['iterations']} iterations, cost {refined['cost']:.4g}, final "
            f"error {refined['error_m']:.2g} m"
        )
    return "\n".join(lines)
