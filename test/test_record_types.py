"""Messages in CDR: trajectories from their points as from the message, and every kind of field."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")
pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

from builtin_interfaces.msg import Time
from rcl_interfaces.msg import ParameterEvent
from rclpy.parameter import Parameter
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.record.fast_cdr import joint_trajectory, multi_array, text
from sobo_planner.ros.record.topics import ARRAY, JOINT_STATE, STRING
from sobo_planner.ros.record.types import Types
from sobo_planner.safety import Trajectory

STORE = get_typestore(Stores.ROS2_KILTED)
TRAJECTORY, EVENT = "trajectory_msgs/msg/JointTrajectory", "rcl_interfaces/msg/ParameterEvent"


@pytest.fixture(scope="module")
def types() -> Types:
    return Types()


@pytest.mark.parametrize("names", [["a"], ["joint_1", "elbow"], [f"joint{'x' * i}" for i in range(7)]])
@pytest.mark.parametrize("effort", [False, True])
@pytest.mark.parametrize("acceleration", [False, True])
def test_a_trajectory_from_its_points(
    names: list[str], effort: bool, acceleration: bool, types: Types, rng: np.random.Generator
) -> None:
    """Number for number the message that is published, wherever in it a number of eight bytes begins."""
    n = len(names)
    X, U = rng.normal(size=(12, 2 * n)), rng.normal(size=(11, n))
    for lead in (0.0, 1.3):
        points = Trajectory.of(0.2 * np.arange(12), X, U, lead=lead)
        message = conversions.trajectory_message(points, names, Time(sec=7, nanosec=9), effort, acceleration)
        data = joint_trajectory(points, names, (7, 9), effort, acceleration)
        assert data == types.serialised(TRAJECTORY, message)
        assert len(STORE.deserialize_cdr(data, TRAJECTORY).points) == len(message.points)


def test_arrays_as_they_are_published(types: Types, rng: np.random.Generator) -> None:
    gains, controls = rng.normal(size=(5, 2, 4)), rng.normal(size=(5, 2))
    for (data, checksum), message in (
        (conversions.gains_cdr(gains), conversions.gains_message(gains)),
        (conversions.feedforward_cdr(controls), conversions.feedforward_message(controls)),
        (conversions.feedforward_cdr(controls[:0]), conversions.feedforward_message(controls[:0])),
    ):
        assert data == types.serialised(ARRAY, message)
        assert checksum == conversions.checksum(message)
    for values, labels in ((gains, ("a", "long label", "c")), (controls.T, ("four", "b"))):
        message = conversions.multiarray_message(values, labels)
        assert multi_array(values, labels) == types.serialised(ARRAY, message)


def test_fields_of_every_kind(types: Types) -> None:
    values: dict[str, Any] = {
        "whole": 3,
        "number": 2.5,
        "text": "über",
        "yes": True,
        "numbers": [1.0, 2.0],
        "wholes": [1, 2],
        "texts": ["a", ""],
        "truths": [True, False],
        "bytes": [b"\x01", b"\xff"],
    }
    messages = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
    data = types.serialised(EVENT, ParameterEvent(node="/planner", new_parameters=messages))
    read = {each.name: each.value for each in STORE.deserialize_cdr(data, EVENT).new_parameters}
    found = [
        read["whole"].integer_value,
        read["number"].double_value,
        read["text"].string_value,
        read["yes"].bool_value,
    ]
    assert found == [3, 2.5, "über", True]
    lists = {"numbers": "double", "wholes": "integer", "texts": "string", "truths": "bool", "bytes": "byte"}
    read_lists = {name: list(getattr(read[name], f"{kind}_array_value")) for name, kind in lists.items()}
    assert read_lists == {name: values[name] for name in lists} | {"bytes": [1, -1]}


@pytest.mark.parametrize("value", ["", "abc", "{}", "über 1 \u2603"])
def test_texts(value: str, types: Types) -> None:
    assert text(value) == types.serialised(STRING, String(data=value))


def test_a_message_that_ends_with_empty_arrays(types: Types) -> None:
    """rclpy leaves room there, which readers refuse."""
    data = types.serialised(JOINT_STATE, JointState(name=["a"], position=[1.0]))
    read = STORE.deserialize_cdr(data, JOINT_STATE)
    assert list(read.position) == [1.0] and len(read.velocity) == len(read.effort) == 0


def test_definitions_of_installed_packages(types: Types, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A type that rosbags does not know is described by its package, with the types that it is made of."""
    folder = tmp_path / "share" / "own_msgs" / "msg"
    folder.mkdir(parents=True)
    index = tmp_path / "share/ament_index/resource_index/packages"
    index.mkdir(parents=True)
    (index / "own_msgs").touch()
    (folder / "Whole.msg").write_text("Part[] parts\nstd_msgs/Header header\n")
    (folder / "Part.msg").write_text("float64 value\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    topic = types.topic("/whole", "own_msgs/msg/Whole", "")
    assert "MSG: own_msgs/Part" in topic.definition and topic.type_hash.startswith("RIHS01_")
    with pytest.raises(ConfigError, match="own_msgs/msg/None is not installed"):
        types.topic("/none", "own_msgs/msg/None", "")


def test_without_rosbags(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("rosbags"):
            raise ImportError(name)
        return imported(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SoboError, match="pip install 'sobo_planner\\[bags\\]'"):
        Types()
