"""A training run: one process a folder, and it knows its task wherever it is exported from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from toy_task import ToyTask

from sobo_planner.cli import main
from sobo_planner.errors import PolicyError, SoboError
from sobo_planner.locks import locked
from sobo_planner.paths import share_path
from sobo_planner.tasks import load_task
from sobo_training.config import TrainConfig
from sobo_training.learning.runs import check_run, task_of_run, write_run
from sobo_training.learning.train import train

UR5 = yaml.safe_load(share_path("config/ur5.yaml").read_text())


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A task file with its own URDF, in a folder of its own."""
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(share_path("urdf/ur5.urdf"), folder / "arm.urdf")
    content = UR5 | {"name": "own", "robot": UR5["robot"] | {"urdf": "arm.urdf"}}
    (folder / "own.yaml").write_text(yaml.safe_dump(content))
    return folder


def test_the_second_training_in_a_folder_is_refused(tmp_path: Path) -> None:
    task = ToyTask()
    config = TrainConfig.from_task(task, steps=1)
    with locked(tmp_path), pytest.raises(SoboError, match=f"another process is writing to {tmp_path}"):
        train(task.solutions(3), task, tmp_path, config, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    train(task.solutions(3), task, tmp_path, config, progress=False)


def test_a_run_remembers_its_task_when_folders_and_files_change(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own)
    task = load_task("own.yaml", dt=0.05)
    write_run(Path("run"), task, {"overrides": {"dt": 0.05}})
    (own / "own.yaml").unlink()
    (own / "run").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    again = task_of_run(Path("moved"))
    assert (again.hash, again.policy_hash, again.name) == (task.hash, task.policy_hash, "own")


def test_a_shipped_robot_is_found_where_this_installation_has_it(tmp_path: Path) -> None:
    write_run(tmp_path, load_task("ur5"), {})
    assert yaml.safe_load((tmp_path / "task.yaml").read_text())["robot"]["urdf"] == "urdf/ur5.urdf"
    assert task_of_run(tmp_path).hash == load_task("ur5").hash


@pytest.mark.parametrize("name", ["lqr", "pendulum", "quadrotor"])
def test_every_kind_of_task(name: str, tmp_path: Path) -> None:
    task = load_task(name)
    write_run(tmp_path, task, {})
    assert task_of_run(tmp_path).hash == task.hash


def test_a_run_of_an_older_version_is_read(tmp_path: Path) -> None:
    record = {"task": "ur5", "overrides": {"dt": 0.05}, "data": ["data"], "solutions": 3}
    (tmp_path / "run.json").write_text(json.dumps(record))
    assert task_of_run(tmp_path).dt == 0.05
    check_run(tmp_path, load_task("ur5"))


def test_a_robot_that_has_changed_since_is_refused(own: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "run", load_task(own / "own.yaml"), {})
    urdf = own / "arm.urdf"
    urdf.write_text(urdf.read_text().replace('<mass value="', '<mass value="1'))
    with pytest.raises(PolicyError, match=r"another robot: .*arm\.urdf has changed since; train again"):
        task_of_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dt": 0.05}, "problem.dt was 0.02, is 0.05 here; name another folder"),
        ({"horizon": 50, "torque_scale": 0.5}, "problem.horizon was 100, is 50 here; problem.torque_scale was 1.0, is"),
        ({"tool_frame": "wrist_3_link"}, 'robot.tool_frame was "tool0", is "wrist_3_link" here'),
    ],
)
def test_a_run_of_another_task_is_not_resumed(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    task = load_task("ur5")
    write_run(tmp_path, task, {})
    check_run(tmp_path, task)
    check_run(tmp_path, load_task("ur5", lr=1e-4, r_init=0))  # of the run's configuration and data: checked there
    with pytest.raises(PolicyError) as refused:
        check_run(tmp_path, load_task("ur5", **changes))
    assert message in str(refused.value) and task.policy_hash not in str(refused.value)


def test_a_policy_names_the_setting_that_differs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "ur5", "--goal", "0.4", "-0.2", "0.4", "--set", "dt=0.05"]) == 2
    assert "was trained with other settings: problem.dt was 0.02, is 0.05 here\n" in capsys.readouterr().err
    assert main(["plan", "ur5", "--goal", "0.4", "-0.2", "0.4", "--set", "tool_frame=wrist_3_link"]) == 2
    assert 'robot.tool_frame was "tool0", is "wrist_3_link" here\n' in capsys.readouterr().err


def test_a_robot_without_urdf_is_named_by_its_settings(tmp_path: Path) -> None:
    write_run(tmp_path, load_task("lqr"), {})
    with pytest.raises(PolicyError, match=r"another task: problem\.dt was 0\.\d+, is 0\.3 here; name another folder"):
        check_run(tmp_path, load_task("lqr", dt=0.3))
    other = load_task("quadrotor")
    write_run(tmp_path / "quadrotor", other, {})
    with pytest.raises(PolicyError, match=r"robot\.mass was .*, is 2\.0 here; name another folder"):
        check_run(tmp_path / "quadrotor", load_task("quadrotor", mass=2.0))
