"""What the planner's outputs hand to their publishers, with a node that only takes notes."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from rclpy.duration import Duration
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from scripted_serving import N, coasting_motion
from std_msgs.msg import String
from test_linear_feedback import stand_ins

from sobo_planner.motion import Followed, Motion
from sobo_planner.robot.frames import Placement
from sobo_planner.ros.outputs import conversions, linear_feedback
from sobo_planner.ros.outputs import plan_outputs as module
from sobo_planner.ros.outputs.plan_outputs import PlanOutputs
from sobo_planner.ros.support.status import Refused, Status

NAMES = [f"joint_{i}" for i in range(N)]
VALUES = {
    "publish_effort": False,
    "publish_acceleration": False,
    "allow_nonzero_velocity_at_trajectory_end": False,
    "goal_type": "position",
}
DETAILS: dict[str, Any] = {"status": "converged", "phases_ms": {}}
TOPICS = ["joint_trajectory", "feedback_gains", "feedforward", "plan_report"]
BEGIN = 100.0
GOAL = np.array([1.0, 0.0, 0.0])


class Publisher:
    """Takes messages; each wait for its subscribers takes 0.4 s."""

    def __init__(self, clock: SimpleNamespace, kind: type, topic: str, qos: QoSProfile) -> None:
        self._kind = kind
        self._clock, self.topic_name, self.qos = clock, f"/arm/{topic}", qos
        self.messages: list[Any] = []
        self.waits: list[float] = []

    def publish(self, message: Any) -> None:
        self.messages.append(deserialize_message(message, self._kind) if isinstance(message, bytes) else message)

    def wait_for_all_acked(self, timeout: Duration) -> bool:
        self.waits.append(1e-9 * timeout.nanoseconds)
        self._clock.time += 0.4
        return True

    def get_subscription_count(self) -> int:
        return len(self.topic_name)


class Recorder:
    """In the place of a node, of a robot without weight and of a checker that passes everything."""

    nq = N

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = SimpleNamespace(time=7.0, monotonic=lambda: self.clock.time)
        monkeypatch.setattr(module, "time", self.clock)
        self.publishers: dict[str, Publisher] = {}
        self.destroyed: list[Publisher] = []
        self.followed = Followed()

    def create_publisher(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        self.publishers[topic] = Publisher(self.clock, kind, topic, qos)
        return self.publishers[topic]

    def destroy_publisher(self, publisher: Publisher) -> None:
        self.destroyed.append(publisher)

    def gravity(self, q: np.ndarray) -> np.ndarray:
        return np.zeros(N)

    def check_points(self, *points: Any) -> None:
        return None

    def closed_outputs(self, **options: Any) -> PlanOutputs:
        me: Any = self
        return PlanOutputs(me, me, me, self.followed, NAMES, "none", VALUES, **options)

    def outputs(self, **options: Any) -> PlanOutputs:
        outputs = self.closed_outputs(**options)
        outputs.open()
        return outputs

    def sent(self, topic: str) -> list[Any]:
        return self.publishers[topic].messages


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_feedback, "Control", stand_ins()["Control"])


@pytest.fixture
def no_control(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_feedback, "Control", None)


def motion(begin: float = BEGIN) -> Motion:
    """A motion at rest."""
    made = coasting_motion(np.zeros(2 * N), begin, 0.02)
    return replace(made, U=np.full_like(made.U, 2.0), K=np.full_like(made.K, 3.0))


def stamp(recorder: Recorder, index: int = -1) -> int:
    """Of a trajectory [ns]."""
    found = recorder.sent("joint_trajectory")[index].header.stamp
    return 10**9 * int(found.sec) + int(found.nanosec)


def test_a_plan_goes_out_on_all_topics(recorder: Recorder) -> None:
    report = recorder.outputs().publish(motion(), BEGIN - 0.01, DETAILS)
    assert report is not None and [len(recorder.sent(topic)) for topic in TOPICS] == [1, 1, 1, 1]
    np.testing.assert_array_equal(conversions.gains_array(recorder.sent("feedback_gains")[0]), motion().K)
    np.testing.assert_array_equal(conversions.feedforward_array(recorder.sent("feedforward")[0]), motion().U)
    assert json.loads(recorder.sent("plan_report")[0].data) == json.loads(json.dumps(report))
    assert recorder.followed.timeline is not None


@pytest.mark.usefixtures("no_control")
def test_plans_are_sent_reliably_and_the_last_ten_are_kept(recorder: Recorder) -> None:
    recorder.outputs()
    assert sorted(recorder.publishers) == sorted(TOPICS)
    for publisher in recorder.publishers.values():
        assert publisher.qos.reliability is ReliabilityPolicy.RELIABLE and publisher.qos.depth == 10


@pytest.mark.usefixtures("control")
def test_the_stream_goes_out_where_its_package_is(recorder: Recorder) -> None:
    outputs = recorder.outputs()
    outputs.publish(motion(), BEGIN - 0.01, DETAILS)
    outputs.publish_control(BEGIN + 0.5)
    assert len(recorder.sent("control")) == 1


def test_goals_are_reported_in_the_base_frame(recorder: Recorder) -> None:
    """Here half a metre above the root link."""
    outputs = recorder.outputs(base=Placement(np.array([0.0, 0.0, 0.5]), np.array([0.0, 0.0, 0.0, 1.0])))
    report = outputs.publish(motion(), BEGIN, DETAILS | {"goal": GOAL})
    assert report is not None and report["goal"] == [1.0, 0.0, -0.5]
    later = outputs.publish(motion(), BEGIN, DETAILS)
    assert later is not None and later["goal"] is None
    outputs.publish_refusal(Refused(Status.BAD_GOAL, "too far"), GOAL)
    assert json.loads(recorder.sent("plan_report")[-1].data)["goal"] == [1.0, 0.0, -0.5]


def test_what_breaks_a_rule_of_the_controller_is_refused(recorder: Recorder) -> None:
    broken = motion()
    broken.X[3, 2] = np.nan
    with pytest.raises(Refused, match="the controller would not accept the trajectory: point 3: positions") as refused:
        recorder.outputs().publish(broken, BEGIN - 0.01, DETAILS)
    assert refused.value.status is Status.PLAN_REFUSED
    assert [recorder.sent(topic) for topic in TOPICS] == [[], [], [], []]


# ---------------------------------------------------------------- stamps


def test_a_stamp_is_the_time_and_differs_from_the_one_before(recorder: Recorder) -> None:
    """On a clock that stands still, or is set back by less than a millisecond."""
    outputs, now = recorder.outputs(), 100 * 10**9
    given = [0, 0, 5, -900_000, 7, -1_500_000]
    expected = [0, 1, 5, 6, 7, -1_500_000]
    for later in given:
        outputs.publish(motion(), 1e-9 * (now + later), DETAILS)
    assert [stamp(recorder, i) - now for i in range(len(given))] == expected


def test_no_stamp_is_zero(recorder: Recorder) -> None:
    """To the controller it means: at once."""
    recorder.outputs().publish(motion(0.5), 0.0, DETAILS)
    assert stamp(recorder) == 1


# ---------------------------------------------------------------- beginning and end


def test_nothing_goes_out_before_outputs_are_opened(recorder: Recorder) -> None:
    assert recorder.closed_outputs().publish(motion(), BEGIN, DETAILS) is None
    assert [recorder.sent(topic) for topic in TOPICS] == [[], [], [], []]


def test_outputs_begin_without_a_motion(recorder: Recorder) -> None:
    outputs = recorder.outputs()
    recorder.followed.add(motion(), BEGIN)
    outputs.open()
    assert recorder.followed.timeline is None


def test_closed_outputs_tell_of_no_refusal(recorder: Recorder) -> None:
    outputs, refusal = recorder.outputs(), Refused(Status.BAD_GOAL, "too far")
    outputs.close()
    outputs.publish_refusal(refusal, None)
    assert recorder.sent("plan_report") == []
    outputs.open()
    outputs.publish_refusal(refusal, None)
    assert len(recorder.sent("plan_report")) == 1


def test_subscribers_are_counted_by_topic(recorder: Recorder) -> None:
    """Under the last part of the topic's name, whatever the namespace is."""
    assert recorder.outputs().subscribers() == {f"subscribers_{topic}": str(len(f"/arm/{topic}")) for topic in TOPICS}


def test_subscribers_have_a_second_to_take_what_was_published_last(recorder: Recorder) -> None:
    outputs = recorder.outputs()
    outputs.destroy()
    waits = [wait for topic in TOPICS for wait in recorder.publishers[topic].waits]
    np.testing.assert_allclose(waits, [1.0, 0.6, 0.2, 0.0], atol=1e-6)
    assert outputs.publish(motion(), BEGIN, DETAILS) is None, "nothing is published any more"


@pytest.mark.usefixtures("control")
def test_all_publishers_are_destroyed_but_the_one_that_was_lent(recorder: Recorder) -> None:
    lent: Any = Publisher(recorder.clock, String, "plan_report", module.RELIABLE)
    recorder.outputs(report=lent).destroy()
    assert sorted(recorder.publishers) == sorted({*TOPICS, "control"} - {"plan_report"})
    assert len(recorder.destroyed) == 4 and set(recorder.destroyed) == set(recorder.publishers.values())
    assert len(lent.waits) == 1, "its messages are waited for too"


@pytest.mark.usefixtures("no_control")
@pytest.mark.parametrize("lent", [True, False])
def test_publishers_are_destroyed_where_there_is_no_stream(recorder: Recorder, lent: bool) -> None:
    report = Publisher(recorder.clock, String, "plan_report", module.RELIABLE) if lent else None
    recorder.outputs(report=report).destroy()
    assert len(recorder.destroyed) == 4 - lent and set(recorder.destroyed) == set(recorder.publishers.values())
