"""Control messages for linear_feedback_controller, and its law in closed loop with our sign and the other one.

The message package comes with a ROS distribution only. Where it is missing, types generated from its definitions stand
in for the wire types, and for nothing else: the controller of these tests reads a message as the real one does.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import field, make_dataclass
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import geometry_msgs.msg
import sensor_msgs.msg
import std_msgs.msg
from builtin_interfaces.msg import Time
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Float64MultiArray

from sobo_planner.motion import splined
from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.policy import Policy
from sobo_planner.ros.outputs import conversions, linear_feedback
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach

STEP = 1e-3  # [s], the controller's period
MESSAGE_PERIOD = 10  # steps between two messages: 100 Hz
STAMP = Time(sec=5, nanosec=7)

# linear_feedback_controller_msgs 1.2, whose fields are these.
DEFINITIONS = {
    "Contact": "bool active\nstring name\ngeometry_msgs/Wrench wrench\ngeometry_msgs/Pose pose",
    "Sensor": "std_msgs/Header header\ngeometry_msgs/Pose base_pose\ngeometry_msgs/Twist base_twist\n"
    "sensor_msgs/JointState joint_state\nContact[] contacts",
    "Control": "std_msgs/Header header\nstd_msgs/Float64MultiArray feedback_gain\n"
    "std_msgs/Float64MultiArray feedforward\nSensor initial_state",
}
PACKAGES = {"geometry_msgs": geometry_msgs.msg, "sensor_msgs": sensor_msgs.msg, "std_msgs": std_msgs.msg}


def stand_ins() -> dict[str, type]:
    """Classes with the fields of the definitions and no others."""
    types: dict[str, type] = {}

    def factory(kind: str) -> Any:
        if kind.endswith("[]"):
            return list
        package, _, name = kind.rpartition("/")
        return getattr(PACKAGES[package], name) if package else types.get(kind) or {"bool": bool, "string": str}[kind]

    for name, text in DEFINITIONS.items():
        fields = [line.split() for line in text.splitlines()]
        members = [(label, Any, field(default_factory=factory(kind))) for kind, label in fields]
        types[name] = make_dataclass(name, members, slots=True)
    return types


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wire type: the real one where there is one."""
    if not linear_feedback.available():
        monkeypatch.setattr(linear_feedback, "Control", stand_ins()["Control"])


@pytest.fixture(scope="module")
def plans(task: ArmReach, policy: Policy, home: np.ndarray) -> list[Plan]:
    planner, rng = Planner(task, policy), np.random.default_rng(3)
    postures = [home + rng.uniform(-0.8, 0.8, 6) for _ in range(3)]
    return [planner.plan([*home, *np.zeros(6)], task.robot.tool_position(q)) for q in postures]


class Controller:
    """linear_feedback_controller's law, from what it reads in a message: tau = feedforward + K (x_des - x)."""

    def __init__(self) -> None:
        self.K = self.feedforward = self.desired = np.zeros(0)

    def receive(self, message: Any) -> None:
        state = message.initial_state.joint_state
        if not state.name:
            return
        self.take(message.feedback_gain, message.feedforward, [*state.position, *state.velocity])

    def take(self, gain: Float64MultiArray, feedforward: Float64MultiArray, desired: list[float]) -> None:
        self.K, self.feedforward = self.matrix(gain), self.matrix(feedforward)[:, 0]
        self.desired = np.array(desired)

    @staticmethod
    def matrix(message: Float64MultiArray) -> np.ndarray:
        rows, columns = message.layout.dim
        assert (rows.label, columns.label) == ("rows", "cols")
        assert (rows.stride, columns.stride) == (rows.size * columns.size, columns.size)
        offset, stride = message.layout.data_offset, columns.stride
        entries = [[message.data[offset + stride * i + j] for j in range(columns.size)] for i in range(rows.size)]
        return np.array(entries)

    def torque(self, x: np.ndarray) -> np.ndarray:
        return self.feedforward + self.K @ (self.desired - x)


def desired(plan: Plan, t: float) -> tuple[np.ndarray, int]:
    """State of the plan at time t [s], along splines between knots, and its control step."""
    state = splined(plan.time, plan.X, np.array([t]))[0]
    return state, min(int(t / plan.time[1] + 1e-9), len(plan.U) - 1)


def final_error(task: ArmReach, plan: Plan, controller: Controller, send: Any) -> float:
    """Distance to the goal [m] of an arm 10 % heavier than the model that starts 0.03 rad off in every joint."""
    plant = task.robot.with_mass_scale(1.1)
    x, limit = plan.X[0] + 0.03 * (np.arange(12) < 6), task.robot.effort_limit
    for i in range(round(plan.time[-1] / STEP)):
        if i % MESSAGE_PERIOD == 0:
            send(controller, plan, *desired(plan, i * STEP))
        friction = plant.friction_torque(x[6:])
        x = plant.step(x, np.clip(controller.torque(x), -limit, limit) - friction, STEP)
        if not np.isfinite(x).all() or np.abs(x).max() > 1e3:
            return np.inf
    return float(np.linalg.norm(task.robot.tool_position(x[:6]) - plan.goal))


def send_control(sign: float) -> Any:
    def send(controller: Controller, plan: Plan, x: np.ndarray, step: int) -> None:
        names = [f"joint {i}" for i in range(6)]
        controller.receive(linear_feedback.control_message(STAMP, names, x, plan.U[step], sign * plan.K[step]))

    return send


@pytest.mark.usefixtures("control")
def test_our_sign_holds_the_arm_and_the_other_does_not(task: ArmReach, plans: list[Plan]) -> None:
    for plan in plans:
        assert final_error(task, plan, Controller(), send_control(1.0)) < 0.002
        assert final_error(task, plan, Controller(), send_control(-1.0)) > 0.1
        assert final_error(task, plan, Controller(), send_control(0.0)) > 0.02, "it is the gains that hold it"


@pytest.mark.usefixtures("control")
def test_feedback_gains_carry_the_same_numbers(task: ArmReach, plans: list[Plan]) -> None:
    """For a controller without the message package: blocks of `feedback_gains` and rows of `feedforward`."""
    plan = plans[0]
    gains, feedforward = conversions.gains_message(plan.K), conversions.feedforward_message(plan.U)
    size = 6 * 12
    for step in range(len(plan.U)):
        message = linear_feedback.control_message(STAMP, list("abcdef"), plan.X[step], plan.U[step], plan.K[step])
        assert message.feedback_gain.data == gains.data[size * step : size * (step + 1)]
        assert message.feedforward.data == feedforward.data[6 * step : 6 * (step + 1)]
    assert [(dim.label, dim.size) for dim in gains.layout.dim[1:]] == [("rows", 6), ("cols", 12)]

    def send(controller: Controller, plan: Plan, x: np.ndarray, step: int) -> None:
        begin = size * step
        block = Float64MultiArray(layout=message.feedback_gain.layout, data=gains.data[begin : begin + size])
        row = Float64MultiArray(layout=message.feedforward.layout, data=feedforward.data[6 * step : 6 * step + 6])
        controller.take(block, row, list(x))

    assert final_error(task, plan, Controller(), send) < 0.002


@pytest.mark.usefixtures("control")
def test_fields(task: ArmReach, plans: list[Plan]) -> None:
    plan, names = plans[0], ["left_" + name for name in task.robot.joint_names]
    message = linear_feedback.control_message(STAMP, names, plan.X[4], plan.U[4], plan.K[4])
    state = message.initial_state.joint_state
    assert list(state.name) == names and len(state.effort) == 0
    np.testing.assert_array_equal([*state.position, *state.velocity], plan.X[4])
    stamps = (message.header.stamp, message.initial_state.header.stamp, state.header.stamp)
    assert stamps == (STAMP, STAMP, STAMP)
    assert message.initial_state.base_pose.orientation.w == 1.0 and not message.initial_state.contacts
    np.testing.assert_array_equal(Controller.matrix(message.feedback_gain), -plan.K[4])
    np.testing.assert_array_equal(Controller.matrix(message.feedforward), plan.U[4][:, None])


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize("name", ["x", "u", "K"])
@pytest.mark.parametrize("fault", ["size", "rank", "nan", "inf"])
def test_malformed_steps_are_refused(plans: list[Plan], name: str, fault: str) -> None:
    values = {"x": plans[0].X[0].copy(), "u": plans[0].U[0].copy(), "K": plans[0].K[0].copy()}
    if fault == "size":
        values[name] = values[name][..., :-1]
    elif fault == "rank":
        values[name] = values[name][None]
    else:
        values[name].flat[-1] = float(fault)
    with pytest.raises(Refused, match=re.escape(name)) as refused:
        linear_feedback.control_message(STAMP, list("abcdef"), **values)
    assert refused.value.status is Status.BAD_PLAN
    with pytest.raises(Refused, match="0 joints"):
        linear_feedback.control_message(STAMP, [], np.zeros(0), np.zeros(0), np.zeros((0, 0)))


def test_topic_and_quality_of_service() -> None:
    assert linear_feedback.TOPIC == "control"
    assert linear_feedback.QOS.reliability is ReliabilityPolicy.BEST_EFFORT and linear_feedback.QOS.depth == 10


def test_without_the_message_package_nothing_else_breaks() -> None:
    installed = importlib.util.find_spec("linear_feedback_controller_msgs") is not None
    assert linear_feedback.available() == installed


@pytest.mark.usefixtures("control")
def test_with_a_message_type_the_stream_is_available() -> None:
    assert linear_feedback.available()


def test_the_definitions_are_the_package_s() -> None:
    real = pytest.importorskip(
        "linear_feedback_controller_msgs.msg",
        reason="linear_feedback_controller_msgs comes with a ROS distribution only",
    )
    assert linear_feedback.available()
    for name, text in DEFINITIONS.items():
        expected = {label: kind for kind, label in (line.split() for line in text.splitlines())}
        found = getattr(real, name).get_fields_and_field_types()
        assert set(found) == set(expected)
        own = {
            k: v.replace("Contact[]", "sequence<linear_feedback_controller_msgs/Contact>") for k, v in expected.items()
        }
        own = {k: f"linear_feedback_controller_msgs/{v}" if v == "Sensor" else v for k, v in own.items()}
        assert found == own | {k: "boolean" for k, v in own.items() if v == "bool"}
