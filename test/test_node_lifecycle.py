"""The planner node's lifecycle over real DDS: by services, at start, killed, interrupted, with damaged files."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import StiffArm, change_state, count, is_at, lifecycle_state, own_task, plans, refusal
from ros_harness import PLANNER, Probe, RosProcess, RosSystem, ros_system

from sobo_planner.paths import share_path
from sobo_planner.tasks import Task

SHIPPED = share_path("config/policies/ur5")
# Inside the base: no posture is free there, and it takes all starts to find out.
INSIDE = (0.05, 0.05, 0.02)


@pytest.fixture(scope="module")
def target(task: Task, home: np.ndarray) -> np.ndarray:
    return task.robot.tool_position(home + 0.3)


@pytest.fixture(scope="module")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped policy with half of its weights."""
    folder = tmp_path_factory.mktemp("policies") / "policy"
    shutil.copytree(SHIPPED, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    return folder


@pytest.fixture(scope="module")
def system(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("planner"), task.robot.joint_names) as system:
        yield system


@pytest.fixture(scope="module")
def managed(system: RosSystem, policy_folder: Path) -> RosProcess:
    """A node that waits for a lifecycle manager: the tests that share it follow its life, in this order."""
    process = system.start(PLANNER, "autostart:=false", f"policy:={policy_folder}")
    system.probe.wait(lambda: is_at(system.probe, "UNCONFIGURED"))
    return process


@pytest.fixture
def probe(system: RosSystem, managed: RosProcess) -> Iterator[Probe]:
    yield system.probe
    assert managed.running, managed.text()
    assert "Traceback" not in managed.text()


def send_until_inactive(probe: Probe, goal: np.ndarray, home: np.ndarray) -> None:
    """Sends a goal and joint states; the node counts the goal and answers it, and publishes nothing else."""
    before, published = count(probe, "INACTIVE"), len(probe.trajectories)
    probe.reports.clear()
    probe.goal_publisher.publish(probe.goal(goal))
    probe.wait(
        lambda: count(probe, "INACTIVE") > before and probe.reports,
        each=lambda: probe.state_publisher.publish(probe.joint_state(home)),
    )
    assert [report["reason"] for report in probe.reports] == ["INACTIVE"] and len(probe.trajectories) == published


def test_a_damaged_policy_keeps_it_unconfigured_until_it_is_repaired(probe: Probe, policy_folder: Path) -> None:
    assert lifecycle_state(probe) == "unconfigured"
    assert not change_state(probe, "configure")
    assert lifecycle_state(probe) == "unconfigured"
    probe.wait(lambda: "model.safetensors" in probe.status["planner"].message)
    assert probe.status["planner"].message.startswith("UNCONFIGURED: ")
    shutil.copy(SHIPPED / "model.safetensors", policy_folder)
    assert change_state(probe, "configure")
    assert lifecycle_state(probe) == "inactive"
    probe.wait(lambda: is_at(probe, "INACTIVE"))
    assert "model.safetensors" not in probe.status["planner"].message


def test_an_inactive_node_serves_no_goals(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    send_until_inactive(probe, target, home)
    assert lifecycle_state(probe) == "inactive"


def test_states_from_before_do_not_count(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    """The test before has sent some."""
    assert change_state(probe, "activate")
    assert probe.ask(probe.goal(target))["reason"] == "NO_STATE"
    probe.connect_to_planner()
    report = probe.plan(probe.goal(target), probe.joint_state(home))
    assert report["policy"].endswith("policy")


def test_nothing_is_published_once_it_is_inactive(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    assert change_state(probe, "deactivate")
    probe.drain()
    send_until_inactive(probe, target, home)
    assert change_state(probe, "activate")
    assert probe.ask(probe.goal(target))["reason"] == "NO_STATE", "nor do states of the last time count"
    probe.plan(probe.goal(target), probe.joint_state(home))


def test_cleaned_up_and_configured_again(probe: Probe, home: np.ndarray, target: np.ndarray) -> None:
    assert not change_state(probe, "cleanup"), "not while it is active"
    assert change_state(probe, "deactivate") and change_state(probe, "cleanup")
    probe.wait(lambda: is_at(probe, "UNCONFIGURED"))
    send_until_inactive(probe, target, home)
    assert change_state(probe, "configure") and change_state(probe, "activate")
    probe.connect_to_planner()
    probe.plan(probe.goal(target), probe.joint_state(home))


def test_shut_down(system: RosSystem, managed: RosProcess) -> None:
    """Runs last: it ends the node."""
    assert change_state(system.probe, "deactivate") and change_state(system.probe, "shutdown")
    assert managed.interrupt() == 0
    assert "Traceback" not in managed.text()


def lose_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "model.safetensors"


def damage_weights(folder: Path) -> str:
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    return "model.safetensors"


def cut_config(folder: Path) -> str:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: len(text) // 2])
    return "config.json"


def other_task(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"task": "other_arm"}))
    return "other_arm"


def lose_folder(folder: Path) -> str:
    shutil.rmtree(folder)
    return str(folder)


@pytest.mark.parametrize("damage", [lose_weights, damage_weights, cut_config, other_task, lose_folder])
def test_a_policy_that_cannot_be_used_ends_an_autostart(
    task: Task, tmp_path: Path, damage: Callable[[Path], str]
) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(SHIPPED, folder)
    named = damage(folder)
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process = system.start(PLANNER, f"policy:={folder}")
        assert process.wait() == 1
    last = process.text().strip().splitlines()[-1]
    assert last.startswith("PolicyError: ") and named in last
    assert "Traceback" not in process.text()


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        (["task:={folder}/cut.yaml"], "cut.yaml"),
        (["task:={folder}/no_robot.yaml"], "no.urdf"),
        (["mode:=dance"], "receding_horizon"),
        (["goal_type:=speed"], "pose"),
        (["tool_box:=[0.0, 1.0]"], "tool_box"),
        (["joint_box:=[1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]"], "joint_box"),
    ],
)
def test_parameters_that_cannot_be_used_end_an_autostart(
    task: Task, tmp_path: Path, parameters: list[str], named: str
) -> None:
    (tmp_path / "cut.yaml").write_bytes(share_path("config/ur5.yaml").read_bytes()[:900])
    own_task(tmp_path, "no_robot.yaml", robot={"urdf": "no.urdf"})
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process = system.start(PLANNER, *(parameter.format(folder=tmp_path) for parameter in parameters))
        system.probe.monitor = None  # it would read the same task file
        assert process.wait() == 1
    last = process.text().strip().splitlines()[-1]
    assert "Error: " in last and named in last
    assert "Traceback" not in process.text()


def test_killed_and_started_again(task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path) -> None:
    """A new process does not receive the goal and the motion of the previous one: nothing is latched."""
    parameters = ("policy:=none", "mode:=receding_horizon", "rate:=10.0")
    with ros_system(tmp_path, task.robot.joint_names) as system:
        first, probe = system.start_planner(*parameters), system.probe
        arm = StiffArm(probe, home)
        arm.wait(lambda: is_at(probe, "READY"))
        probe.goal_publisher.publish(probe.goal(target))
        arm.wait(lambda: len(plans(probe)) > 2)
        os.kill(first.node_pid, signal.SIGKILL)
        assert first.wait() != 0
        probe.drain()
        probe.status.clear()
        probe.reports.clear()
        published = len(probe.trajectories)
        arm.mute = True
        system.start_planner(*parameters)
        arm.wait(lambda: is_at(probe, "NO_STATE"))
        arm.mute = False
        arm.wait(lambda: is_at(probe, "READY"))
        assert len(probe.trajectories) == published and probe.reports == []
        probe.goal_publisher.publish(probe.goal(target))
        arm.wait(lambda: plans(probe))
        assert plans(probe)[0]["plan_id"] == 1


def test_interrupted_in_the_middle_of_planning(task: Task, home: np.ndarray, tmp_path: Path) -> None:
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process, probe = system.start_planner("policy:=none"), system.probe
        arm = StiffArm(probe, home)
        arm.wait(lambda: is_at(probe, "READY"))
        for _ in range(3):
            probe.goal_publisher.publish(probe.goal(INSIDE))
        arm.wait(lambda: refusal(probe, "SUPERSEDED"))  # one is planned for, another waits
        assert process.interrupt() == 0
        arm.wait(lambda: refusal(probe, "CANCELLED"))
    assert "Traceback" not in process.text()
    assert not probe.trajectories
