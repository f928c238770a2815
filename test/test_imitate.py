"""Weights from demonstrations: of a teacher whose weights are known, from datasets, and by the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from sobo_planner.cli import main  # noqa: E402
from sobo_planner.errors import ConfigError, DatasetError  # noqa: E402
from sobo_planner.solver import Solver  # noqa: E402
from sobo_planner.tasks import load_arm  # noqa: E402
from sobo_training.imitation.demonstrations import of_dataset, read_demonstrations  # noqa: E402
from sobo_training.imitation.weights import NAMES, WeightFit, accurate, joint_error, weights_of, with_weights  # noqa: E402

# What the teacher's weights are, relative to those of the task.
FACTORS = {"running.position": 0.3, "running.velocity": 10.0, "running.torque": 5.0, "terminal.position": 3.0}


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> Path:
    """A dataset of ten motions of a teacher."""
    task, folder = load_arm("ur5"), tmp_path_factory.mktemp("shown") / "data"
    weights = dict(zip(NAMES, weights_of(task), strict=True))
    pairs = [f"problem.{name}={weights[name] * factor}" for name, factor in FACTORS.items()]
    arguments = ["collect", "ur5", "--out", str(folder), "-n", "10", "--starts", "1", "--set", *pairs]
    assert main([*arguments, "solver.early_stop=1e-6", "--threads", "1"]) == 0
    return folder


def test_weights_are_found_but_for_a_common_factor(shown, capsys) -> None:
    arguments = ["imitate", "ur5", "--demonstrations", str(shown), "--limit", "8", "--threads", "1"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    ratios = {name: found["weights"][name] / found["before"][name] for name in NAMES[1:3]}
    assert ratios["running.velocity"] == pytest.approx(10 / 0.3, rel=0.1)
    assert ratios["running.torque"] == pytest.approx(5 / 0.3, rel=0.1)
    assert found["weights"]["running.position"] == found["before"]["running.position"]
    assert np.median(found["held_out"]["learned"]) < 0.02 < np.median(found["held_out"]["task"])
    assert found["errors"][-1] < 0.2 * found["errors"][0] and found["learned_from"] == 8
    assert main([*arguments, "--limit", "2", "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    assert "2 demonstrations: joint error" in printed and "use them with: --set problem.running.position=10" in printed


def test_the_error_does_not_rise_and_outliers_count_less(shown) -> None:
    task = load_arm("ur5")
    demonstrations = of_dataset(shown, task)[:3]
    odd = demonstrations[2]
    odd.X[:, 0] += 3.0  # of another way round
    fit = WeightFit(task, demonstrations)
    found = fit._solve(np.zeros(4))
    residuals, counts = fit._residuals(found)
    plain = [joint_error(task, s.X, d.X) for (s, _), d in zip(found, demonstrations, strict=True)]
    sizes = np.sqrt((residuals**2).mean((1, 2)))
    assert counts.all() and plain[2] > 3 * np.median(plain)
    np.testing.assert_allclose(sizes, [*plain[:2], np.sqrt(plain[2] * 3 * np.median(plain))], rtol=1e-9)
    errors = WeightFit(task, demonstrations).run().errors
    assert all(after < before for before, after in zip(errors, errors[1:], strict=False))


def test_derivatives_by_the_weights_against_solving_again(shown) -> None:
    task = load_arm("ur5")
    fit = WeightFit(task, of_dataset(shown, task)[2:3])
    fit._solver = Solver(task, replace(accurate(task), early_stop=0.0, tol=1e-6))
    for _ in range(2):  # the second time from the solution
        found = fit._solve(np.zeros(4))
        fit._follow(found)
    jacobian = fit._jacobian(np.zeros(4), found, np.array([True]))[0]
    for k in range(3):
        ahead, behind = (fit._solve(sign * np.eye(4)[k])[0][0].X[:, :6] for sign in (1e-3, -1e-3))
        numeric = (ahead - behind) / 2e-3
        # Near the beginning of a motion a bound on velocities is about to become active.
        assert np.linalg.norm(jacobian[..., k] - numeric) < 0.02 * np.linalg.norm(numeric)


def test_other_weights_leave_the_rest_of_a_task_alone() -> None:
    task = load_arm("ur5")
    values = np.arange(1.0, 6.0)
    other = with_weights(task, values)
    np.testing.assert_array_equal(weights_of(other), values)
    assert with_weights(other, weights_of(task)).hash == task.hash and other.robot is task.robot


def test_what_cannot_be_imitated_is_refused(shown, tmp_path) -> None:
    task = load_arm("ur5")
    with pytest.raises(DatasetError, match=r"holds motions of 100 steps, the task has 50; set problem.horizon"):
        of_dataset(shown, load_arm("ur5", **{"problem.horizon": 50}))
    with pytest.raises(DatasetError, match="of another robot"):
        of_dataset(shown, load_arm("ur5", **{"robot.damping": [0.0] * 6}))
    with pytest.raises(ConfigError, match=r"problem.running.torque is 0; learning weights needs a positive one"):
        WeightFit(load_arm("ur5", **{"problem.running.torque": 0.0}), of_dataset(shown, task))
    with pytest.raises(DatasetError, match="nothing does not exist; name a dataset folder or a bag"):
        read_demonstrations([tmp_path / "nothing"], task)


def test_motions_of_a_bag(home, tmp_path, capsys) -> None:
    pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")
    logged = pytest.importorskip("logged_bags")
    task = load_arm("ur5")
    stops = [home, home + np.array([0.5, 0.2, -0.3, 0.2, 0.1, 0.0]), home + np.array([-0.5, 0.3, -0.3, 0.2, 0.1, 0.3])]
    states = logged.joint_states(task.robot.joint_names, logged.path(stops, [2.0, 2.5], 0.5, 250.0), 250.0)
    bag = logged.write(tmp_path / "bag", states)
    found = read_demonstrations([bag], task)
    assert [np.round(each.X[-1, :6] - stop, 2).any() for each, stop in zip(found, stops[1:], strict=True)] == [
        False
    ] * 2
    for each in found:
        np.testing.assert_array_equal(each.X[0], each.instance.x0)
        assert joint_error(task, each.X, each.guess.X) < 0.1
    assert main(["imitate", "ur5", "--demonstrations", str(bag), "--steps", "1", "--threads", "1"]) == 0
    assert "2 demonstrations: joint error" in capsys.readouterr().out
