"""A planner node that records: every topic read back from the bag, and a plan rebuilt from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

from bag_tools import Heard, by_rosbags
from node_tools import StiffArm, ask, planned, serving
from ros_harness import Probe

from sobo_planner.ros.outputs import conversions
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.commands import Gains, commands
from sobo_training.bags.candidates import Filters
from sobo_training.bags.conversion import BagOptions, survey
from sobo_training.bags.selection import Selection

FAR = (5.0, 0.0, 0.5)


@dataclass
class Recorded:
    """What a node did, and what its bag says of it."""

    probe: Probe
    goal: np.ndarray
    report: dict[str, Any]
    refused: dict[str, Any]
    values: dict[str, str]
    heard: list[Heard]
    bag: Path

    def on(self, topic: str) -> list[Heard]:
        return [each for each in self.heard if each.topic == topic]

    def of_plan(self, topic: str) -> Any:
        """The message that was recorded with the plan; a motion that brakes the arm at the end may follow."""
        trajectory = self.on("/joint_trajectory")[0]
        [found] = [each.message for each in self.on(topic) if each.time == trajectory.time]
        return found


@pytest.fixture(scope="module")
def recorded(task: ArmReach, home: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A plan, a refused goal and a parameter that changed."""
    folder = tmp_path_factory.mktemp("recording")
    goal = task.robot.tool_position(home + 0.3)
    with serving(folder, task, home, "plan_once", "policy:=none", f"record:={folder / 'bags'}") as (probe, arm):
        report = play(probe, arm, goal)
        refused = ask(probe, arm, FAR)
        probe.set_parameters("planner", velocity_scaling=0.5)
        arm.wait(lambda: int(probe.values().get("recording_messages", "0")) > 20)
        values = probe.values()
    [bag] = (folder / "bags").iterdir()
    yield Recorded(probe, goal, report, refused, values, by_rosbags(bag), bag)


def play(probe: Probe, arm: StiffArm, goal: np.ndarray) -> dict[str, Any]:
    probe.listen_to_states()
    report = ask(probe, arm, goal)
    assert planned(report)
    probe.pieces(report)
    return report


def doubles(message: Any) -> np.ndarray:
    """A Float64MultiArray as an array of its dimensions."""
    return np.reshape(message.data, [dimension.size for dimension in message.layout.dim])


def test_what_was_published_is_in_the_bag(recorded: Recorded) -> None:
    probe = recorded.probe
    trajectory, sent = recorded.of_plan("/joint_trajectory"), probe.trajectories[0]
    assert [trajectory.header.stamp.sec, trajectory.header.stamp.nanosec] == list(recorded.report["stamp"].values())
    assert trajectory.joint_names == sent.joint_names and len(trajectory.points) == len(sent.points)
    for found, point in zip(trajectory.points, sent.points, strict=True):
        assert list(found.positions) == list(point.positions) and list(found.velocities) == list(point.velocities)
        assert found.time_from_start.nanosec == point.time_from_start.nanosec and len(found.effort) == 0
    for topic, message in (("/feedback_gains", probe.gains[0]), ("/feedforward", probe.feedforward[0])):
        recorded_array = recorded.of_plan(topic)
        assert list(recorded_array.data) == list(message.data)
        labels = [(each.label, each.size, each.stride) for each in message.layout.dim]
        assert [(each.label, each.size, each.stride) for each in recorded_array.layout.dim] == labels
    reports = [json.loads(each.message.data) for each in recorded.on("/plan_report")]
    assert recorded.report in reports and recorded.refused in reports


def test_what_came_in_is_in_the_bag(recorded: Recorded, task: ArmReach) -> None:
    goals = [each.message.pose.position for each in recorded.on("/goal_pose")]
    assert {(*recorded.goal,), FAR} == {(goal.x, goal.y, goal.z) for goal in goals}
    states = [each.message for each in recorded.on("/joint_states")]
    assert len(states) >= 3
    sent = {tuple(state.position) for state in recorded.probe.states}
    assert all(list(state.name) == task.robot.joint_names for state in states)
    assert {tuple(state.position) for state in states} & sent


def test_the_node_is_described(recorded: Recorded, task: ArmReach) -> None:
    first = recorded.on("/planner/recording")[0]
    said = json.loads(first.message.data)
    assert said["task"]["hash"] == task.hash and said["task"]["name"] == "ur5"
    assert "name: ur5" in said["task"]["text"] and "<robot" in said["files"]["ur5.urdf"]
    assert said["joint_names"] == task.robot.joint_names and said["topics"]["goal_pose"] == "/goal_pose"
    assert {each.topic for each in recorded.heard} <= set(said["topics"].values())
    events = [each.message for each in recorded.on("/parameter_events")]
    at_start = {parameter.name: parameter.value for parameter in events[0].new_parameters}
    assert at_start["velocity_scaling"].double_value == 1.0 and at_start["policy"].string_value == "none"
    [later] = events[-1].changed_parameters
    assert (later.name, later.value.double_value) == ("velocity_scaling", 0.5)


def test_a_plan_is_rebuilt_number_by_number(recorded: Recorded, task: ArmReach) -> None:
    data = json.loads(recorded.of_plan("/planner/plan_data").data)
    trajectory, U = recorded.of_plan("/joint_trajectory"), doubles(recorded.of_plan("/feedforward"))
    K, steps = -doubles(recorded.of_plan("/feedback_gains")), len(U)
    points = [[*point.positions, *point.velocities] for point in trajectory.points]
    assert data["lead"] == 0.0
    X = np.array([data["start"], *points[: steps - 1], data["end"]])
    assert np.abs(X[-1] - points[steps - 1]).max() < 1e-3
    controls, gains = (doubles(recorded.of_plan(f"/planner/solver_{name}")) for name in ("controls", "gains"))
    view = task.lasting(data["dt"] * steps)
    torques, tracking = commands(view, Gains.TRACKING, X, controls, gains)
    np.testing.assert_allclose(U, torques, rtol=0, atol=1e-9)
    np.testing.assert_allclose(K, tracking, rtol=1e-12)
    assert gains.shape == K.shape and not np.allclose(gains, K)
    assert (data["goal_type"], data["payload_mass"], data["velocity_scaling"]) == ("position", 0.0, 1.0)
    np.testing.assert_array_equal(data["goal"], recorded.goal)
    assert conversions.checksum(recorded.of_plan("/feedback_gains")) == recorded.report["checksums"]["feedback_gains"]


def test_the_diagnostics_say_what_is_recorded(recorded: Recorded) -> None:
    assert recorded.values["recording_dropped"] == "0" and recorded.values["recording_problem"] == ""
    assert Path(recorded.values["recording"]).name.startswith("planner-")


def test_the_bag_becomes_data(recorded: Recorded, task: ArmReach, home: np.ndarray) -> None:
    """What `sobo from-bag` solves: the plan, as the node had it, and no message without a use."""
    [contents] = survey([recorded.bag], task, BagOptions(), progress=False)
    assert not contents.damages
    assert {topic: sum(uses.values()) for topic, uses in contents.uses.items()} == dict(contents.totals)
    [refusal] = contents.refusals
    assert refusal.reason == "OUT_OF_REACH"
    selection = Selection(task, Filters())
    selection.add(contents)
    [plan] = [each for each in selection.found.candidates if each.kind == "plan"]
    np.testing.assert_allclose(plan.instance.target, recorded.goal, atol=1e-9)
    np.testing.assert_allclose(plan.instance.x0, recorded.report["start"])
    assert plan.states is not None and plan.states.shape == (task.horizon + 1, task.nx)
    assert task.tool_distance(plan.states[-1], recorded.goal) == pytest.approx(recorded.report["tool_error"], abs=1e-9)
