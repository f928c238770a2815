"""The monitor of the ROS tests sees each single fault in the messages of a real plan, and fails a system over one."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from builtin_interfaces.msg import Duration, Time
from monitor import KEPT, Monitor
from reports import points_of, report_of
from ros_harness import RELIABLE, ros_system
from sensor_msgs.msg import JointState
from state_ages import Losses
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.planning.planner import Plan, Planner
from sobo_planner.policy import Policy
from sobo_planner.ros.outputs import conversions
from sobo_planner.tasks import ArmReach, load_task

STAMP = Time(sec=1000, nanosec=5)
PUBLISHED = 1000 * 10**9 + 10**6


@pytest.fixture(scope="module")
def plan(task: ArmReach, policy: Policy, home: np.ndarray) -> Plan:
    return Planner(task, policy).plan([*home, *np.zeros(6)], task.robot.tool_position(home + 0.4))


@pytest.fixture(scope="module")
def originals(task: ArmReach, plan: Plan) -> dict[str, Any]:
    gains, feedforward = conversions.gains_message(plan.K), conversions.feedforward_message(plan.U)
    sums = {"feedback_gains": conversions.checksum(gains), "feedforward": conversions.checksum(feedforward)}
    sums["joint_trajectory"] = points_of(plan).checksum
    return {
        "trajectory": conversions.trajectory_message(points_of(plan), task.robot.joint_names, STAMP),
        "gains": gains,
        "feedforward": feedforward,
        "report": report_of(plan, 1, STAMP, sums),
    }


@pytest.fixture
def messages(originals: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(originals)


def state() -> JointState:
    names = load_task("ur5").robot.joint_names
    return JointState(name=["gripper", *names], position=[math.nan] + [0.0] * 6)


def judge(messages: dict[str, Any], published: int = PUBLISHED, monitor: Monitor | None = None) -> list[str]:
    monitor = monitor or Monitor()
    monitor.state(state(), published - 10**6)
    monitor.gains(messages["gains"])
    monitor.feedforward(messages["feedforward"])
    monitor.trajectory(messages["trajectory"], published)
    report = messages["report"]
    monitor.report(String(data=report if isinstance(report, str) else json.dumps(report)))
    return monitor.violations


def test_a_real_plan_is_fine(messages: dict[str, Any]) -> None:
    monitor = Monitor()
    assert judge(messages, monitor=monitor) == []
    assert monitor.messages >= 4
    monitor.verdict()


def scale(message: Any, factor: float) -> None:
    message.data[7] *= factor


def move(message: JointTrajectory, joint: int, by: float) -> None:
    for k, point in enumerate(message.points):
        point.positions[joint] += by * k / len(message.points)


def relabel(message: Any, label: str) -> None:
    message.layout.dim[1].label = label


FAULTS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "nan position": (lambda m: m["trajectory"].points[3].positions.__setitem__(2, math.nan), "not finite"),
    "inf velocity": (lambda m: m["trajectory"].points[3].velocities.__setitem__(2, math.inf), "not finite"),
    "time": (lambda m: setattr(m["trajectory"].points[3], "time_from_start", Duration(sec=9)), "would drop"),
    "point at 0": (lambda m: setattr(m["trajectory"].points[0], "time_from_start", Duration()), "first point"),
    "effort": (lambda m: setattr(m["trajectory"].points[0], "effort", [0.0] * 6), "would drop"),
    "moving end": (lambda m: setattr(m["trajectory"].points[-1], "velocities", [0.1] * 6), "would drop"),
    "names": (lambda m: setattr(m["trajectory"], "joint_names", list("abcdef")), "joints"),
    "joint order": (lambda m: m["trajectory"].joint_names.reverse(), "joints"),
    "sizes": (lambda m: m["trajectory"].points[5].velocities.pop(), "one velocity for each"),
    "no points": (lambda m: setattr(m["trajectory"], "points", []), "would drop"),
    "position": (lambda m: move(m["trajectory"], 2, 5.0), "position 2"),
    "velocity": (lambda m: m["trajectory"].points[9].velocities.__setitem__(4, -3.2), "velocity 4 is -3.2"),
    "jump": (lambda m: m["trajectory"].points[9].positions.__setitem__(5, 1.0), "positions jump"),
    "collision": (lambda m: move(m["trajectory"], 2, 1.5), "touches"),
    "gains": (lambda m: scale(m["gains"], 1e9), "a gain of"),
    "nan gain": (lambda m: scale(m["gains"], math.nan), "not finite"),
    "old gains": (lambda m: relabel(m["gains"], "nu"), "labelled"),
    "short gains": (lambda m: m["gains"].data.pop(), "values for"),
    "torque": (lambda m: m["feedforward"].data.__setitem__(6, 150.1), "exceeds its limit by 0.1"),
    "nan torque": (lambda m: scale(m["feedforward"], math.nan), "not finite"),
    "nan in report": (lambda m: m["report"].update(cost=math.nan), "not strict JSON"),
    "no JSON": (lambda m: m.update(report="{"), "not strict JSON"),
    "start": (lambda m: m["report"]["start"].__setitem__(0, 1.0), "too far from start"),
    "half a plan": (lambda m: m["report"].pop("checksums"), "neither a plan nor a refusal"),
    "changed after the check": (lambda m: move(m["trajectory"], 2, 1e-12), "those checked have"),
    "longer controls": (lambda m: m["report"].update(dt=0.05), "outlast"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_single_fault_is_seen(messages: dict[str, Any], name: str) -> None:
    mutate, says = FAULTS[name]
    mutate(messages)
    monitor = Monitor()
    found = judge(messages, monitor=monitor)
    assert any(says in violation for violation in found), found
    with pytest.raises(AssertionError, match="violations"):
        monitor.verdict()


@pytest.mark.parametrize("late", [-1.1, 1.1, 50.0])
def test_stale_messages_are_seen(messages: dict[str, Any], late: float) -> None:
    assert "after its stamp" in judge(messages, PUBLISHED + round(late * 1e9))[0]
    simulated = Monitor()
    simulated.configure({"use_sim_time": True})
    assert judge(messages, PUBLISHED + round(late * 1e9), simulated) == []


BAD = {
    "none": None,
    "nan": JointState(name=state().name, position=[0.0, math.nan, *[0.0] * 5]),
    "short": JointState(name=state().name, position=[0.0] * 6),
    "twice": JointState(name=[*state().name, state().name[3]], position=[0.0] * 8),
    "empty": JointState(),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize(("age", "fine"), [(0.5, True), (0.7, False)])
def test_trajectories_after_the_last_state_are_seen(messages: dict[str, Any], bad: str, age: float, fine: bool) -> None:
    """The last one that can be used counts, whatever else comes in; only braking needs none."""
    for status in ("converged", "braking"):
        monitor = Monitor()
        monitor.state(state(), PUBLISHED - round(age * 1e9))
        if BAD[bad] is not None:
            monitor.state(BAD[bad], PUBLISHED - 10**7)
        monitor.trajectory(messages["trajectory"], PUBLISHED)
        monitor.gains(messages["gains"])
        monitor.feedforward(messages["feedforward"])
        monitor.report(String(data=json.dumps(messages["report"] | {"status": status})))
        if fine or status == "braking":
            monitor.verdict()
        else:
            with pytest.raises(AssertionError, match="after the last joint state"):
                monitor.verdict()


@pytest.mark.parametrize(("told", "fine"), [(0.03, True), (0.6, True), (0.62, False), (None, False)])
def test_a_state_that_the_probe_lost_counts_by_what_the_planner_says_of_it(
    messages: dict[str, Any], told: float | None, fine: bool
) -> None:
    """It is sent as best effort; allowed are the timeout of 0.5 s and what checking and writing take."""
    monitor, report = Monitor(), {key: messages["report"][key] for key in messages["report"] if key != "state_age_s"}
    monitor.state(state(), PUBLISHED - 10**9)
    monitor.trajectory(messages["trajectory"], PUBLISHED)
    monitor.gains(messages["gains"])
    monitor.feedforward(messages["feedforward"])
    said = {} if told is None else {"state_age_s": told}
    monitor.report(String(data=json.dumps(report | said | {"status": "refined"})))
    if fine:
        monitor.verdict()
    else:
        with pytest.raises(AssertionError, match=f"the planner says: refined, from a state of {told} s"):
            monitor.verdict()


@pytest.mark.parametrize(
    ("numbers", "publishers", "told", "fine"),
    [
        ((7, 9), "aa", None, True),
        ((7, 8), "aa", None, False),
        ((7, 9), "ab", None, False),
        ((None, None), "aa", None, False),
        ((7, 9), "aa", 0.62, False),
    ],
)
def test_a_trajectory_while_states_were_lost_is_judged_by_its_report_only(
    messages: dict[str, Any], numbers: tuple[int | None, int | None], publishers: str, told: float | None, fine: bool
) -> None:
    monitor = Monitor()
    for number, publisher, after in zip(numbers, publishers, (-(10**9), 10**9), strict=True):
        monitor.state(state(), PUBLISHED + after, publisher.encode(), number)
    monitor.trajectory(messages["trajectory"], PUBLISHED)
    if told is not None:
        monitor.gains(messages["gains"])
        monitor.feedforward(messages["feedforward"])
        monitor.report(String(data=json.dumps(messages["report"] | {"state_age_s": told, "status": "refined"})))
    if fine:
        monitor.verdict()
    else:
        with pytest.raises(AssertionError, match="after the last joint state"):
            monitor.verdict()


@pytest.mark.parametrize(("begin", "end", "within"), [(0, 10, False), (0, 11, True), (19, 30, True), (20, 30, False)])
def test_when_messages_were_lost(begin: int, end: int, within: bool) -> None:
    losses = Losses()
    for number, published in [(3, 5), (4, 10), (6, 20), (7, 30)]:
        losses.heard(b"a", number, published)
    assert losses.within(begin, end) is within


def test_one_stamp_one_meaning(messages: dict[str, Any]) -> None:
    monitor = Monitor()
    assert judge(messages, monitor=monitor) == []
    assert judge(messages, monitor=monitor) == [], "the same again is the same"
    messages["trajectory"].points[50].positions[0] += 1e-4
    assert "same stamp" in judge(messages, monitor=monitor)[0]


def test_pieces_of_two_plans_are_seen(messages: dict[str, Any], plan: Plan) -> None:
    monitor = Monitor()
    assert judge(messages, monitor=monitor) == []
    shorter = conversions.gains_message(plan.K[:50])
    monitor.gains(shorter)
    messages["report"]["checksums"]["feedback_gains"] = conversions.checksum(shorter)
    assert "have {" in judge(messages, monitor=monitor)[0]


def test_what_the_planner_was_told_counts(messages: dict[str, Any], task: ArmReach, home: np.ndarray) -> None:
    monitor = Monitor()
    monitor.configure({"tf_prefix": "left_"})
    assert judge(messages, monitor=monitor)
    monitor = Monitor()
    monitor.configure({"publish_effort": True})
    messages["trajectory"].points[0].effort = [0.0] * 6
    assert judge(messages, monitor=monitor) == []
    monitor.joint_box = (home - 0.1, home + 0.1)
    assert "joint box" in judge(messages, monitor=monitor)[0]
    monitor.joint_box, monitor.tool_box = None, (np.zeros(3), np.zeros(3))
    monitor.violations.clear()
    assert "tool box" in judge(messages, monitor=monitor)[0]


def test_memory_is_bounded(messages: dict[str, Any]) -> None:
    monitor = Monitor()
    for i in range(2 * KEPT):
        messages["trajectory"].header.stamp.nanosec = i
        monitor.trajectory(messages["trajectory"], PUBLISHED)
    assert len(monitor._seen["trajectory"]) == KEPT and monitor.violations == []


@pytest.mark.parametrize("good", [True, False])
def test_a_bad_message_on_a_topic_fails_the_system(
    tmp_path: Path, task: ArmReach, messages: dict[str, Any], good: bool
) -> None:
    """Whoever publishes it: here the test does, in the planner's place."""
    outcome = []
    try:
        with ros_system(tmp_path, task.robot.joint_names) as system:
            system.probe.monitor = Monitor()
            publisher = system.probe.create_publisher(JointTrajectory, "joint_trajectory", RELIABLE)
            system.probe.wait(lambda: publisher.get_subscription_count() > 0)
            system.probe.wait(
                lambda: system.probe.states_heard, each=lambda: system.probe.state_publisher.publish(state())
            )
            message = messages["trajectory"]
            message.header.stamp = system.probe.get_clock().now().to_msg()
            message.points[4].positions[1] += 0.0 if good else math.nan
            publisher.publish(message)
            system.probe.wait(lambda: system.probe.trajectories)
    except AssertionError as error:
        outcome.append(str(error))
    assert [("not finite" in text) for text in outcome] == ([] if good else [True])
