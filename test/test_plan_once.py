"""Mode `plan_once`, goal by goal on one thread."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import GOAL, N, Script, ScriptedPlanner, in_thread, wait
from server_bench import Bench, server_bench

from sobo_planner.errors import (
    DeadlineError,
    GoalError,
    PlanInterruptedError,
    PlanningError,
    PlanRefusedError,
    StartError,
)
from sobo_planner.motion import LOST, POSITION_JUMP, VELOCITY_JUMP, Timeline, expected_state
from sobo_planner.planning import Planner, PlanStatus
from sobo_planner.ros.demo.client import Motion as Followed
from sobo_planner.ros.serve.plan_once import (
    CLOCK_PERIOD,
    DRIFT,
    LEADS,
    PUBLISHES_WITHIN,
    SETTLING,
    YOUNG,
    PlanOnce,
    details_of,
)
from sobo_planner.ros.support.status import Status
from sobo_planner.tasks import ArmReach


@pytest.fixture
def bench(task: ArmReach, home: np.ndarray) -> Iterator[Bench]:
    with server_bench(task, home) as bench:
        yield bench


def test_only_a_plan_that_ends_short_has_a_reason_and_none_counts_as_refused(bench: Bench) -> None:
    plan = Planner(bench.task).plan(np.concatenate([bench.home, np.zeros(bench.task.nu)]), bench.goal(0.5))
    short = replace(plan, status=PlanStatus.SHORT, tool_error=0.02)
    assert "reason" not in details_of(plan) and "20.0 mm" in details_of(short)["reason"]
    nothing = np.zeros(0)
    for each in (plan, short):
        assert Followed(details_of(each), nothing, nothing, nothing, nothing).refused == ""
    refused = {"status": "refused", "reason": "BAD_GOAL", "detail": "x is NaN"}
    assert Followed(refused, nothing, nothing, nothing, nothing).refused == "BAD_GOAL: x is NaN"


def test_plans_begin_on_arrival_at_rest_and_later_at_speed(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.values["velocity_scaling"] = 0.2
    bench.measure()
    server._serve(bench.goal(0.5))
    first = bench.followed.timeline
    assert first is not None and first.last.begin == bench.time
    bench.time += 0.4 * (first.end - first.last.begin)
    bench.measure()
    server._serve(bench.goal(-0.3))
    second = bench.followed.timeline
    assert second is not None and second.last.begin == pytest.approx(bench.time + 0.25)
    np.testing.assert_allclose(second.last.X[0], first.state(second.last.begin), atol=0.02)
    assert [report["lead"] for report in bench.reports(2)] == [0.0, pytest.approx(0.25)]
    assert server.status is Status.PLANNED


def test_nothing_is_planned_for_while_a_request_to_stop_waits(bench: Bench) -> None:
    server = PlanOnce(bench.core, Planner(bench.task))
    bench.measure()
    bench.inbox.put(None)
    assert not server.guarded(bench.goal(0.5), lambda: server._serve(bench.goal(0.5)))
    assert bench.counts() == {"CANCELLED": 1} and bench.followed.timeline is None
    bench.inbox.take()
    assert server.guarded(bench.goal(0.5), lambda: server._serve(bench.goal(0.5)))
    assert bench.followed.timeline is not None


# ---------------------------------------------------------------- decisions, with a scripted planner


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    return Script(task, home)


@pytest.fixture
def planner(task: ArmReach) -> ScriptedPlanner:
    return ScriptedPlanner(task)


@pytest.fixture
def server(script: Script, planner: ScriptedPlanner) -> PlanOnce:
    return PlanOnce(script.core, planner)  # type: ignore[arg-type]


def serve(server: PlanOnce) -> bool:
    return server.guarded(GOAL, lambda: server._serve(GOAL))


def test_an_arm_that_stays_is_planned_for_once(script: Script, planner: ScriptedPlanner, server: PlanOnce) -> None:
    script.measure()
    assert serve(server)
    (motion,), (details,) = script.outputs.motions, script.outputs.details
    assert motion.begin == script.time and len(planner.starts) == 1
    np.testing.assert_array_equal(motion.X[0], script.rest())
    assert details["status"] == "converged" and details["goal"] == GOAL.tolist()
    assert server.status is Status.PLANNED and script.said == [server.detail]
    assert server.detail.startswith("plan 1 converged from policy: 3 iterations, cost 1, 0 ms")


@pytest.mark.parametrize(
    "joint, change, left",
    [
        (2, 0.9 * POSITION_JUMP, False),
        (2, -1.1 * POSITION_JUMP, True),
        (5, 0.6, True),
        (N + 1, 0.9 * VELOCITY_JUMP, False),
        (N + 1, -1.1 * VELOCITY_JUMP, True),
    ],
)
def test_a_plan_from_a_state_that_the_arm_has_left_is_not_published(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, joint: int, change: float, left: bool
) -> None:
    """It is made anew, from where the arm is then."""
    moved = script.rest()
    moved[joint] += change
    script.measure()
    planner.meanwhile = lambda: script.measure(moved)
    if joint >= N:  # once it moves, nothing is planned for it
        assert serve(server) != left
        assert script.outputs.motions == [] if left else script.outputs.motions
        assert len(planner.starts) == 1
        said = "changed its velocity by 0.220 rad/s while it was planned for, allowed are 0.02 rad and 0.2 rad/s"
        assert [detail for _, detail in script.warned[:1]] == ([f"shoulder_lift_joint {said}"] if left else [])
        return
    assert serve(server)
    assert len(planner.starts) == 1 + left
    (motion,) = script.outputs.motions
    np.testing.assert_array_equal(motion.X[0], moved if left else script.rest())
    assert script.counts() == ({"ARM_MOVES": 1} if left else {})


def test_what_is_furthest_beyond_its_bound_decides(script: Script, planner: ScriptedPlanner, server: PlanOnce) -> None:
    """A position that is, not a velocity that is not, though its number is larger."""
    script.measure()
    planner.meanwhile = lambda: script.measure(script.moving(0.95 * VELOCITY_JUMP, by=1.5 * POSITION_JUMP))
    assert serve(server)
    assert script.warned[0][1].startswith("shoulder_pan_joint changed its position by 0.030 rad while")
    assert len(planner.starts) == 2


def test_an_arm_that_goes_on_moving_is_refused_after_three_plans(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    """Seen: a joint moved by 0.6 rad while its plan was made, and the first point asked for 29 rad/s."""
    script.measure()
    planner.meanwhile = lambda: script.measure(script.rest() + 0.6 * len(planner.starts) * (np.arange(2 * N) == 3))
    assert not serve(server)
    assert len(planner.starts) == 3 and script.outputs.motions == []
    assert script.counts() == {"ARM_MOVES": 3}
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.ARM_MOVES and goal is GOAL
    assert "wrist_1_joint changed its position by 0.600 rad" in refusal.detail and "0.02 rad" in refusal.detail


@pytest.mark.parametrize("speed", [-1.01 * DRIFT, 3.0])
def test_an_arm_in_motion_that_follows_nothing_is_refused(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, speed: float
) -> None:
    script.measure(script.moving(speed, 4))
    assert not serve(server)
    assert planner.starts == [] and script.outputs.motions == [] and script.counts() == {"ARM_MOVES": 1}
    (refusal, _), *_ = script.outputs.refusals
    assert f"wrist_2_joint moves at {speed:.2f} rad/s" in refusal.detail and "cancel" in refusal.detail


def test_a_slow_one_is_planned_for_as_it_is(script: Script, planner: ScriptedPlanner, server: PlanOnce) -> None:
    script.measure(script.moving(0.99 * DRIFT))
    assert serve(server)
    np.testing.assert_array_equal(planner.starts[0], script.moving(0.99 * DRIFT))


def test_a_moving_arm_is_planned_for_ahead(script: Script, planner: ScriptedPlanner, server: PlanOnce) -> None:
    followed = script.follow(0.4)
    assert serve(server)
    (motion,) = script.outputs.motions
    assert motion.begin == script.time + LEADS[0]
    here = followed.state(script.time), script.time
    np.testing.assert_array_equal(motion.X[0], expected_state(script.task, Timeline(followed), *here, motion.begin))
    assert script.counts() == {}


def test_leads_grow_until_planning_ends_in_time(script: Script, planner: ScriptedPlanner, server: PlanOnce) -> None:
    script.follow(0.4)
    took = iter((0.25, 0.4))

    def pass_time() -> None:
        script.time += next(took)
        timeline = script.followed.timeline
        assert timeline is not None
        script.measure(timeline.state(script.time))

    planner.meanwhile = pass_time
    assert serve(server)
    (motion,) = script.outputs.motions
    assert motion.begin == pytest.approx(1000.25 + LEADS[1])
    assert script.counts() == {"DEADLINE_MISSED": 1}
    took = iter((0.25, 0.5, 1.0))
    assert not serve(server)
    assert script.counts() == {"DEADLINE_MISSED": 4} and script.outputs.refusals[0][0].detail.endswith("1.0 s")
    assert len(script.outputs.motions) == 1


def test_an_arm_that_leaves_its_motion_is_planned_for_from_where_it_is(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    """A protective stop while a goal is planned for: no first point is far from the arm."""
    followed = script.follow(0.4)
    stopped = followed.state(script.time) + (LOST + 0.01) * (np.arange(2 * N) == 1)
    stopped[N:] = 0.0
    planner.meanwhile = lambda: script.measure(stopped)
    assert serve(server)
    (motion,) = script.outputs.motions
    np.testing.assert_array_equal(motion.X[0], stopped)
    assert script.counts() == {"TRACKING_LOST": 1} and motion.begin == script.time


@pytest.mark.parametrize("off, ours", [(0.9 * LOST, True), (1.1 * LOST, False), (-1.1 * LOST, False)])
def test_what_the_arm_does_far_from_its_motion_is_not_ours(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, off: float, ours: bool
) -> None:
    followed = script.follow(0.4)
    script.measure(followed.state(script.time) + off * (np.arange(2 * N) == 2))
    assert serve(server) == ours
    assert script.counts() == ({} if ours else {"ARM_MOVES": 1})


@pytest.mark.parametrize(
    "since, speed, follows",
    [
        (-0.5, 0.4, True),
        (-0.5, 0.0, False),
        (0.9 * SETTLING, 0.1, True),
        (1.1 * SETTLING, 0.1, False),
        (0.1, 0.01, False),
    ],
)
def test_whether_an_arm_follows(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, since: float, speed: float, follows: bool
) -> None:
    """While the motion lasts, and a little longer, as long as it moves."""
    motion = script.follow(0.0)
    script.time = motion.end + since
    script.measure(script.moving(speed))
    assert serve(server)
    assert (script.outputs.motions[0].begin > script.time) == follows


@pytest.mark.parametrize("since, young", [(-0.01, False), (0.0, True), (0.04, True), (0.06, False)])
def test_a_motion_that_has_just_begun_is_followed_by_an_arm_that_still_rests(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, since: float, young: bool
) -> None:
    script.follow(0.1, ago=since)
    script.measure()
    assert serve(server)
    assert (script.outputs.motions[0].begin > script.time) == young


@pytest.mark.parametrize(
    "error, status",
    [
        (StartError("elbow"), Status.BAD_START),
        (GoalError("far"), Status.OUT_OF_REACH),
        (PlanRefusedError("links"), Status.PLAN_REFUSED),
        (PlanInterruptedError("stop"), Status.CANCELLED),
        (DeadlineError("late"), Status.DEADLINE_MISSED),
        (PlanningError("none"), Status.PLANNING_FAILED),
        (ZeroDivisionError(), Status.INTERNAL_ERROR),
    ],
)
def test_why_nothing_is_published(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, error: Exception, status: Status
) -> None:
    script.measure()
    planner.raises = error
    assert not serve(server)
    assert script.counts() == {status.value: 1} and script.outputs.motions == []
    assert script.outputs.refusals[0][0].status is status and server.status is Status.READY


def test_a_plan_that_is_cancelled_meanwhile_is_not_published(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    """However late: the publisher looks once more."""
    script.measure()
    planner.meanwhile = lambda: script.inbox.put(None)
    assert not serve(server)
    assert script.outputs.motions == [] and script.counts() == {"CANCELLED": 1}
    script.inbox.take(0.0)
    planner.meanwhile, publish = (lambda: None), script.outputs.publish

    def cancelled(*arguments: object) -> object:
        script.inbox.put(None)
        return publish(*arguments)

    script.outputs.publish = cancelled  # type: ignore[assignment, method-assign]
    assert not serve(server)
    assert script.outputs.motions == [] and script.counts() == {"CANCELLED": 2}


def test_a_plan_during_which_the_clock_jumps_is_not_published(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    script.follow(0.4)
    server.clock_jumped()

    def jump() -> None:
        script.time -= 500.0
        script.measure()

    planner.meanwhile = jump
    assert not serve(server)
    assert script.outputs.motions == [] and script.outputs.refusals[0][0].status is Status.CLOCK_JUMP


@pytest.mark.parametrize("deadline, given", [(0.0, None), (0.25, 0.25)])
def test_the_time_that_a_plan_may_take_is_announced(
    script: Script, planner: ScriptedPlanner, server: PlanOnce, deadline: float, given: float | None
) -> None:
    script.measure()
    script.values["deadline"] = deadline
    seen: list[float] = []
    planner.meanwhile = lambda: seen.append(server.pulse.within)
    assert serve(server)
    assert planner.deadlines == [given] and seen == [math.inf if given is None else given]
    assert server.pulse.within == PUBLISHES_WITHIN, "afterwards it is not for ever"


def test_policy_failures_are_counted_once(script: Script, planner: ScriptedPlanner, server: PlanOnce) -> None:
    script.measure()
    planner.policy_failures = 1
    assert serve(server) and serve(server)
    assert script.counts() == {"POLICY_FAILED": 1}
    planner.policy_failures = 3
    assert serve(server) and serve(server)
    assert script.counts() == {"POLICY_FAILED": 2}


def test_nothing_is_planned_for_once_a_request_to_stop_has_come(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    script.measure()
    script.inbox.put(None)
    assert not serve(server)
    assert planner.starts == [] and script.counts() == {"CANCELLED": 1}
    script.inbox.take(0.0)
    server.clock_jumped()
    script.time += 700.0
    assert not serve(server)
    assert planner.starts == [] and script.outputs.refusals[-1][0].status is Status.CLOCK_JUMP


def test_a_stop_is_the_reason_whatever_else_has_happened(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    def stop_and_move() -> None:
        script.inbox.put(None)
        script.measure(script.moving(0.0, by=1.0))

    script.measure()
    planner.meanwhile = stop_and_move
    assert not serve(server)
    assert script.counts() == {"CANCELLED": 1}


def test_an_idle_thread_looks_at_the_clock(script: Script, server: PlanOnce) -> None:
    script.measure()
    thread = in_thread(server.run)
    wait(lambda: server.pulse.beats > 1)
    script.time += 700.0
    wait(lambda: script.counts().get("CLOCK_JUMP"))
    script.inbox.close()
    thread.join(5.0)


def test_the_bounds_that_documents_name() -> None:
    assert LEADS == (0.25, 0.5, 1.0) and (DRIFT, YOUNG, SETTLING) == (0.2, 0.05, 0.5)
    assert (POSITION_JUMP, VELOCITY_JUMP, LOST) == (0.02, 0.2, 0.3)
    assert (CLOCK_PERIOD, PUBLISHES_WITHIN) == (0.2, 1.0)


def test_the_thread_serves_goals_and_stops_until_the_inbox_closes(
    script: Script, planner: ScriptedPlanner, server: PlanOnce
) -> None:
    script.measure()
    serving: list[object] = []
    planner.meanwhile = lambda: serving.append(server.serving)
    script.inbox.put(GOAL)
    thread = in_thread(server.run)
    wait(lambda: server.status is Status.PLANNED)
    assert serving == [GOAL]
    script.inbox.put(None)
    wait(lambda: server.status is Status.READY)
    assert server.serving is None and len(script.outputs.motions) == 2
    beats = server.pulse.beats
    wait(lambda: server.pulse.beats > beats)
    script.inbox.close()
    thread.join(5.0)
    assert not thread.is_alive()
