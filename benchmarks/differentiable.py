"""Time of an adjoint beside a warm solve's; the differentiable layer beside mpc.pytorch on `lqr`. CPU time, one thread.

    python benchmarks/differentiable.py --json out/differentiable.json

Warm solves begin at the solution of an instance whose start differs by 0.01 in every state, with `early_stop` 1e-6.
mpc.pytorch (Amos et al. 2018) is measured where it is installed: `pip install --no-deps mpc` (0.0.6 asks for an old
numpy, and works with a new one).
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sobo_planner.solver import Guess, Instance, Solver
from sobo_planner.tasks import Task, load_task
from sobo_training.bench import machine
from sobo_training.optimal_layer import OptimalLayer

CASES: dict[str, tuple[str, dict[str, str]]] = {
    "UR5": ("ur5", {}),
    "UR5, no limits on accelerations": ("ur5", {"integrator": "semi_implicit_euler"}),
    "quadrotor": ("quadrotor", {}),
    "pendulum": ("pendulum", {}),
    "lqr": ("lqr", {}),
}


def timed(f: Callable[[], Any]) -> tuple[Any, float]:
    """What a call returns, and its CPU time [ms]."""
    began = time.process_time()
    out = f()
    return out, 1e3 * (time.process_time() - began)


def adjoint_times(task: Task, instances: int, repeats: int) -> dict[str, float]:
    """Medians [ms] of warm solves, of the first adjoint of a solution, and of further ones."""
    solver = Solver(task, dataclasses.replace(task.solver_options, early_stop=1e-6))
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(instances):
        instance = task.sample(rng)
        known = solver.solve(instance, task.interpolate(instance))
        slopes = rng.normal(size=known.X.shape), 0.01 * rng.normal(size=known.U.shape)
        for _ in range(repeats):
            near = Instance(instance.x0 + 0.01 * rng.normal(size=task.nx), instance.target)
            (solution, pullback), solve = timed(
                lambda near=near, known=known: solver.solve_with_adjoint(near, Guess(known.X, known.U))
            )
            if not (solution.converged and pullback.exact):
                continue
            first, again = (timed(partial(pullback, *slopes))[1] for _ in range(2))
            rows.append((solve, first, again, solution.iterations))
    solve, first, again, iterations = np.median(rows, axis=0)
    return {"warm solve": solve, "adjoint": first, "further": again, "iterations": iterations, "share": first / solve}


def ours(task: Task, x0: torch.Tensor, repeats: int) -> tuple[np.ndarray, float, float]:
    """Controls, and times [ms] forward and backward."""
    layer, times = OptimalLayer(task, threads=1), []
    for _ in range(repeats):
        x0 = x0.detach().clone().requires_grad_()
        optima, forward = timed(lambda x0=x0: layer(x0))
        loss = optima.X.square().sum() + optima.U.square().sum()
        times.append((forward, timed(loss.backward)[1]))
    return (optima.U.detach().numpy(), *np.median(times, axis=0))


def theirs(task: Any, x0: torch.Tensor, repeats: int) -> tuple[np.ndarray, float, float] | None:
    """The same of mpc.pytorch, whose last state has a control, too; None where it is not installed."""
    try:
        mpc: Any = importlib.import_module("mpc.mpc")
    except ImportError:
        return None
    p, batch = task.linear_quadratic, len(x0)
    T, nx, nu = p.horizon + 1, task.nx, task.nu
    C = np.zeros((T, batch, nx + nu, nx + nu))
    C[:, :, :nx, :nx], C[:, :, nx:, nx:] = p.Q, p.R
    C[-1, :, :nx, :nx] = p.Qf
    F = np.tile(np.hstack([p.A, p.B]), (T - 1, batch, 1, 1))
    C, F = torch.tensor(C), torch.tensor(F)
    upper = torch.full((T, batch, nu), float(task.control_upper[0]), dtype=torch.double)
    times = []
    for _ in range(repeats):
        x0 = x0.detach().clone().requires_grad_()
        solver = mpc.MPC(
            nx, nu, T, u_lower=-upper, u_upper=upper, lqr_iter=50, verbose=-1, eps=1e-7, n_batch=batch,
            exit_unconverged=False, grad_method=mpc.GradMethods.ANALYTIC,
        )  # fmt: skip
        cost = mpc.QuadCost(C, torch.zeros(T, batch, nx + nu).double())
        (X, U, _), forward = timed(lambda solver=solver, x0=x0, cost=cost: solver(x0, cost, mpc.LinDx(F)))
        loss = X.square().sum() + U.square().sum()
        times.append((forward, timed(loss.backward)[1]))
    return (U.detach().numpy().swapaxes(0, 1)[:, :-1], *np.median(times, axis=0))


def compare(batch: int, repeats: int) -> dict[str, Any]:
    """Both on the same instances of `lqr`."""
    task = load_task("lqr")
    rng = np.random.default_rng(1)
    x0 = torch.tensor(np.array([task.sample(rng).x0 for _ in range(batch)]))
    U, forward, backward = ours(task, x0, repeats)
    out = {"batch": batch, "forward": forward, "backward": backward}
    other = theirs(task, x0, repeats)
    if other is not None:
        difference = float(np.abs(other[0] - U).max())
        out |= {"mpc forward": other[1], "mpc backward": other[2], "largest difference of U": difference}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instances", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    times = {}
    for name, (file, overrides) in CASES.items():
        times[name] = adjoint_times(load_task(file, **overrides), arguments.instances, arguments.repeats)
        print(name, {key: round(float(value), 3) for key, value in times[name].items()})
    batches = [compare(batch, arguments.repeats) for batch in (1, 32)]
    for each in batches:
        print({key: round(value, 7) for key, value in each.items()})
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        record = {"machine": machine.describe(), "adjoint": times, "lqr": batches}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
