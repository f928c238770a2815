"""Ten thousand messages of all kinds and any value for every parameter, on running nodes over real DDS.

None ends a node, none makes it publish what the monitor objects to, and in between good goals are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import message_strategies as messages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_tools import StiffArm, calling, count, resident_mib
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from ros_harness import Probe, RosProcess, RosSystem, ros_system
from state_ages import usable

from sobo_planner.ros.support import node_parameters
from sobo_planner.tasks import Task, load_task

MODES = {"plan_once": (), "receding_horizon": ("rate:=20.0", "goal_type:=pose")}
BATCH = 5  # states, and goals, at a time: the node's queue of states holds as many
BATCHES = 500  # a mode: 2 x 500 x (5 + 5) messages
BETWEEN = 100  # batches from one good goal to the next
# Of what is sent; joint states are best effort.
ARRIVES = 0.9
MEMORY = 300.0  # [MiB] that the process may take, with every solver that it builds when one is first needed
ANSWERS = ("BAD_GOAL", "BAD_FRAME", "OUT_OF_REACH", "SUPERSEDED", "NO_STATE", "STALE_STATE", "BAD_START")
ANSWERS += ("PLANNING_FAILED", "PLAN_REFUSED", "DEADLINE_MISSED")

many = settings(max_examples=BATCHES, suppress_health_check=list(HealthCheck), database=None)
UR5 = load_task("ur5")
NAMES, HOME = UR5.robot.joint_names, list(UR5.config.robot.home)


@dataclass
class Sent:
    """What went out so far."""

    batches: int = 0
    unusable: int = 0
    without_velocity: int = 0
    resident: list[float] = field(default_factory=list)


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def system(mode: str, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("fuzz"), task.robot.joint_names) as system:
        yield system


@pytest.fixture(scope="module")
def planner(mode: str, system: RosSystem) -> RosProcess:
    return system.start_planner("policy:=none", f"mode:={mode}", *MODES[mode])


@pytest.fixture(scope="module")
def probe(system: RosSystem, planner: RosProcess) -> Probe:
    return system.probe


@pytest.fixture(scope="module")
def sent() -> dict[str, Sent]:
    return {mode: Sent() for mode in MODES}


def marked(probe: Probe, number: int) -> bool:
    """Whether the goal that ends a batch has been answered: it is refused for its frame, which is a number."""
    return any(f"'batch {number}'" in report.get("detail", "") for report in probe.reports)


def serves(probe: Probe, number: int) -> None:
    """Sends a good goal until it is planned for."""
    pose = UR5.robot.tool_pose(np.array(HOME) + 0.2 + 0.001 * (number % 10))
    goal, arm = probe.goal(pose[:3]), StiffArm(probe, HOME)
    o = goal.pose.orientation
    o.x, o.y, o.z, o.w = (float(value) for value in pose[3:])

    def answers() -> list[dict[str, Any]]:
        about = [report for report in probe.reports if report["goal"] and np.allclose(report["goal"][:3], pose[:3])]
        return [report for report in about if report.get("reason") != "SUPERSEDED"]

    for _ in range(10):
        probe.reports.clear()
        arm.tick()
        probe.goal_publisher.publish(goal)
        arm.wait(answers)
        if answers()[-1]["status"] != "refused":
            return
    raise AssertionError(f"not served: {answers()}")


@many
@given(
    states=st.lists(messages.joint_states(NAMES, HOME), min_size=BATCH, max_size=BATCH),
    goals=st.lists(messages.goals("base_link"), min_size=BATCH, max_size=BATCH),
)
def test_any_message(
    probe: Probe, planner: RosProcess, mode: str, sent: dict[str, Sent], states: list[Any], goals: list[Any]
) -> None:
    so_far = sent[mode]
    if so_far.batches % BETWEEN == 0:
        serves(probe, so_far.batches)
        so_far.resident.append(resident_mib(planner.node_pid))
    so_far.batches += 1
    probe.reports.clear()
    assert probe.monitor is not None
    for state, goal in zip(states, goals, strict=True):
        probe.state_publisher.publish(state)
        probe.goal_publisher.publish(goal)
        joints = usable(state, probe.monitor.names)
        so_far.unusable += joints is None
        velocity = dict(zip(state.name, state.velocity, strict=False))
        so_far.without_velocity += any(np.isnan(velocity.get(joint, np.nan)) for joint in joints or ())
    probe.goal_publisher.publish(probe.goal((0.0, 0.0, 0.0), f"batch {so_far.batches}"))
    probe.wait(lambda: marked(probe, so_far.batches))
    probe.trajectories.clear()


def test_what_the_node_says_it_saw(probe: Probe, planner: RosProcess, mode: str, sent: dict[str, Sent]) -> None:
    """Nearly all of it, refused or read; it lives, serves and has not grown."""
    so_far = sent[mode]
    assert so_far.batches >= BATCHES
    serves(probe, 0)
    values = probe.values()
    probe.wait(lambda: probe.values() is not values and probe.values()["state_age_s"] != values["state_age_s"])
    assert so_far.unusable > BATCHES and so_far.without_velocity > 10
    assert ARRIVES * so_far.unusable <= count(probe, "BAD_STATE") <= so_far.unusable
    seen = int(probe.values()["states_without_velocity"])
    assert ARRIVES * so_far.without_velocity <= seen <= so_far.without_velocity
    goals = sum(count(probe, status) for status in ANSWERS) + int(probe.values()["plans"])
    assert goals >= ARRIVES * so_far.batches * (BATCH + 1)
    assert count(probe, "INTERNAL_ERROR") == 0
    assert planner.running and "Traceback" not in planner.text()
    assert resident_mib(planner.node_pid) < MEMORY, so_far.resident


def parameter_values() -> st.SearchStrategy[ParameterValue]:
    """Any value of any type, the type that says that there is none among them."""
    integers = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 200)
    numbers = messages.odd_float | messages.any_float
    kinds = {
        "BOOL": ("bool_value", st.booleans()),
        "INTEGER": ("integer_value", integers),
        "DOUBLE": ("double_value", numbers),
        "STRING": ("string_value", messages.text),
        "BYTE_ARRAY": ("byte_array_value", st.lists(st.binary(min_size=1, max_size=1), max_size=4)),
        "BOOL_ARRAY": ("bool_array_value", st.lists(st.booleans(), max_size=4)),
        "INTEGER_ARRAY": ("integer_array_value", st.lists(integers, max_size=13)),
        "DOUBLE_ARRAY": ("double_array_value", st.lists(numbers, max_size=13)),
        "STRING_ARRAY": ("string_array_value", st.lists(messages.text, max_size=4)),
    }

    def message(kind: str, name: str) -> Callable[[Any], ParameterValue]:
        return lambda value: ParameterValue(type=getattr(ParameterType, f"PARAMETER_{kind}"), **{name: value})

    strategies = [values.map(message(kind, name)) for kind, (name, values) in kinds.items()]
    return st.one_of(st.just(ParameterValue()), *strategies)


@settings(max_examples=15, suppress_health_check=list(HealthCheck), database=None)
@given(values=st.lists(parameter_values(), min_size=4, max_size=4))
@pytest.mark.parametrize("spec", node_parameters.PLANNER, ids=lambda spec: spec.name)
def test_any_value_of_a_parameter(probe: Probe, planner: RosProcess, spec: Any, values: list[ParameterValue]) -> None:
    """Taken or refused with a reason; what is fixed stays as it is."""
    if not spec.read_only:  # what follows from the most that it may be set to may be under way before the answer is
        probe.monitor.configure({spec.name: spec.bounds[1] if spec.bounds else True})
    asked = [ParameterMessage(name=spec.name, value=value) for value in values]
    results = calling(probe, SetParameters, "planner/set_parameters", SetParameters.Request(parameters=asked)).results
    assert len(results) == len(asked)
    for value, result in zip(values, results, strict=True):
        assert result.successful or result.reason
        assert not (result.successful and spec.read_only), value
        if result.successful:
            taken = float(value.integer_value) if value.type == ParameterType.PARAMETER_INTEGER else value.double_value
            assert spec.bounds is None or spec.bounds[0] <= taken <= spec.bounds[1], value


def test_it_serves_after_all(probe: Probe, planner: RosProcess) -> None:
    """Whatever was taken, with the defaults again."""
    defaults = {spec.name: spec.default for spec in node_parameters.PLANNER if not spec.read_only}
    assert all(result.successful for result in probe.set_parameters("planner", **defaults))
    serves(probe, 0)
    assert planner.running and "Traceback" not in planner.text()
