"""The way out of the planner node: plans with their reports, and the stream for linear_feedback_controller."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from rclpy.serialization import deserialize_message
from ros_harness import ros_system
from std_msgs.msg import String
from test_linear_feedback import stand_ins

from sobo_planner.motion import Followed, Motion, reference
from sobo_planner.planning.planner import Planner
from sobo_planner.ros.outputs import conversions, linear_feedback
from sobo_planner.ros.outputs.plan_outputs import PlanOutputs
from sobo_planner.ros.outputs.plan_recorder import RECORDED, PlanRecorder
from sobo_planner.ros.record.plans import Published
from sobo_planner.ros.record.worlds import Surrounding
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Pose, Sphere, World, WorldObject

DETAILS = {"status": "converged", "phases_ms": {}}
VALUES = {
    "publish_effort": False,
    "publish_acceleration": False,
    "allow_nonzero_velocity_at_trajectory_end": False,
    "goal_type": "position",
}
BEGIN = 100.0


class Recorder:
    """In the place of the publisher of a message that has no wire type here."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def publish(self, message: Any) -> None:
        self.messages.append(message)


@pytest.fixture(scope="module")
def motion(task: ArmReach, home: np.ndarray) -> Motion:
    plan = Planner(task).plan([*home, *np.zeros(6)], task.robot.tool_position(home + 0.3), duration=2.0)
    return Motion(BEGIN, plan.time[1], plan.X, plan.U, plan.K)


@pytest.fixture
def outputs(task: ArmReach, tmp_path: Path) -> Iterator[PlanOutputs]:
    with ros_system(tmp_path, task.robot.joint_names) as system:
        system.probe.monitor = None  # the stamps of this test are not those of the clock
        outputs = PlanOutputs(
            system.probe, task.robot, PlanChecker(task), Followed(), task.robot.joint_names, "none", dict(VALUES)
        )
        outputs.open()
        yield outputs
        outputs.destroy()


@pytest.fixture
def stream(outputs: PlanOutputs, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """What goes out on `control`."""
    if not linear_feedback.available():
        monkeypatch.setattr(linear_feedback, "Control", stand_ins()["Control"])
    recorder = Recorder()
    monkeypatch.setattr(outputs._commands, "_control", recorder)
    return recorder


def test_the_stream_follows_the_motion(outputs: PlanOutputs, stream: Recorder, motion: Motion, task: ArmReach) -> None:
    outputs.publish(motion, BEGIN - 0.02, DETAILS)
    outputs.publish_control(BEGIN - 0.01)
    assert stream.messages == []  # nothing before it begins
    for t in (0.0, 0.015, 0.5, motion.end - BEGIN):
        outputs.publish_control(BEGIN + t)
        message, stage = stream.messages[-1], min(int(t / motion.dt + 1e-9), task.horizon - 1)
        state = message.initial_state.joint_state
        assert list(state.name) == task.robot.joint_names
        np.testing.assert_allclose([*state.position, *state.velocity], motion.state(BEGIN + t))
        np.testing.assert_allclose(message.feedforward.data, motion.U[stage])
        np.testing.assert_allclose(np.reshape(message.feedback_gain.data, (6, 12)), -motion.K[stage])
        assert conversions.duration_seconds(message.header.stamp) == pytest.approx(BEGIN + t)
    outputs.publish_control(motion.end + 1.0)
    held = stream.messages[-1]
    np.testing.assert_array_equal(held.initial_state.joint_state.velocity, np.zeros(6))
    np.testing.assert_allclose(held.feedforward.data, task.robot.gravity(motion.X[-1, :6]))


def test_the_stream_does_not_run_away_from_an_arm_that_is_behind(
    outputs: PlanOutputs, stream: Recorder, motion: Motion, task: ArmReach
) -> None:
    outputs.publish(motion, BEGIN - 0.02, DETAILS)
    at = BEGIN + 0.5
    desired, gains = motion.state(at), motion.K[motion.stage(at)]
    for off in (0.001, 0.5):
        x = desired - np.repeat([off, 0.0], 6)
        outputs.publish_control(at, x)
        state = stream.messages[-1].initial_state.joint_state
        expected = reference(desired, x, gains, task.robot.velocity_limit)
        np.testing.assert_allclose([*state.position, *state.velocity], expected)
        assert bool(np.abs(expected - desired).max() > 0.1) is (off == 0.5)


def test_the_stream_changes_over_at_the_hand_over(outputs: PlanOutputs, stream: Recorder, motion: Motion) -> None:
    later = replace(motion, begin=BEGIN + 0.5, X=motion.X + np.repeat([0.01, 0.0], 6))
    outputs.publish(motion, BEGIN - 0.01, DETAILS)
    outputs.publish(later, BEGIN + 0.48, DETAILS)
    for t, expected in ((BEGIN + 0.49, motion), (BEGIN + 0.5, later)):
        outputs.publish_control(t)
        np.testing.assert_allclose(stream.messages[-1].initial_state.joint_state.position, expected.state(t)[:6])


def test_closed_outputs_let_nothing_pass(outputs: PlanOutputs, stream: Recorder, motion: Motion) -> None:
    assert outputs.publish(motion, BEGIN - 0.01, DETAILS) is not None
    outputs.close()
    assert outputs.publish(motion, BEGIN - 0.01, DETAILS) is None
    outputs.publish_control(BEGIN + 0.1)
    assert stream.messages == [] and outputs._followed.timeline is None
    outputs.open()  # nothing is left of what was followed before
    outputs.publish_control(BEGIN + 0.1)
    assert stream.messages == []


def test_a_state_that_becomes_stale_during_the_checks_keeps_the_messages_back(
    outputs: PlanOutputs, motion: Motion
) -> None:
    def stale() -> None:
        raise Refused(Status.STALE_STATE, "joint state is 0.6 s old")

    with pytest.raises(Refused, match="STALE_STATE"):
        outputs.publish(motion, BEGIN - 0.01, DETAILS, None, stale)
    assert outputs._followed.timeline is None
    report = outputs.publish(motion, BEGIN - 0.01, DETAILS, None, lambda: None)
    assert report is not None and report["plan_id"] == 1


def test_what_the_controller_would_drop_is_not_published(outputs: PlanOutputs, motion: Motion) -> None:
    X = motion.X.copy()
    X[7, 2] = np.nan
    with pytest.raises(Refused) as refusal:
        outputs.publish(replace(motion, X=X), BEGIN - 0.01, DETAILS)
    assert refusal.value.status is Status.PLAN_REFUSED and "nan" in refusal.value.detail
    assert outputs._followed.timeline is None


@pytest.mark.parametrize("lead", [0.0, 0.25])
@pytest.mark.parametrize("speed", [0.0, 0.03])
@pytest.mark.parametrize("values", [{}, {"publish_effort": True}, {"allow_nonzero_velocity_at_trajectory_end": True}])
def test_what_is_published_is_what_passed_the_checker(
    outputs: PlanOutputs,
    motion: Motion,
    task: ArmReach,
    monkeypatch: pytest.MonkeyPatch,
    lead: float,
    speed: float,
    values: dict[str, bool],
) -> None:
    """Number for number, the braking at the end included, and the report tells by which checksum to know it."""
    X, checked = motion.X.copy(), []
    X[-1, 7] = speed
    check = outputs._checker.check_points
    monkeypatch.setattr(outputs._checker, "check_points", lambda *a: checked.append(a) or check(*a))
    monkeypatch.setattr(outputs, "_values", VALUES | values)
    report = outputs.publish(replace(motion, X=X), BEGIN - lead, DETAILS)
    assert report is not None
    probe: Any = outputs._node
    probe.wait(lambda: probe.trajectories)
    message, ((points, U, K),) = probe.trajectories[-1], checked
    times, states = conversions.trajectory_arrays(message, task.robot.joint_names)
    np.testing.assert_array_equal(np.rint(1e9 * times), points.nanoseconds)
    np.testing.assert_array_equal(states, np.hstack([points.positions, points.velocities]))
    assert len(states) == task.horizon + bool(lead) + (
        speed > 0.0 and "publish_effort" in str(values or "publish_effort")
    )
    effort = [list(point.effort) for point in message.points]
    assert effort == (points.effort.tolist() if "publish_effort" in values else [[]] * len(states))
    assert report["checksums"] == {
        "joint_trajectory": points.checksum,
        "feedback_gains": conversions.checksum(conversions.gains_message(K)),
        "feedforward": conversions.checksum(conversions.feedforward_message(U)),
    }


def test_what_is_recorded_are_the_bytes_that_were_published(
    outputs: PlanOutputs, motion: Motion, task: ArmReach, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[tuple[Published, dict[str, bytes], Any]] = []
    refused: list[tuple[bytes, Any]] = []
    recording: Any = SimpleNamespace(
        plan=lambda *plan: recorded.append(plan), refusal=lambda *refusal: refused.append(refusal)
    )
    recorder = PlanRecorder(recording, task.robot, VALUES | dict.fromkeys(RECORDED), None)
    monkeypatch.setattr(outputs, "_recorder", recorder)
    left = {role: Recorder() for role in ("joint_trajectory", "feedback_gains", "feedforward", "plan_report")}
    for role, attribute in zip(left, ("_trajectory", "_gains", "_feedforward", "_report"), strict=True):
        monkeypatch.setattr(outputs, attribute, left[role])
    report = outputs.publish(motion, BEGIN - 0.25, DETAILS)
    [(published, messages, around)] = recorded
    assert around is None and "world_version" not in published.data()
    together = {"joint_trajectory": published.trajectory, **messages}
    assert together.keys() == left.keys()
    for role, publisher in left.items():
        assert isinstance(together[role], bytes) and publisher.messages == [together[role]], role
    assert json.loads(deserialize_message(together["plan_report"], String).data) == report
    refusal = Refused(Status.BAD_GOAL, "too far")
    outputs.publish_refusal(refusal, np.ones(3))
    told = json.loads(deserialize_message(left["plan_report"].messages[-1], String).data)
    assert (told["reason"], told["goal"]) == ("BAD_GOAL", [1.0, 1.0, 1.0])
    assert refused == [(left["plan_report"].messages[-1], None)]


def test_what_is_recorded_says_in_which_world_it_was_made(
    outputs: PlanOutputs, motion: Motion, task: ArmReach, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was checked in another world than it was made in, as braking among objects, brings none."""
    recorded: list[Any] = []
    recording: Any = SimpleNamespace(
        plan=lambda *plan: recorded.append(plan), refusal=lambda *told: recorded.append(told)
    )
    values: dict[str, Any] = VALUES | dict.fromkeys(RECORDED) | {"world_margin": 0.01}

    def known(world: Callable[[], World] | None) -> None:
        monkeypatch.setattr(outputs, "_recorder", PlanRecorder(recording, task.robot, values, world))

    known(None)
    view = task.with_world(World((WorldObject("ball", Sphere(0.1), Pose((0.0, 0.0, 3.0))),)), 0.02)
    version = view.robot.world.version
    for details in (DETAILS, DETAILS | {"world": {"version": version}}, DETAILS | {"world": {"version": version + 1}}):
        outputs.publish(motion, BEGIN - 0.25, details, None, None, view)
    (first, second, third) = recorded
    assert first[2] == second[2] == Surrounding(view.robot.world, 0.02) and third[2] is None
    assert [each[0].data()["world_version"] for each in recorded] == [version, version, version + 1]
    outputs.publish_refusal(Refused(Status.BAD_GOAL, "too far"), np.ones(3))
    assert recorded[-1][1] is None, "nobody says what surrounds the arm"
    known(lambda: view.robot.world)
    outputs.publish_refusal(Refused(Status.BAD_GOAL, "too far"), np.ones(3))
    assert recorded[-1][1] == Surrounding(view.robot.world, 0.01)
    known(World)
    for topics, told in (("", False), ("obstacles", True)):  # nothing was ever heard, or that there is nothing
        values["world_topics"] = topics
        outputs.publish_refusal(Refused(Status.BAD_GOAL, "too far"), np.ones(3))
        assert (recorded[-1][1] is not None) is told


def test_what_the_checker_refuses_is_not_published(outputs: PlanOutputs, motion: Motion) -> None:
    """Though it keeps every limit: the braking at its end does not."""
    X = motion.X.copy()
    X[-1, 6:] = 3.1
    X[:, 1] = np.linspace(X[0, 1], 6.2, len(X))
    with pytest.raises(Refused, match="shoulder_lift_joint is") as refusal:
        outputs.publish(replace(motion, X=X), BEGIN - 0.01, DETAILS)
    assert refusal.value.status is Status.PLAN_REFUSED and outputs._followed.timeline is None


def test_reports_name_their_pieces(outputs: PlanOutputs, motion: Motion) -> None:
    report = outputs.publish(motion, BEGIN - 0.25, DETAILS)
    assert report is not None
    assert report["plan_id"] == 1 and report["lead"] == pytest.approx(0.25) and report["policy"] == "none"
    np.testing.assert_array_equal(report["start"], motion.X[0])
    assert report["checksums"]["feedback_gains"] == conversions.checksum(conversions.gains_message(motion.K))
