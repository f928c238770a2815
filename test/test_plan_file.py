"""Plans as files: what `sobo view` needs comes back, old and damaged files are told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sobo_planner.cli.main import main
from sobo_planner.errors import ConfigError
from sobo_planner.planning.plan_file import read_motion, read_plan
from sobo_planner.world import Pose, Sphere, World, WorldObject, write_world

ARGUMENTS = ["plan", "ur5", "--goal", "0.4", "-0.2", "0.4", "--policy", "none", "--set", "r_init=0"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same plan, by the ending of its file."""
    folder = tmp_path_factory.mktemp("plans")
    write_world(folder / "world.yaml", World((WorldObject("ball", Sphere(0.05), Pose((0.5, 0.4, 0.2))),)))
    paths = {suffix: folder / f"plan.{suffix}" for suffix in ("json", "npz")}
    for path in paths.values():
        world = ["--world", str(folder / "world.yaml"), "--margin", "0.01"]
        assert main([*ARGUMENTS, *world, "--out", str(path)]) == 0
    return paths


@pytest.mark.parametrize("suffix", ["json", "npz"])
def test_a_stored_plan_has_what_a_viewer_needs(stored: dict[str, Path], suffix: str) -> None:
    plan = read_plan(stored[suffix])
    assert plan.missing == [] and plan.goal_type == "position"
    np.testing.assert_array_equal(plan.goal, [0.4, -0.2, 0.4])
    assert plan.proposal is not None
    time, X = plan.proposal
    assert time.shape == (len(X),) and X.shape[1] == 12
    np.testing.assert_allclose(X[0], plan.X[0], atol=1e-9)
    assert np.abs(X[:, :6] - plan.X[:, :6]).max() > 1e-4, "the proposal is what was refined, not the plan"
    task = plan.load_task()
    assert task.config.distribution.r_init == 0, "overrides come back"
    assert task.robot.margin == 0.01
    [ball] = task.robot.world.objects
    assert ball.name == "ball" and ball.pose.position == (0.5, 0.4, 0.2)
    np.testing.assert_allclose(task.robot.tool_position(plan.X[-1, :6]), plan.goal, atol=0.01)


def test_both_kinds_of_file_hold_the_same(stored: dict[str, Path]) -> None:
    one, other = (read_plan(path) for path in stored.values())
    assert one.planned_for == other.planned_for and one.joint_names == other.joint_names
    np.testing.assert_array_equal(one.X, other.X)
    np.testing.assert_array_equal(one.time, other.time)


def test_files_of_earlier_versions_open(stored: dict[str, Path], tmp_path: Path) -> None:
    data = json.loads(stored["json"].read_text())
    for key in ("planned_for", "proposal_time", "proposal_X"):
        del data[key]
    old = tmp_path / "old.json"
    old.write_text(json.dumps(data))
    plan = read_plan(old)
    assert plan.missing == ["world", "proposal"] and plan.proposal is None
    assert plan.load_task().robot.world.everything == ()


def changed(stored: dict[str, Path], path: Path, **changes: object) -> Path:
    data = json.loads(stored["json"].read_text())
    path.write_text(json.dumps({key: value for key, value in {**data, **changes}.items() if value is not None}))
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"X": None}, r"'X' is missing"),
        ({"X": [[0.0] * 12] * 3}, r"X needs a row for each time, .* it has the shape \(3, 12\), time \("),
        ({"proposal_X": [[0.0] * 5] * 2}, r"proposal_X needs .* and 6 or 12 columns; it has the shape \(2, 5\)"),
        ({"time": [0.0, 0.0], "X": [[0.0] * 12] * 2}, "time does not increase"),
        ({"time": [0.0, 1.0], "X": [[float("nan")] * 12] * 2}, "a number in X is not finite"),
        ({"goal": None}, "'goal' is missing"),
        ({"task": None}, "its goal or its task is missing"),
        ({"planned_for": [1]}, "must be mappings"),
    ],
)
def test_what_is_no_plan_is_refused(stored, tmp_path, changes, reason) -> None:
    path = changed(stored, tmp_path / "bad.json", **changes)
    with pytest.raises(ConfigError, match=rf"bad\.json.*{reason}"):
        read_plan(path)


DAMAGED = [("a.npz", b"PK no zip"), ("a.json", b"{"), ("b.npz", b""), ("b.json", b"[1]")]


@pytest.mark.parametrize("name, content", DAMAGED)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{name} is damaged: "):
        read_plan(tmp_path / name)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.npz cannot be read: No such file"):
        read_plan(tmp_path / "gone.npz")
    with pytest.raises(ConfigError, match=r"plan\.txt must end with \.json or \.npz"):
        read_plan(tmp_path / "plan.txt")


@pytest.mark.parametrize(
    ("planned_for", "reason"),
    [
        ({"task": "/no/such/task.yaml"}, "/no/such/task.yaml"),
        ({"robot": "another"}, "the robot of ur5 is another one now"),
        ({"world": {"objects": 1}}, "objects"),
        ({"overrides": {"no_such_key": 1}}, "no_such_key"),
    ],
)
def test_what_cannot_be_loaded_is_told(stored, tmp_path, planned_for, reason) -> None:
    known = json.loads(stored["json"].read_text())["planned_for"]
    plan = read_plan(changed(stored, tmp_path / "plan.json", planned_for={**known, **planned_for}))
    with pytest.raises(ConfigError, match=rf"plan\.json: what it was planned for cannot be loaded: .*{reason}"):
        plan.load_task()


def test_motions_that_were_driven(tmp_path: Path) -> None:
    time, Q = np.array([0.0, 0.5, 1.0]), np.arange(18.0).reshape(3, 6)
    np.savez(tmp_path / "driven.npz", time=time, X=np.hstack([Q, Q]))
    (tmp_path / "driven.json").write_text(json.dumps({"time": time.tolist(), "X": Q.tolist()}))
    for name in ("driven.npz", "driven.json"):
        found = read_motion(tmp_path / name, 6)
        np.testing.assert_array_equal(found[0], time)
        np.testing.assert_array_equal(found[1], Q)
    with pytest.raises(ConfigError, match=r"driven\.npz is not a motion .* 7 or 14 columns; .* \(3, 12\)"):
        read_motion(tmp_path / "driven.npz", 7)
