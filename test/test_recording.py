"""The recording of a node: what begins it, names, times, and an end that planning does not notice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import rclpy
from bag_tools import by_rosbags, files_of
from builtin_interfaces.msg import Time
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import serialize_message
from scripted_serving import wait
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from world_messages import cube, markers

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.motion import Motion
from sobo_planner.ros.record.fast_cdr import joint_trajectory, text
from sobo_planner.ros.record.plans import Published
from sobo_planner.ros.record.recording import Recording
from sobo_planner.ros.record.worlds import Surrounding
from sobo_planner.ros.support import domain
from sobo_planner.world import Sphere, World, WorldObject, world_from_dict

SIZES = {"record_file_size": 1, "record_total_size": 4}
REMAPPED = ["--ros-args", "-r", "joint_states:=/robot/joint_states"]
PLANS = ("/left/joint_trajectory", "/left/planner/plan_data", "/left/plan_report")


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """In a namespace, with a clock that stands still."""
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    simulated = Parameter("use_sim_time", value=True)
    node = Node("planner", namespace="left", context=context, cli_args=REMAPPED, parameter_overrides=[simulated])
    yield node
    node.destroy_node()
    context.try_shutdown()


@pytest.fixture
def recording(node: Node) -> Iterator[Recording]:
    recording = Recording(node)
    yield recording
    recording.end()


def begin(recording: Recording, folder: Path | str, **sizes: int) -> Path:
    recording.begin({"record": str(folder), **SIZES, **sizes}, lambda: {"format": 1})
    return Path(recording.folder)


def published(number: int) -> Published:
    X = np.arange(12.0).reshape(3, 4)
    motion = Motion(0.0, 0.1, X, np.zeros((2, 2)), np.zeros((2, 2, 4)))
    trajectory = joint_trajectory(motion.trajectory(0.0), ["a", "b"], (0, number), False, False)
    return Published(number, Time(nanosec=number), 0.0, motion, trajectory, {"goal": None})


def test_names_are_those_of_the_node(recording: Recording, tmp_path: Path) -> None:
    bag = begin(recording, tmp_path / "new" / "bags")
    assert bag.parent == tmp_path / "new" / "bags" and bag.name.startswith("left_planner-")
    recording.note("joint_states", JointState(name=["a"], position=[0.5]))
    recording.note("plan_report", String(data="{}"))
    recording.end()
    assert recording.folder == "" and recording.values() == {}
    recording.note("plan_report", String(data="late"))
    heard = by_rosbags(bag)
    first, _, state, report = heard
    assert [each.topic for each in (first, state, report)] == [
        "/left/planner/recording",
        "/robot/joint_states",
        "/left/plan_report",
    ]
    said = json.loads(first.message.data)
    assert said["node"] == "/left/planner" and said["topics"]["joint_states"] == "/robot/joint_states"


def test_bags_of_the_same_second(recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sobo_planner.ros.record.recording.time.strftime", lambda *_: "now")
    names = [begin(recording, tmp_path).name for _ in range(3)]
    assert names == ["left_planner-now", "left_planner-now-2", "left_planner-now-3"]


@pytest.mark.parametrize("in_time", [True, False])
def test_a_disk_that_hangs_at_the_end_is_told(
    in_time: bool, recording: Recording, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begin(recording, tmp_path)
    writer = recording._writer
    assert writer is not None
    close = writer.close
    writer.close = lambda within: close(within) and in_time  # type: ignore[method-assign]
    recording.end()
    assert ("could not be written within" in capfd.readouterr().err) is not in_time


def test_plans_are_told_apart_by_their_times(recording: Recording, tmp_path: Path) -> None:
    """Also by a clock that stands still; all that belongs to one plan has one time."""
    bag = begin(recording, tmp_path)
    for number in range(3):
        recording.plan(published(number), {"plan_report": text(str(number))})
    recording.end()
    heard = by_rosbags(bag)
    times = {topic: [each.time for each in heard if each.topic == topic] for topic in PLANS}
    assert len(set(times[PLANS[0]])) == 3 and times[PLANS[0]] == sorted(times[PLANS[0]])
    assert times[PLANS[0]] == times[PLANS[1]] == times[PLANS[2]]
    data = [json.loads(each.message.data) for each in heard if each.topic == PLANS[1]]
    assert [each["plan_id"] for each in data] == [0, 1, 2] and data[0]["end"] == [8.0, 9.0, 10.0, 11.0]


def test_each_file_begins_with_the_parameters_in_force(recording: Recording, tmp_path: Path) -> None:
    bag = begin(recording, tmp_path)
    recording.parameters([Parameter("speed", value=0.5)])
    for _ in range(30):
        recording.note("plan_report", String(data="x" * 100_000))
    recording.end()
    events = [each.message for each in by_rosbags(files_of(bag)[-1]) if each.topic == "/parameter_events"]
    assert len(files_of(bag)) > 1 and events[0].node == "/left/planner"
    assert {each.name: each.value.double_value for each in events[0].new_parameters}["speed"] == 0.5


WORLD = "/left/planner/world"


def around(radius: float = 0.1) -> Surrounding:
    return Surrounding(World((WorldObject("ball", Sphere(radius)),)), 0.02)


def worlds_of(bag: Path) -> list[dict[str, Any]]:
    return [json.loads(each.message.data) for each in by_rosbags(bag) if each.topic == WORLD]


def test_a_world_is_recorded_once_with_what_was_planned_in_it_first(recording: Recording, tmp_path: Path) -> None:
    bag, first, second = begin(recording, tmp_path), around(), around(0.2)
    for number, each in enumerate((first, first, second, second)):
        recording.plan(published(number), {}, each)
    recording.plan(published(9), {})
    recording.end()
    told = worlds_of(bag)
    assert [each["version"] for each in told] == [each.world.version for each in (first, second)]
    assert [world_from_dict(each["world"]) for each in told] == [first.world, second.world]
    assert (told[0]["margin"], told[0]["hash"]) == (0.02, first.world.hash)
    heard = by_rosbags(bag)
    times = [each.time for each in heard if each.topic == WORLD]
    plans = [each.time for each in heard if each.topic == PLANS[0]]
    assert times == [plans[0], plans[2]]


def test_so_is_that_in_which_a_goal_was_refused(recording: Recording, tmp_path: Path) -> None:
    bag, each = begin(recording, tmp_path), around()
    recording.refusal(text("refused"), each)
    recording.plan(published(1), {}, each)
    recording.refusal(text("refused"))
    recording.end()
    assert [told["version"] for told in worlds_of(bag)] == [each.world.version]
    again = begin(recording, tmp_path)
    recording.plan(published(1), {}, each)
    recording.end()
    assert len(worlds_of(again)) == 1, "each bag has it anew"


def test_each_file_begins_with_the_last_world(recording: Recording, tmp_path: Path) -> None:
    bag, last = begin(recording, tmp_path), around()
    recording.plan(published(1), {}, around(0.3))
    recording.plan(published(2), {}, last)
    for _ in range(30):
        recording.note("plan_report", String(data="x" * 100_000))
    recording.end()
    assert len(files_of(bag)) > 1
    assert [each["version"] for each in worlds_of(files_of(bag)[-1])] == [last.world.version]


def test_a_world_that_was_dropped_comes_with_the_next_plan(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag, each = begin(recording, tmp_path), around()
    writer = recording._writer
    assert writer is not None
    with monkeypatch.context() as patch:
        patch.setattr(writer, "put", lambda entry: False)
        recording.plan(published(1), {}, each)
    recording.plan(published(2), {}, each)
    recording.end()
    assert [told["version"] for told in worlds_of(bag)] == [each.world.version]


def test_obstacles_that_came_in_are_recorded(recording: Recording, tmp_path: Path) -> None:
    bag = begin(recording, tmp_path)
    recording.note("obstacles", serialize_message(markers(cube(3, 0.2))))
    recording.note("points", None)  # clouds are not
    recording.end()
    [heard] = [each for each in by_rosbags(bag) if each.topic == "/left/obstacles"]
    [marker] = heard.message.markers
    assert (marker.id, marker.scale.x) == (3, 0.2)


def test_a_folder_that_is_removed_ends_it(recording: Recording, tmp_path: Path) -> None:
    bag = begin(recording, tmp_path)
    shutil.rmtree(bag)
    recording.note("plan_report", String(data="lost"))
    wait(lambda: recording.problem)
    recording.note("plan_report", String(data="lost as well"))
    values = recording.values()
    assert "No such file or directory" in values["recording_problem"] and recording.problem.startswith(
        "recording ended"
    )
    assert values["recording_dropped"] == "2" and not bag.exists()


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (
            {"record_file_size": 3},
            ConfigError,
            "record_total_size must be at least twice record_file_size .3 MB., got 4",
        ),
        ({"record": "{file}/bags"}, SoboError, "cannot record in .*: Not a directory"),
    ],
)
def test_what_cannot_begin(
    values: dict[str, Any], error: type[Exception], message: str, recording: Recording, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    given = {"record": str(tmp_path), **SIZES, **values}
    given["record"] = given["record"].format(file=file)
    with pytest.raises(error, match=message):
        recording.begin(given, dict)
    assert recording.folder == "" and list(tmp_path.iterdir()) == [file]


def test_nothing_is_recorded_unless_asked_for(recording: Recording) -> None:
    recording.begin({"record": ""}, dict)
    recording.note("joint_states", JointState())
    recording.parameters([Parameter("speed", value=0.5)])
    recording.plan(published(1), {})
    assert recording.values() == {} and recording.problem == ""
