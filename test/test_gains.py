"""Gains of arms: the derivatives of the optimal controls, against solving again from moved states."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import yaml
from robots import gantry_urdf

from sobo_planner import _native
from sobo_planner.paths import share_path
from sobo_planner.solver import Guess, Instance, Solution, Solver
from sobo_planner.tasks import load_task


@pytest.fixture(scope="module")
def gantry(tmp_path_factory):
    """The task of the UR5 for an arm that slides, turns, tilts, extends and tilts again."""
    folder = tmp_path_factory.mktemp("gantry")
    (folder / "gantry.urdf").write_text(gantry_urdf())
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    home = [0.0, 0.2, 0.3, 0.1, 0.4]
    data["name"] = "gantry"
    data["robot"] = {"urdf": "gantry.urdf", "tool_frame": "l5", "base_frame": "l0", "home": home, "armature": [0.1] * 5}
    data["distribution"] |= {"start_centre": home, "target": [0.3, 0.2, 0.9], "r_init": 0, "r_tgt": 0}
    (folder / "gantry.yaml").write_text(yaml.safe_dump(data))
    return load_task(folder / "gantry.yaml")


def sensitivity(solver: Solver, instance: Instance, optimum: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Central differences of the optimal first control (nu, nx) and trajectory (T + 1, nx, nx) in the initial state."""
    h = 1e-4
    start = Guess(optimum.X, optimum.U)
    du, dx = [], []
    for step in h * np.eye(len(instance.x0)):
        up, down = (solver.solve(Instance(instance.x0 + sign * step, instance.target), start) for sign in (1.0, -1.0))
        du.append((up.U[0] - down.U[0]) / (2.0 * h))
        dx.append((up.X - down.X) / (2.0 * h))
    return np.array(du).T, np.moveaxis(np.array(dx), 0, -1)


@pytest.mark.parametrize("name", ["task", "gantry"])
def test_gains_are_the_derivatives_of_the_optimum(name: str, request: pytest.FixtureRequest) -> None:
    task = request.getfixturevalue(name)
    solver = Solver(task, dataclasses.replace(task.solver_options, tol=1e-7, early_stop=0.0))
    rng, off = np.random.default_rng(1), []
    for instance in [task.sample(rng) for _ in range(4)]:
        first = solver.solve(instance, task.interpolate(instance))
        optimum = solver.solve(instance, Guess(first.X, first.U))
        du, dx = sensitivity(solver, instance, optimum)
        assert np.linalg.norm(optimum.K[0] - du) < 0.01 * np.linalg.norm(du)
        Phi = [np.eye(len(instance.x0))]
        for A, B, K in zip(optimum.A, optimum.B, optimum.K, strict=True):
            Phi.append((A + B @ K) @ Phi[-1])
        off.append(np.linalg.norm(np.array(Phi) - dx) / np.linalg.norm(dx))
    # A bound that is only just active has two derivatives: differences over smaller steps agree with one of them.
    assert np.median(off) < 0.01 and sorted(off)[-2] < 0.05


def test_an_early_stop_leaves_less_than_its_tolerance(task) -> None:
    """A Newton step foretells what is left to gain."""
    full = Solver(task, dataclasses.replace(task.solver_options, tol=1e-7, early_stop=0.0))
    rng = np.random.default_rng(2)
    for instance in [task.sample(rng) for _ in range(5)]:
        early = Solver(task).solve(instance, task.interpolate(instance))
        optimum = full.solve(instance, Guess(early.X, early.U))
        assert early.converged
        assert early.cost - optimum.cost < 10.0 * task.solver_options.early_stop * optimum.cost
        assert optimum.iterations <= 10


def test_plans_that_end_early_are_rollouts(task) -> None:
    """No gap between a state and the step before it, and bounds kept: what a controller replays is what was planned."""
    rng = np.random.default_rng(2)
    gaps = []
    for instance in [task.sample(rng) for _ in range(10)]:
        plan = Solver(task).solve(instance, task.interpolate(instance))
        assert plan.converged
        steps = zip(plan.X, plan.U, strict=False)
        ends = np.array([task.robot.step(x, u, task.dt, task.integrator) for x, u in steps])
        gaps.append(np.abs(ends - plan.X[1:]).max())
        assert np.all(np.abs(plan.U) <= task.torque_limit + 5e-4)
        assert np.all(np.abs(plan.X[:-1, 6:]) <= task.robot.velocity_limit + 5e-4)
    assert max(gaps) < 5e-4  # where the rollout would leave the bounds, the iterate is returned as it is
    assert np.median(gaps) < 1e-12


def test_gains_along_a_trajectory_with_gaps_lead_to_the_optimum() -> None:
    """The step u = k + K x of a linear problem ends at the optimum, from any trajectory."""
    task = load_task("lqr", control_limit=1e3)
    rng = np.random.default_rng(2)
    instance = task.sample(rng)
    exact = dataclasses.replace(task.solver_options, tol=1e-10, early_stop=0.0)
    optimum = Solver(task, exact).solve(instance, task.interpolate(instance))
    X = optimum.X + rng.normal(size=optimum.X.shape)
    X[0] = instance.x0
    U = optimum.U + rng.normal(size=optimum.U.shape)
    options = exact.native()
    options.max_iterations, options.retry = 0, False
    swept = task.make_worker().solve(_native.Start(instance.x0, instance.target, X, U), options)
    np.testing.assert_array_equal(swept["X"], X)
    step = optimum.X[:-1] - X[:-1]
    expected = optimum.U - U - np.einsum("tij,tj->ti", swept["K"], step)
    np.testing.assert_allclose(swept["k"], expected, rtol=0.0, atol=1e-8)
