"""Tasks: files, sampling, refusals, starts of the solver, and the second arm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from robots import panda_urdf

from sobo_planner.errors import ConfigError, TaskError
from sobo_planner.paths import share_path
from sobo_planner.robot.kinematics import inverse_kinematics, minimum_jerk
from sobo_planner.solver import Instance, Solver
from sobo_planner.tasks import load_task

DATA = Path(__file__).parent / "data"


def test_overrides_by_leaf_and_by_path() -> None:
    task = load_task("ur5", r_init="0", **{"problem.running.position": 3})
    assert task.config.distribution.r_init == 0
    assert task.config.problem.running.position == 3.0


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"r_inti": 0}, "unknown key 'r_inti'; did you mean distribution.r_init"),
        ({"position": 1.0}, "ambiguous; use one of: problem.running.position, problem.terminal.position"),
        ({"r_init": 2}, "r_init must be 0 or 1, got 2"),
        ({"dt": "fast"}, "problem.dt must be a number within 1e.12, got 'fast'"),
        ({"horizon": 0}, "horizon must lie in 1 ... 10000, got 0"),
        ({"horizon": 1.5}, "problem.horizon must be of type int, got 1.5"),
        ({"T_a": 32}, "T_a must lie in 1 ... 31, got 32"),
        ({"home": [0.0]}, "robot.home needs one entry for each of the 6 joints, got 1"),
        ({"kind": "juggle"}, "unknown kind of task 'juggle'; known: arm_reach"),
        ({"urdf": "urdf/none.urdf"}, "was not found; searched"),
        ({"problem.running.torque": -1.0}, "weight torque must not be negative"),
        ({"pose.running": -1.0}, "pose.running must not be negative, got -1.0"),
        ({"pose.terminal": 0.0}, "pose.terminal must be positive, got 0.0"),
    ],
)
def test_bad_values_are_refused(overrides, message) -> None:
    with pytest.raises(ConfigError, match=message):
        load_task("ur5", **overrides)


def test_bad_files_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="unknown task 'nothing'; shipped: .*ur5"):
        load_task("nothing")
    data = yaml.safe_load(share_path("config/ur5.yaml").read_text())
    for change, message in (
        (lambda d: d.pop("problem"), "the key problem is missing"),
        (lambda d: d["problem"].update(horizn=3), "unknown key problem.horizn"),
        (lambda d: d.update(robot=3), "robot must be a mapping, got 3"),
    ):
        spoilt = yaml.safe_load(yaml.safe_dump(data))
        change(spoilt)
        path = tmp_path / "task.yaml"
        path.write_text(yaml.safe_dump(spoilt))
        with pytest.raises(ConfigError, match=message):
            load_task(path)
    path.write_text("a: [1")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_task(path)


def test_hashes_follow_what_they_stand_for(task) -> None:
    assert load_task("ur5").hash == task.hash
    variant = load_task("ur5", r_tgt=0)
    assert variant.hash != task.hash and variant.policy_hash == task.policy_hash
    assert load_task("ur5", dt=0.01).policy_hash != task.policy_hash
    assert load_task("ur5", max_iterations=5, steps=7).hash == task.hash


@pytest.mark.parametrize(("r_init", "r_tgt"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_sampled_instances_are_valid_and_of_their_variant(r_init, r_tgt) -> None:
    task = load_task("ur5", r_init=r_init, r_tgt=r_tgt)
    rng = np.random.default_rng(0)
    instances = [task.sample(rng) for _ in range(20)]
    for instance in instances:
        task.check(instance)
        assert task.robot.colliding_pair(instance.x0[:6]) is None
    spread = np.ptp([instance.x0[:6] for instance in instances], axis=0)
    assert np.all(spread > 2.0) if r_init else np.all(spread <= 0.6)
    targets = np.ptp([instance.target for instance in instances], axis=0)
    assert np.all(targets > 0.5) if r_tgt else np.all(targets == 0.0)


def test_sampling_repeats_with_its_seed(task) -> None:
    a, b = (task.sample(np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(a.x0, b.x0)
    np.testing.assert_array_equal(a.target, b.target)


def home(task) -> np.ndarray:
    return np.concatenate([task.config.robot.home, np.zeros(6)])


@settings(max_examples=40)
@given(joint=st.integers(0, 5), excess=st.floats(-1e-4, 1.0), sign=st.sampled_from([-1.0, 1.0]))
def test_limits_with_their_tolerance(task, joint, excess, sign) -> None:
    x = home(task)
    x[joint] = sign * (task.robot.position_upper[joint] + excess)
    target = np.array(task.config.distribution.target)
    if excess > 1e-3:
        with pytest.raises(TaskError, match=f"joint {task.robot.joint_names[joint]} is at .*outside its limits"):
            task.check(Instance(x, target))
    else:
        try:
            task.check(Instance(x, target))
        except TaskError as e:
            assert "self-collision" in str(e)


def test_bad_instances_are_named(task) -> None:
    x, target = home(task), np.array([0.4, 0.3, 0.4])
    task.check(Instance(x, target))
    with pytest.raises(TaskError, match="out of reach of ur5"):
        task.check(Instance(x, np.array([1.5, 0.0, 0.0])))
    with pytest.raises(TaskError, match=r"state has shape \(11,\), expected \(12,\)"):
        task.check(Instance(x[1:], target))
    with pytest.raises(TaskError, match="target holds a NaN"):
        task.check(Instance(x, np.array([np.nan, 0.0, 0.0])))
    with pytest.raises(TaskError, match="elbow_joint moves at 9.0000, faster than its limit 3.14"):
        task.check(Instance(x + 9.0 * np.eye(12)[8], target))
    folded = x.copy()
    folded[2] = 3.1
    with pytest.raises(TaskError, match="self-collision: .*_link touches .*_link"):
        task.check(Instance(folded, target))


def test_inverse_kinematics_reaches_what_can_be_reached(task) -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        instance = task.sample(rng)
        q = task.reachable_configuration(instance.x0[:6], instance.target)
        assert np.linalg.norm(task.robot.tool_position(q) - instance.target) < 1e-4
    assert inverse_kinematics(task.robot, np.zeros(6), np.array([2.0, 0.0, 0.0])) is None


def test_minimum_jerk_is_consistent_with_its_velocities() -> None:
    Q, V = minimum_jerk(np.zeros(2), np.array([1.0, -2.0]), 50, 0.02)
    np.testing.assert_allclose(Q[1:], Q[:-1] + 0.02 * V[1:], atol=1e-14)
    np.testing.assert_allclose(Q[-1], [1.0, -2.0])
    assert np.all(np.abs(V[[0, -1]]) < 0.01)


def test_starts_are_different_rollouts_of_the_dynamics(task) -> None:
    instance = task.sample(np.random.default_rng(2))
    guesses = task.starts(instance, 4, np.random.default_rng(0))
    assert len(guesses) == 4
    for guess in guesses:
        np.testing.assert_array_equal(guess.X[0], instance.x0)
        np.testing.assert_allclose(
            task.robot.simulate(instance.x0, guess.U, task.dt, task.integrator), guess.X, atol=1e-9
        )
        assert np.all(np.abs(guess.U) <= task.torque_limit)
    assert task.final_error(guesses[0].X, instance.target) < 0.05
    ends = np.array([guess.X[-1, :6] for guess in guesses])
    assert np.min([np.abs(a - b).max() for i, a in enumerate(ends) for b in ends[:i]]) > 0.01


@pytest.fixture(scope="module")
def panda(tmp_path_factory):
    data = yaml.safe_load((DATA / "panda.yaml").read_text())
    data["robot"]["urdf"] = str(panda_urdf())
    path = tmp_path_factory.mktemp("panda") / "panda.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_task(path)


def test_a_second_arm_takes_a_yaml_and_a_urdf(panda) -> None:
    rng = np.random.default_rng(0)
    solver = Solver(panda)
    for _ in range(3):
        instance = panda.sample(rng)
        panda.check(instance)
        solution = solver.solve(instance, panda.interpolate(instance))
        assert solution.converged
        assert panda.final_error(solution.X, instance.target) < 0.01
        assert np.all(np.abs(solution.U) <= panda.torque_limit + 1e-3)
