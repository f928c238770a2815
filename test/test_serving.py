"""Both modes of the node, tick by tick on one thread: its publishers are real, time is ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

import rclpy
from closed_loop import UNHURRIED
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.brakes import Brakes
from sobo_planner.errors import PlanningError, SolverError
from sobo_planner.planner import Planner
from sobo_planner.receding import RecedingPlanner
from sobo_planner.ros import conversions, domain
from sobo_planner.ros.diagnostics import Ledger
from sobo_planner.ros.inbox import Inbox
from sobo_planner.ros.outputs import PlanOutputs
from sobo_planner.ros.plan_once import PlanOnce
from sobo_planner.ros.receding_horizon import BAD_STARTS, PATIENCE, RecedingHorizon
from sobo_planner.ros.serving import MOVING, STOP_LEADS, Core, Server, moves
from sobo_planner.ros.status import Refused, Status
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach

N = 6
RATE = 100.0
ALL = QoSProfile(depth=500)


class Bench:
    """A server's surroundings: a node that nobody spins, and what it published."""

    def __init__(self, node: Node, task: ArmReach, home: np.ndarray) -> None:
        self.task, self.home = task, home
        self.time, self.defects, self.warned = 1000.0, [], []
        self.values: dict[str, Any] = {
            "state_timeout": 60.0,
            "deadline": 0.0,
            "publish_effort": False,
            "allow_nonzero_velocity_at_trajectory_end": False,
        }
        self.checker = PlanChecker(task)
        self.brakes = Brakes(task, self.checker)
        self.outputs = PlanOutputs(node, task.robot, self.checker, task.robot.joint_names, "none", self.values)
        self.outputs.open()
        self.ledger, self.inbox = Ledger(), Inbox()
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(node)
        self._reports: list[dict] = []
        self._trajectories: list[JointTrajectory] = []
        node.create_subscription(String, "plan_report", lambda m: self._reports.append(json.loads(m.data)), ALL)
        node.create_subscription(JointTrajectory, "joint_trajectory", self._trajectories.append, ALL)

    @property
    def core(self) -> Core:
        return Core(
            self.task,
            self.inbox,
            self.outputs,
            self.ledger,
            self.brakes,
            self.values,
            now=lambda: self.time,
            info=lambda text: None,
            warn=lambda status, detail: self.warned.append((status, detail)),
            defect=self.defects.append,
        )

    def count(self, status: Status) -> int:
        return int(self.ledger.values()[f"count_{status.value}"])

    def counts(self) -> dict[str, int]:
        return {status.value: self.count(status) for status in Status if self.count(status)}

    def measure(self, x: np.ndarray | None = None) -> None:
        """A joint state comes in: by default the arm is where it is meant to be."""
        if x is None:
            timeline = self.outputs.timeline
            x = np.concatenate([self.home, np.zeros(N)]) if timeline is None else timeline.state(self.time)
        self.inbox.put_state(x, self.time)

    def reports(self, count: int) -> list[dict]:
        """Waits for so many reports to arrive, and takes them."""
        while len(self._reports) < count:
            before = len(self._reports)
            self._executor.spin_once(timeout_sec=5.0)
            assert len(self._reports) + len(self._trajectories) > before, "nothing came"
        out, self._reports = self._reports, []
        assert len(out) == count
        return out

    def goal(self, offset: float) -> np.ndarray:
        return self.task.robot.tool_position(self.home + offset)


@pytest.fixture
def bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    context = Context()
    rclpy.init(context=context, domain_id=domain.free_domain())
    node = Node("bench", context=context)
    yield Bench(node, task, home)
    node.destroy_node()
    context.try_shutdown()


class Idle(Server):
    """Serves nothing by itself."""

    def run(self) -> None:
        raise NotImplementedError


# ---------------------------------------------------------------- what both modes share


@pytest.mark.parametrize(
    "error, status",
    [
        (Refused(Status.BAD_START, "elbow at 9 rad"), Status.BAD_START),
        (Refused(Status.DEADLINE_MISSED, "late"), Status.DEADLINE_MISSED),
        (PlanningError("no start"), Status.PLANNING_FAILED),
        (SolverError("no gains"), Status.PLANNING_FAILED),
        (ValueError("shapes (5,) (12,)"), Status.INTERNAL_ERROR),
        (ZeroDivisionError(), Status.INTERNAL_ERROR),
        (MemoryError("no more"), Status.INTERNAL_ERROR),
    ],
)
@pytest.mark.parametrize("goal", [None, np.array([0.1, 0.2, 0.3])])
def test_whatever_a_step_raises_is_a_refusal(
    bench: Bench, error: Exception, status: Status, goal: np.ndarray | None
) -> None:
    server = Idle(bench.core)

    def serve() -> None:
        raise error

    assert not server.guarded(goal, serve)
    assert bench.counts() == {status.value: 1}
    (report,) = bench.reports(1)
    assert report["status"] == "refused" and report["reason"] == status.value
    assert report["goal"] == (None if goal is None else goal.tolist())
    assert str(error).removeprefix(f"{status.value}: ") in report["detail"]
    assert bench.warned == [(status, report["detail"])]
    assert len(bench.defects) == (status is Status.INTERNAL_ERROR)


def test_what_raises_nothing_is_served(bench: Bench) -> None:
    assert Idle(bench.core).guarded(None, lambda: 7)
    assert bench.counts() == {} and not bench.warned


def test_faults_are_counted_and_not_reported(bench: Bench) -> None:
    server = Idle(bench.core)
    server.note(Status.DEADLINE_MISSED, "late", 3)
    server.refuse(Refused(Status.OUT_OF_REACH, "too far"), np.zeros(3))
    assert bench.counts() == {"DEADLINE_MISSED": 3, "OUT_OF_REACH": 1}
    assert [report["reason"] for report in bench.reports(1)] == ["OUT_OF_REACH"]


def test_states_have_to_be_there_and_fresh(bench: Bench) -> None:
    server = Idle(bench.core)
    with pytest.raises(Refused) as refused:
        server.fresh_state()
    assert refused.value.status is Status.NO_STATE
    bench.measure()
    assert server.fresh_state().stamp == bench.time
    bench.values["state_timeout"] = 0.0
    with pytest.raises(Refused) as refused:
        server.fresh_state()
    assert refused.value.status is Status.STALE_STATE and "allowed are 0 s" in refused.value.detail


def test_after_a_jump_of_time_nothing_from_before_counts(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    server._serve(bench.goal(0.2))
    assert not server.clock_jumped() and bench.outputs.timeline is not None
    bench.time -= 500.0
    assert server.clock_jumped() and bench.count(Status.CLOCK_JUMP) == 1
    assert bench.inbox.state is None and bench.outputs.timeline is None
    assert not server.clock_jumped()


@pytest.mark.parametrize("speed, moving", [(0.0, False), (0.9 * MOVING, False), (-1.1 * MOVING, True), (1.0, True)])
def test_moving(task: ArmReach, home: np.ndarray, speed: float, moving: bool) -> None:
    x = np.concatenate([home, np.zeros(N)])
    x[8] = speed
    assert moves(task, x) == moving


def test_an_arm_at_rest_needs_no_stop(bench: Bench) -> None:
    bench.measure()
    assert Idle(bench.core).stop_arm() is None
    assert bench.outputs.timeline is None


def test_a_stop_goes_on_from_what_is_followed(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    server._serve(bench.goal(0.5))
    followed = bench.outputs.timeline
    assert followed is not None
    bench.time += 0.8
    bench.measure()
    stop = server.stop_arm()
    assert stop is not None and stop.begin == bench.time + STOP_LEADS[0]
    np.testing.assert_allclose(stop.X[0], followed.state(stop.begin), atol=0.01)
    assert np.abs(stop.X[0, N:]).max() > 0.1 and np.abs(stop.X[-1, N:]).max() < 1e-3
    plan, braking = bench.reports(2)
    assert braking["status"] == "braking" and braking["goal"] is None
    assert braking["lead"] == pytest.approx(STOP_LEADS[0])


def test_an_arm_is_stopped_without_a_fresh_state_too(bench: Bench) -> None:
    """It is where it is meant to be, for all that is known."""
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    server._serve(bench.goal(0.5))
    followed = bench.outputs.timeline
    assert followed is not None
    bench.time += 0.8
    bench.values["state_timeout"] = 0.0
    stop = server.stop_arm()
    assert stop is not None
    np.testing.assert_allclose(stop.X[0], followed.state(stop.begin), atol=1e-9)
    assert bench.reports(2)[1]["status"] == "braking"
    bench.time += 10.0
    with pytest.raises(Refused, match="STALE_STATE"):
        server.stop_arm()


# ---------------------------------------------------------------- plan_once


def test_plans_begin_on_arrival_at_rest_and_later_at_speed(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    server._serve(bench.goal(0.5))
    first = bench.outputs.timeline
    assert first is not None and first.last.begin == bench.time
    bench.time += 0.6
    bench.measure()
    server._serve(bench.goal(-0.3))
    second = bench.outputs.timeline
    assert second is not None and second.last.begin == pytest.approx(bench.time + 0.25)
    np.testing.assert_allclose(second.last.X[0], first.state(second.last.begin), atol=0.02)
    assert [report["lead"] for report in bench.reports(2)] == [0.0, pytest.approx(0.25)]
    assert server.status is Status.PLANNED


@pytest.mark.parametrize(
    "x, goal, status",
    [
        (lambda x: x + 10.0 * (np.arange(2 * N) == 2), lambda g: g, Status.BAD_START),
        (lambda x: x, lambda g: g + 5.0, Status.OUT_OF_REACH),
    ],
)
def test_what_cannot_be_planned_for_is_refused_by_name(
    bench: Bench, x: Callable[[np.ndarray], np.ndarray], goal: Callable[[np.ndarray], np.ndarray], status: Status
) -> None:
    planner = RecedingPlanner(bench.task, bench.checker, bench.brakes, budget=UNHURRIED, propose_every=25)
    target = goal(bench.goal(0.2))
    for server in (PlanOnce(bench.core, Planner(bench.task)), RecedingHorizon(bench.core, planner, None, RATE)):
        bench.measure(x(np.concatenate([bench.home, np.zeros(N)])))
        assert not server.guarded(target, lambda server=server: server._serve(target))
    assert bench.counts() == {status.value: 2}


# ---------------------------------------------------------------- receding_horizon


@pytest.fixture
def receding(bench: Bench) -> RecedingHorizon:
    planner = RecedingPlanner(bench.task, bench.checker, bench.brakes, budget=UNHURRIED, propose_every=25)
    return RecedingHorizon(bench.core, planner, None, RATE)


def tick(bench: Bench, server: RecedingHorizon, times: int = 1) -> None:
    for _ in range(times):
        bench.measure()
        server._tick()
        bench.time += 1.0 / RATE


def test_each_tick_publishes_a_motion_that_begins_later(bench: Bench, receding: RecedingHorizon) -> None:
    tick(bench, receding, 3)
    assert bench.outputs.timeline is None, "without a goal nothing is published"
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 20)
    assert bench.counts() == {} and receding.status is Status.TRACKING
    reports = bench.reports(20)
    assert [report["plan_id"] for report in reports] == list(range(1, 21))
    assert all(report["lead"] >= 2.0 / RATE - 1e-9 for report in reports)
    assert bench.outputs.timeline is not None


def test_cancel_brings_the_arm_to_rest_and_ends_replanning(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 50)
    bench.inbox.put(None)
    tick(bench, receding, 50)
    assert receding.status is Status.READY and bench.counts() == {"CANCELLED": 1}
    *cycles, braking, cancelled = bench.reports(52)
    assert braking["status"] == "braking" and all(each["status"] in ("refined", "start") for each in cycles)
    assert cancelled["reason"] == "CANCELLED" and cancelled["goal"] == bench.goal(0.5).tolist()
    timeline = bench.outputs.timeline
    assert timeline is not None
    assert np.abs(timeline.state(bench.time)[N:]).max() < 0.01
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 5)
    assert receding.status is Status.TRACKING and bench.counts() == {"CANCELLED": 1}


def test_a_goal_out_of_reach_leaves_the_one_before(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 5)
    bench.inbox.put(np.array([3.0, 0.0, 0.0]))
    tick(bench, receding, 5)
    assert bench.counts() == {"OUT_OF_REACH": 1}
    reports = bench.reports(10)
    assert [report["status"] == "refused" for report in reports] == [k == 5 for k in range(10)]
    assert reports[-1]["goal"] == bench.goal(0.5).tolist()


def test_a_goal_that_no_cycle_takes_up_is_refused(
    bench: Bench, receding: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checker is set to refuse whatever comes."""
    bench.inbox.put(bench.goal(0.3))
    tick(bench, receding, 5)
    monkeypatch.setattr(receding._planner, "_checker", PlanChecker(bench.task, gain_cap=1e-6))
    bench.inbox.put(bench.goal(-0.3))
    tick(bench, receding, PATIENCE + 3)
    assert bench.count(Status.PLAN_REFUSED) == 1
    assert bench.count(Status.FALLBACK) == PATIENCE + 3
    refused = bench.reports(6)[-1]
    assert refused["goal"] == bench.goal(-0.3).tolist() and "gain" in refused["detail"]
    monkeypatch.undo()
    tick(bench, receding, 1)
    assert bench.reports(1)[0]["goal"] == bench.goal(0.3).tolist(), "the goal before goes on to be served"


def test_a_defect_in_a_cycle_is_logged_and_the_next_one_goes_on(
    bench: Bench, receding: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 3)
    monkeypatch.setattr(receding._planner, "cycle", lambda *_: 1 / 0)
    tick(bench, receding, 2)
    assert bench.counts() == {"INTERNAL_ERROR": 2} and len(bench.defects) == 2
    monkeypatch.undo()
    tick(bench, receding, 2)
    assert bench.counts() == {"INTERNAL_ERROR": 2}
    assert len(bench.reports(5)) == 5


def test_an_arm_out_of_its_limits_is_stopped_for(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 30)
    x = np.concatenate([bench.home, np.zeros(N)])
    x[2] = bench.task.robot.position_upper[2] + 0.2
    before = bench.outputs.timeline
    for _ in range(BAD_STARTS - 1):
        bench.measure(x)
        receding._tick()
    assert bench.count(Status.BAD_START) == BAD_STARTS - 1 and receding.status is Status.TRACKING
    assert bench.outputs.timeline is before, "the motion before goes on"
    bench.measure(x)
    receding._tick()
    assert bench.count(Status.BAD_START) == BAD_STARTS and receding.status is Status.READY
    tick(bench, receding, 3)
    assert bench.count(Status.BAD_START) == BAD_STARTS, "it does not go on by itself"


def test_a_state_that_was_bad_for_a_moment_is_passed_over(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 5)
    state = bench.inbox.state
    assert state is not None
    good = state.x
    for _ in range(3):
        bench.measure(good + 10.0 * (np.arange(2 * N) == 2))
        receding._tick()
        bench.measure(good)
        receding._tick()
    assert bench.count(Status.BAD_START) == 3 and receding.status is Status.TRACKING


def test_a_motion_that_would_begin_in_the_past_is_not_published(bench: Bench, receding: RecedingHorizon) -> None:
    core, bench_time = receding.core, bench.time
    bench.measure()
    motion = bench.brakes.motion(np.concatenate([bench.home, np.zeros(N)]), bench_time)
    with pytest.raises(Refused) as refused:
        receding.publish(motion, receding.fresh_state(), {"phases_ms": {}})
    assert refused.value.status is Status.DEADLINE_MISSED and "0.0 ms ago" in refused.value.detail
    assert core.outputs.timeline is None


def test_closed_outputs_let_nothing_pass(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 2)
    bench.outputs.close()
    tick(bench, receding, 2)
    assert bench.outputs.timeline is None and bench.ledger.values()["plans"] == "2"
    assert len(bench.reports(2)) == 2


def test_the_trajectory_of_a_report_begins_after_its_lead(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 1)
    (report,) = bench.reports(1)
    while not bench._trajectories:
        bench._executor.spin_once(timeout_sec=5.0)
    first = bench._trajectories[0].points[0]
    assert conversions.duration_seconds(first.time_from_start) == pytest.approx(report["lead"])
    np.testing.assert_allclose([*first.positions, *first.velocities], report["start"])
