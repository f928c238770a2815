"""What both modes of the node share, step by step on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from closed_loop import UNHURRIED
from scripted_serving import Script
from server_bench import RATE, Bench, N, server_bench

from sobo_planner.errors import PlanningError, SolverError
from sobo_planner.planning.planner import Planner
from sobo_planner.receding import RecedingPlanner
from sobo_planner.ros.serve.core import MOVING
from sobo_planner.ros.serve.plan_once import PlanOnce
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.serve.stopping import STOP_LEADS
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach


@pytest.fixture
def bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    with server_bench(task, home) as bench:
        yield bench


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    return Script(task, home)


class Idle(Server):
    """Serves nothing by itself."""

    def run(self) -> None:
        raise NotImplementedError


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


def test_the_time_that_a_stop_may_take_is_announced(script: Script) -> None:
    """A state after a jump of time, and every lead that is tried."""
    server = Idle(script.core)
    script.measure()
    assert server.stop_arm() is None and server.pulse.beats == 1
    assert server.pulse.within == pytest.approx(0.15 + 0.02 + 0.05 + 0.1 + 0.2 + 0.5)


def test_what_raises_nothing_is_served(bench: Bench) -> None:
    assert Idle(bench.core).guarded(None, lambda: 7)
    assert bench.counts() == {} and not bench.warned


def test_faults_are_counted_and_not_reported(bench: Bench) -> None:
    server = Idle(bench.core)
    server.core.note(Status.DEADLINE_MISSED, "late", 3)
    server.core.refuse(Refused(Status.OUT_OF_REACH, "too far"), np.zeros(3))
    assert bench.counts() == {"DEADLINE_MISSED": 3, "OUT_OF_REACH": 1}
    assert [report["reason"] for report in bench.reports(1)] == ["OUT_OF_REACH"]


def test_states_have_to_be_there_and_fresh(bench: Bench) -> None:
    server = Idle(bench.core)
    with pytest.raises(Refused) as refused:
        server.core.fresh_state()
    assert refused.value.status is Status.NO_STATE
    bench.measure()
    assert server.core.fresh_state().stamp == bench.time
    bench.values["state_timeout"] = 0.0
    with pytest.raises(Refused) as refused:
        server.core.fresh_state()
    assert refused.value.status is Status.STALE_STATE and "allowed are 0 s" in refused.value.detail


def test_jumps_of_time_are_seen_by_whoever_looks_often(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the seconds that a plan takes, the clock of a fast simulation may have gained as much."""
    server, monotonic = Idle(script.core), 50.0
    monkeypatch.setattr("sobo_planner.ros.serve.serving.time.monotonic", lambda: monotonic)
    assert not server.clock_jumped()
    seen = []
    for jump in (0.0, 5.0, 0.0, 0.0):  # the thread that takes joint states
        script.time, monotonic = script.time + 0.5 + jump, monotonic + 0.5 * (1.0 - jump / 5.0)
        seen.append(server.clock_jumped())
    assert seen == [False, True, False, False] and script.counts() == {"CLOCK_JUMP": 1}
    assert script.inbox.interrupt.is_set(), "what is planned for meanwhile is not published"


@pytest.mark.parametrize("speed, moving", [(0.0, False), (0.9 * MOVING, False), (-1.1 * MOVING, True), (1.0, True)])
def test_moving(bench: Bench, home: np.ndarray, speed: float, moving: bool) -> None:
    x = np.concatenate([home, np.zeros(N)])
    x[8] = speed
    assert bench.core.moves(x) == moving


def test_a_stop_goes_on_from_what_is_followed(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    server._serve(bench.goal(0.5))
    followed = bench.followed.timeline
    assert followed is not None
    bench.time += 0.5 * (followed.end - followed.last.begin)
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
    followed = bench.followed.timeline
    assert followed is not None
    bench.time += 0.5 * (followed.end - followed.last.begin)
    bench.values["state_timeout"] = 0.0
    stop = server.stop_arm()
    assert stop is not None
    np.testing.assert_allclose(stop.X[0], followed.state(stop.begin), atol=1e-9)
    assert bench.reports(2)[1]["status"] == "braking"
    bench.time += 10.0
    with pytest.raises(Refused, match="STALE_STATE"):
        server.stop_arm()


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
    planner = RecedingPlanner(
        bench.task, bench.checker, bench.brakes, bench.followed, budget=UNHURRIED, propose_every=25
    )
    target = goal(bench.goal(0.2))
    for server in (PlanOnce(bench.core, Planner(bench.task)), RecedingHorizon(bench.core, planner, None, RATE)):
        bench.measure(x(np.concatenate([bench.home, np.zeros(N)])))
        assert not server.guarded(target, lambda server=server: server._serve(target))
    assert bench.counts() == {status.value: 2}


def test_a_request_to_stop_holds_back_what_was_about_to_be_published(bench: Bench) -> None:
    bench.measure()
    state, interrupt = bench.core.fresh_state(), bench.inbox.interrupt
    motion = bench.brakes.motion(state.x, bench.time + 0.25)
    interrupt.set()
    assert bench.core.publish(motion, state, {"phases_ms": {}}, unless=interrupt) is None
    assert bench.followed.timeline is None and bench.ledger.values()["plans"] == "0"
    interrupt.clear()
    assert bench.core.publish(motion, state, {"phases_ms": {}}, unless=interrupt) is not None
    assert bench.followed.timeline is not None


@pytest.mark.parametrize("later, same", [(0.0, True), (-0.0005, True), (-0.005, False), (0.005, False)])
def test_on_a_clock_that_stands_still_stamps_go_on_by_a_nanosecond(bench: Bench, later: float, same: bool) -> None:
    """Up to a millisecond back counts as standing still; beyond, the stamp is the time again."""
    stamps = []
    for change in (0.0, later):
        bench.time += change
        bench.measure()
        motion = bench.brakes.motion(bench.core.fresh_state().x, bench.time + 0.25)
        report = bench.core.publish(motion, bench.core.fresh_state(), {"phases_ms": {}})
        assert report is not None
        stamps.append(10**9 * report["stamp"]["sec"] + report["stamp"]["nanosec"])
    assert (stamps[1] - stamps[0] == 1) is same
    assert same or abs(stamps[1] - stamps[0] - 1e9 * later) < 1e3
