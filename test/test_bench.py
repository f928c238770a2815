"""The benchmark with a tiny budget: what it reports, not how fast anything is."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pinocchio
import pytest

from sobo_planner.cli import main
from sobo_planner.errors import ConfigError
from sobo_planner.tasks import load_task
from sobo_training.bench import (
    SECTIONS,
    BenchOptions,
    NotMeasured,
    bench,
    contenders,
    crocoddyl_client,
    footprint,
    inference,
    planning,
    ratios,
    render,
    solver,
    stored_ratios,
    training_step,
)
from sobo_training.bench.render import solver_part
from sobo_training.config import TrainConfig
from sobo_training.data.instances import Stream, draw
from sobo_training.evaluation.statistics import COLUMNS
from sobo_training.export.exporter import export
from sobo_training.learning.train import TrainResult
from sobo_training.networks.network import network

TINY = BenchOptions(rounds=1, instances=2)
MODES = {"vjp", "jvp", "augment"}
EULER = {"velocity_limits": False, "integrator": "semi_implicit_euler", "damping": []}


@pytest.fixture(scope="module")
def task():
    """What the comparison with crocoddyl is written for."""
    return load_task("ur5", **EULER)


@pytest.fixture(scope="module")
def exported(task, tmp_path_factory):
    instances = [draw(task, Stream.EVALUATE, 0, i)[0] for i in range(3)]
    guesses = [task.interpolate(instance) for instance in instances]
    path = tmp_path_factory.mktemp("problem") / "problem.npz"
    arrays = crocoddyl_client.export_problem(task, instances, guesses, path)
    return path, arrays, instances, guesses


@pytest.fixture
def quick(monkeypatch):
    """As few calls as give a figure."""
    monkeypatch.setattr(inference, "CALLS", 3)
    monkeypatch.setattr(training_step, "STEPS", 1)
    monkeypatch.setattr(training_step, "WARM_UP", 1)
    monkeypatch.setattr(training_step, "SOLUTIONS", 1)


def seen_by(task, arrays):
    """What a side that sees the same problem answers."""
    X, U = arrays["probe_X"], arrays["probe_U"]
    return {
        "joint_names": task.robot.joint_names,
        "torque_lower": task.control_lower.tolist(),
        "torque_upper": task.control_upper.tolist(),
        "costs": [task.cost(*probe) for probe in zip(X, U, arrays["probe_target"], strict=True)],
        "next_states": [task.robot.step(x[0], u[0], task.dt).tolist() for x, u in zip(X, U, strict=True)],
    }


def test_exported_numbers_are_the_task(task, exported):
    """The cost and the guesses, recomputed from the file alone."""
    path, _, instances, guesses = exported
    with np.load(path) as file:
        info, arrays = json.loads(str(file["info"])), dict(file)
    assert info["horizon"] == task.horizon and info["dt"] == task.dt
    assert info["urdf"] == task.robot.description.text and info["tool_frame"] == "tool0"
    np.testing.assert_array_equal(arrays["armature"], task.config.robot.armature)
    np.testing.assert_array_equal(arrays["torque_limit"], task.robot.effort_limit - task.robot.friction)
    np.testing.assert_array_equal(arrays["x0"], [instance.x0 for instance in instances])
    np.testing.assert_array_equal(arrays["guess_U"], [guess.U for guess in guesses])
    running, terminal = info["weights"]["running"], info["weights"]["terminal"]
    for X, U, target in zip(arrays["probe_X"], arrays["probe_U"], arrays["probe_target"], strict=True):
        error = np.sum((task.robot.tool_positions(X[:, :6]) - target) ** 2, axis=1)
        speed = np.sum(X[:, 6:] ** 2, axis=1)
        stages = running["position"] * error + running["velocity"] * speed
        cost = info["dt"] * (stages[:-1].sum() + running["torque"] * np.sum(U**2))
        cost += terminal["position"] * error[-1] + terminal["velocity"] * speed[-1]
        assert cost == pytest.approx(task.cost(X, U, target), rel=1e-9)


def test_problems_that_boxfddp_cannot_solve_are_refused(task, exported, tmp_path):
    _, _, instances, guesses = exported
    for overrides, word in (
        ({"velocity_limits": True}, "velocity limits"),
        ({"velocity_limits": False, "integrator": "rk2"}, "rk2"),
        ({"velocity_limits": False}, "written for semi-implicit Euler, not for constant_acceleration"),
        (EULER | {"problem.terminal.torque": 1e-3}, "control at the end"),
    ):
        with pytest.raises(NotMeasured, match=word):
            other = load_task("ur5", **overrides)
            crocoddyl_client.export_problem(other, instances, guesses, tmp_path / "problem.npz")


def test_the_shipped_task_becomes_one_that_crocoddyl_has(tmp_path):
    """Without damping and limits on states, and with Crocoddyl's integrator: Pinocchio's own step from Python."""
    task = solver.without_limits(load_task("ur5"))
    instance = draw(task, Stream.EVALUATE, 0, 0)[0]
    arrays = crocoddyl_client.export_problem(task, [instance], [task.interpolate(instance)], tmp_path / "problem.npz")
    model = pinocchio.buildModelFromXML(task.robot.description.text)
    model.armature = arrays["armature"]
    x, u = arrays["probe_X"][0, 0], arrays["probe_U"][0, 0]
    v = x[6:] + task.dt * pinocchio.aba(model, model.createData(), x[:6], x[6:], u)
    expected = np.concatenate([x[:6] + task.dt * v, v])
    np.testing.assert_allclose(task.robot.step(x, u, task.dt), expected, atol=1e-10)


def test_mismatch_is_refused_by_name(task, exported):
    _, arrays, _, _ = exported
    seen = seen_by(task, arrays)
    assert crocoddyl_client.compare(task, arrays, seen) == {"cost_relative": 0.0, "step_absolute": 0.0}
    for key, value, word in (
        ("costs", [cost * (1 + 1e-8) for cost in seen["costs"]], "costs"),
        ("costs", [float("nan")] * 3, "costs"),
        ("next_states", (np.array(seen["next_states"]) + 1e-9).tolist(), "dynamics"),
        ("torque_upper", [1.0] * 6, "torque_upper"),
        ("joint_names", seen["joint_names"][::-1], "joints"),
    ):
        with pytest.raises(NotMeasured, match=word):
            crocoddyl_client.compare(task, arrays, seen | {key: value})


def test_crocoddyl_sees_the_same_problem(task, exported):
    """Against Crocoddyl itself, where its environment exists."""
    path, arrays, instances, _ = exported
    try:
        python = crocoddyl_client.environment_python()
    except NotMeasured as reason:
        pytest.skip(str(reason))
    with crocoddyl_client.CrocoddylSide(python, path) as side:
        parity = crocoddyl_client.compare(task, arrays, side.seen)
        found = side.ask("solve", 0, 200)
        trace = side.ask("trace", 0, 200)
    assert parity["cost_relative"] <= 1e-9 and parity["step_absolute"] <= 1e-10
    X, U = np.array(found["X"]), np.array(found["U"])
    assert found["converged"] and len(trace["costs"]) == found["iterations"]
    assert task.cost(X, U, instances[0].target) == pytest.approx(found["cost"], rel=1e-9)
    np.testing.assert_allclose(task.robot.simulate(X[0], U, task.dt), X, atol=1e-8)
    assert np.all(np.abs(U) <= task.torque_limit + 1e-9)


def test_broken_environment_gives_its_reason(exported, monkeypatch, tmp_path):
    path = exported[0]
    monkeypatch.setenv(crocoddyl_client.PYTHON_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(NotMeasured, match="make bench"):
        crocoddyl_client.environment_python()
    # This interpreter has no Crocoddyl.
    with pytest.raises(NotMeasured, match="No module named 'crocoddyl'"):
        crocoddyl_client.CrocoddylSide(Path(sys.executable), path)


class Script:
    """A solver that answers from a list of costs."""

    def __init__(self, costs, near):
        self.costs, self._near = costs, near

    def near(self, index):
        return self._near

    def solve(self, index, max_iterations=None):
        cost = self.costs[index]
        return {"iterations": 10, "cost": cost, "converged": cost < 5, "wall_ms": 20.0, "cpu_ms": 10.0}


def test_solver_figures():
    rows = solver.run_in_turns([Script([1.0, 2.0, 9.0], 4), Script([1.0, 1.0, 1.0], 8)], 3, 2)
    ours, theirs = ([row[i].figures() for row in rows] for i in (0, 1))
    assert ours[0]["ms_per_iteration"] == 1.0 and ours[0]["wall_ms_per_iteration"] == 2.0
    summary = solver.summarise_solver(ours)
    assert summary["iterations"]["failures"] == 1 and summary["converged"] == pytest.approx(2 / 3)
    ratio = solver.compare_solvers(ours, theirs)
    assert (ratio["same_optimum"], ratio["proxddp_cheaper"], ratio["boxfddp_cheaper"]) == (1, 0, 2)
    assert ratio["near_iterations"]["median"] == 0.5 and ratio["near_iterations"]["count"] == 1
    assert ratio["ms_per_iteration"]["count"] == 3
    both = [{"start": "gravity", "proxddp": a, "boxfddp": b} for a, b in zip(ours, theirs, strict=True)]
    part = {"parity": {"cost_relative": 0.0, "step_absolute": 0.0}, "versions": {"crocoddyl": "3", "pinocchio": "4"}}
    figures = solver.figures_of(both)
    text = solver_part(part | figures | {"starts": {"gravity": figures}, "rows": both})
    assert "from gravity: converged proxddp 67 %, boxfddp 100 %; the same optimum in 1 of 3" in text


@pytest.mark.parametrize("last", [1, 2, 7])
def test_first_near(last):
    for first in range(1, last + 1):
        assert contenders.first_near(lambda count, first=first: count >= first, last) == first
    assert contenders.first_near(lambda count: False, last) is None
    assert contenders.first_near(lambda count: True, 0) is None


def test_our_side_is_near_its_own_optimum(task, exported):
    _, _, instances, guesses = exported
    side = contenders.ProxDDP(task, instances, guesses)
    near = side.near(0)
    assert side.solve(0, near)["cost"] <= 1.001 * side.solve(0, contenders.MAX_ITERATIONS)["cost"]
    assert side.solve(0, near)["iterations"] == near


def test_training_step(quick):
    found = training_step.measure(load_task("ur5"), TINY)
    assert set(found["ratio"]) == set(found["ratio_wall"]) == MODES
    assert set(found["wall_ms"]) == MODES | {"diff"} and found["batch"] == 128
    assert all(ratio > 0 for ratio in found["ratio"].values())


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """A policy for the UR5 that has learned nothing, in the full size: good enough to be timed."""
    task = load_task("ur5")
    config = TrainConfig.from_task(task)
    data = training_step.training_set(task, TINY, config)
    result = TrainResult(network(task, config).eval(), data.normaliser, config, {"steps": 0})
    return export(result, task, tmp_path_factory.mktemp("policy") / "policy").folder


def test_chunk_and_plan(quick, policy):
    task, folder = load_task("ur5"), policy
    chunk = inference.measure(task, folder, TINY)
    assert chunk["denoising_steps"] == 5 and chunk["difference"] < 1e-3 and chunk["calls"] == 3
    assert set(chunk["wall_ms"]) == {"native", "onnxruntime", "torch"}
    assert set(chunk["ratio"]) == {"onnxruntime", "torch"} and chunk["ratio"]["torch"]["median"] > 0
    options = BenchOptions(rounds=1, instances=1)
    plan = planning.measure(task, folder, options)
    for side in ("policy", "cold"):
        assert set(plan[side]["phases_ms"]) == {"policy", "start", "refine", "total"}
        assert set(plan[side]["phases_ms"]["total"]) == set(COLUMNS)
        count = sum(plan[side]["sources"].values())
        assert count + len(plan[side]["reasons"]) == options.instances
    assert planning.summarise_plans([[]])["phases_ms"]["total"]["failures"] == 1


def test_run_time_process_stays_small(policy):
    found = footprint.measure(load_task("ur5"), policy, TINY)
    assert found["starts"] == 1
    for kind in ("planner", "node"):
        if found[kind] is None:
            assert found["skipped"][kind]
            continue
        assert 10 < found[kind]["rss_mb"]["median"] < footprint.TARGETS["rss_mb"]
        assert found[kind]["ready_cpu_s"]["median"] > 0
    assert found["planner"] is not None
    assert found["node"] is not None or find_spec("rclpy") is None, found["skipped"]


def test_other_processes_load_the_same_task(tmp_path):
    task = load_task("ur5", r_init=0, r_tgt=0, dt=0.01)
    again = load_task(footprint.write_task(task, tmp_path))
    assert (again.hash, again.policy_hash) == (task.hash, task.policy_hash)
    assert again.config.policy == task.config.policy and again.config.solver == task.config.solver


def left_out(*_):
    raise NotMeasured("left out")


def test_report_without_policy_and_without_crocoddyl(quick, monkeypatch, tmp_path):
    monkeypatch.setenv(crocoddyl_client.PYTHON_VARIABLE, str(tmp_path / "nowhere"))
    monkeypatch.setattr(footprint, "measure", left_out)
    report = bench(load_task("ur5"), None, TINY)
    missing = {"solver", "chunk", "plan", "process"} | ({"plant"} if find_spec("mujoco") is None else set())
    assert {name for name in SECTIONS if report[name] is None} == missing == set(report["skipped"])
    assert "make bench" in report["skipped"]["solver"]
    assert report["ratios"]["solver_ms_per_iteration"] is None
    assert report["ratios"]["training_jvp"] == report["training"]["ratio"]["jvp"]
    assert report["versions"]["libaligator"] and report["machine"]["processors"] >= 1
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    text = render(report)
    assert "solver: not measured" in text and "jvp / diff, CPU" in text


def test_policy_that_does_not_fit_leaves_the_rest(quick, policy, monkeypatch):
    for module in (solver, footprint):
        monkeypatch.setattr(module, "measure", left_out)
    report = bench(load_task("ur5", dt=0.01), policy, TINY)
    assert report["chunk"] is None and "problem.dt was 0.02, is 0.01 here" in report["skipped"]["plan"]
    assert report["training"] is not None


def test_command_line(quick, policy, monkeypatch, tmp_path, capsys):
    for module in (solver, planning, footprint):
        monkeypatch.setattr(module, "measure", left_out)
    path, old = tmp_path / "bench.json", tmp_path / "old.json"
    arguments = ["--rounds", "1", "-n", "2", "--policy", str(policy), "--json", str(path), "--before", str(old)]
    old.write_text(json.dumps({"ratios": {"training_vjp": 12.25}}))
    assert main(["bench", "ur5", *arguments]) == 0
    report = json.loads(path.read_text())
    assert report["rounds"] == 1 and report["instances"] == 2 and report["plan"] is None
    assert set(report["ratios"]) == set(ratios({})) and report["chunk"] is not None
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("ratios")).split()[-2:] == ["now", "before"]
    assert next(line for line in lines if line.startswith("vjp")).split()[-1] == "12.25"
    assert next(line for line in lines if line.startswith("jvp")).split()[-1] == "-"
    assert stored_ratios(path) == report["ratios"]
    assert main(["bench", "ur5", "--policy", str(tmp_path)]) == 2
    assert main(["bench", "ur5", "--rounds", "0"]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"ratios": 5}', '{"ratios": {"training_vjp": "fast"}}', None])
@pytest.mark.parametrize("option", ["--before", "--json"])
def test_what_is_no_earlier_report_is_refused_before_anything_is_measured(tmp_path, capsys, option, text):
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text)
    elif option == "--json":
        return  # the first report
    assert main(["bench", "ur5", option, str(path)]) == 2
    assert ("no report of `sobo bench`" if text is not None else "cannot read") in capsys.readouterr().err
    assert text is None or path.read_text() == text


def test_budget_is_checked():
    with pytest.raises(ConfigError, match="rounds"):
        BenchOptions(rounds=0)
