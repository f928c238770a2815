"""Mode `receding_horizon`, tick by tick on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from closed_loop import UNHURRIED
from server_bench import RATE, Bench, N, server_bench

from sobo_planner.receding import RecedingPlanner
from sobo_planner.ros.outputs import conversions
from sobo_planner.ros.serve.lead import LONGEST_LATE_LEAD, LONGEST_LEAD
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.safety import PlanChecker
from sobo_planner.tasks import ArmReach

# As docs/ros.md says.
MAX_TRIES = 80
BAD_STARTS = 10


@pytest.fixture
def bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    with server_bench(task, home) as bench:
        yield bench


@pytest.fixture
def receding(bench: Bench) -> RecedingHorizon:
    planner = RecedingPlanner(
        bench.task, bench.checker, bench.brakes, bench.followed, budget=UNHURRIED, propose_every=25
    )
    return RecedingHorizon(bench.core, planner, None, RATE)


def tick(bench: Bench, server: RecedingHorizon, times: int = 1) -> None:
    for _ in range(times):
        bench.measure()
        server._tick()
        bench.time += 1.0 / RATE


def test_each_tick_publishes_a_motion_that_begins_later(bench: Bench, receding: RecedingHorizon) -> None:
    tick(bench, receding, 3)
    assert bench.followed.timeline is None, "without a goal nothing is published"
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 20)
    assert bench.counts() == {} and receding.status is Status.TRACKING
    reports = bench.reports(20)
    assert [report["plan_id"] for report in reports] == list(range(1, 21))
    assert all(report["lead"] >= 2.0 / RATE - 1e-9 for report in reports)
    assert bench.followed.timeline is not None


def test_a_goal_is_taken_up_at_the_tick_after_it_came(bench: Bench, receding: RecedingHorizon) -> None:
    """In motion too: the tick that finds it plans for it, and none after that for the one before."""
    for offset in (0.5, -0.4, 0.3):
        bench.inbox.put(bench.goal(offset))
        tick(bench, receding, 30)
        goals = [report["goal"] for report in bench.reports(30)]
        assert goals == 30 * [bench.goal(offset).tolist()]
        assert np.abs(bench.followed.timeline.state(bench.time)[N:]).max() > 0.1, "the next one comes in motion"


class SlowComputer:
    """Cycles take as long as they are said to, on ROS time and on the monotonic clock."""

    def __init__(self, bench: Bench, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch) -> None:
        self.takes = 0.0
        plan = server._planner.cycle

        def cycle(*arguments: Any) -> Any:
            found = plan(*arguments)
            bench.time += self.takes
            return found

        monkeypatch.setattr(server._planner, "cycle", cycle)
        monkeypatch.setattr("sobo_planner.ros.serve.receding_horizon.time.monotonic", lambda: bench.time)


@pytest.mark.parametrize("takes", [0.15, 0.3, 0.7])
def test_where_cycles_take_long_motions_come_late_rather_than_never(
    bench: Bench, receding: RecedingHorizon, monkeypatch: pytest.MonkeyPatch, takes: float
) -> None:
    computer = SlowComputer(bench, receding, monkeypatch)
    computer.takes = takes
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 20)
    plans = 20 - bench.count(Status.DEADLINE_MISSED)
    assert plans >= 5
    leads = [report["lead"] for report in bench.reports(plans)]
    assert min(leads) > 0.0 and max(leads) + takes <= LONGEST_LATE_LEAD
    computer.takes = 0.0
    tick(bench, receding, 2)
    assert bench.reports(2)[1]["lead"] <= LONGEST_LEAD + 1e-9


def test_cancel_brings_the_arm_to_rest_and_ends_replanning(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 50)
    bench.inbox.put(None)
    tick(bench, receding, 50)
    assert receding.status is Status.READY and bench.counts() == {"CANCELLED": 1}
    *cycles, braking, cancelled = bench.reports(52)
    assert braking["status"] == "braking" and all(each["status"] in ("refined", "start") for each in cycles)
    assert cancelled["reason"] == "CANCELLED" and cancelled["goal"] == bench.goal(0.5).tolist()
    timeline = bench.followed.timeline
    assert timeline is not None
    assert np.abs(timeline.state(bench.time)[N:]).max() < 0.01
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 5)
    assert receding.status is Status.TRACKING and bench.counts() == {"CANCELLED": 1}


def test_a_cycle_that_ends_after_a_request_to_stop_publishes_nothing(
    bench: Bench, receding: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 20)
    cycle = receding._planner.cycle

    def cancelled_meanwhile(*arguments: Any) -> Any:
        bench.inbox.put(None)
        return cycle(*arguments)

    monkeypatch.setattr(receding._planner, "cycle", cancelled_meanwhile)
    tick(bench, receding, 2)
    assert [report["status"] for report in bench.reports(22)[20:]] == ["braking", "refused"]
    assert receding.status is Status.READY and bench.counts() == {"CANCELLED": 1}


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
    monkeypatch.setattr(receding._planner._current, "checker", PlanChecker(bench.task, gain_cap=1e-6))
    bench.inbox.put(bench.goal(-0.3))
    tick(bench, receding, MAX_TRIES + 3)
    assert bench.count(Status.PLAN_REFUSED) == 1
    assert bench.count(Status.FALLBACK) == MAX_TRIES + 3
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
    before = bench.followed.timeline
    for _ in range(BAD_STARTS - 1):
        bench.measure(x)
        receding._tick()
    assert bench.count(Status.BAD_START) == BAD_STARTS - 1 and receding.status is Status.TRACKING
    assert bench.followed.timeline is before, "the motion before goes on"
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
        receding.publish(motion, receding.core.fresh_state(), {"phases_ms": {}})
    assert refused.value.status is Status.DEADLINE_MISSED and "0.0 ms ago" in refused.value.detail
    assert core.followed.timeline is None


def test_closed_outputs_let_nothing_pass(bench: Bench, receding: RecedingHorizon) -> None:
    bench.inbox.put(bench.goal(0.5))
    tick(bench, receding, 2)
    bench.outputs.close()
    tick(bench, receding, 2)
    assert bench.followed.timeline is None and bench.ledger.values()["plans"] == "2"
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
