"""What mode `receding_horizon` decides, tick by tick with scripted cycles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import GOAL, Script, coasting_motion
from server_bench import RATE

from sobo_planner.errors import GoalError, SolverError, StartError, TaskError
from sobo_planner.planning.plan import LeftContact
from sobo_planner.receding import LEAVING, NEAR, Cycle
from sobo_planner.ros.serve.receding_horizon import LEAD_PERIODS, LONGEST_LEAD, WINDOW, RecedingHorizon
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.timing import Pace

# As docs/ros.md says.
MAX_TRIES = 80
BAD_STARTS = 10


class ScriptedCycles:
    """In the place of a `RecedingPlanner`.

    Attributes:
        asked: State, its time, target and hand-over of each cycle.
        change: What the cycles bring besides a motion that coasts.
        raises: Raised instead, if any.
        meanwhile: Called in each cycle.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self.asked: list[tuple[np.ndarray, float, np.ndarray, float]] = []
        self.change: dict[str, Any] = {}
        self.raises: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None

    def set_pace(self, pace: Pace) -> None:
        self.pace = pace

    def cycle(self, x: np.ndarray, measured: float, target: np.ndarray, handover: float) -> Cycle:
        self.asked.append((x, measured, target, handover))
        self.meanwhile()
        if self.raises is not None:
            raise self.raises
        motion = coasting_motion(x, handover, self._script.task.dt)
        cycle = Cycle(motion, "shifted", True, 1.5, 1e-4, 2, tool_error=0.001, phases_ms={"start": 1.0})
        return replace(cycle, **self.change)


class ScriptedProposer:
    def __init__(self) -> None:
        self.failures, self.problem, self.last_ms = 0, "not finite", 7.0


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    return Script(task, home)


@pytest.fixture
def cycles(script: Script) -> ScriptedCycles:
    return ScriptedCycles(script)


@pytest.fixture
def proposer() -> ScriptedProposer:
    return ScriptedProposer()


def test_a_contact_that_is_left_is_told_and_no_try_is_counted(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    cycles.change = {
        "source": LEAVING,
        "refined": False,
        "left": LeftContact("forearm", "ball", -0.01, 7),
        "tool_error": 2.0,
    }
    script.inbox.put(GOAL)
    ticks(script, server)
    details = script.outputs.details[-1]
    assert details["status"] == "leaving" and script.said == [
        "forearm is -10.0 mm from ball: the arm leaves that first"
    ]
    assert details["contact"] == {"first": "forearm", "second": "ball", "distance": -0.01, "steps": 7}
    cycles.change = {"source": LEAVING, "motion": None, "tool_error": np.inf}
    ticks(script, server, MAX_TRIES + 1)
    assert script.counts() == {} and script.outputs.refusals == [] and len(script.outputs.motions) == 1
    cycles.change |= {"objection": "the ball may move"}
    ticks(script, server, 3)
    assert script.counts() == {"BAD_START": 3} and script.warned[-1][1] == "the ball may move"
    cycles.change = {}
    ticks(script, server)
    assert script.outputs.details[-1]["status"] == "refined" and "contact" not in script.outputs.details[-1]


@pytest.fixture
def server(script: Script, cycles: ScriptedCycles, proposer: ScriptedProposer) -> RecedingHorizon:
    return RecedingHorizon(script.core, cycles, proposer, RATE)  # type: ignore[arg-type]


def ticks(script: Script, server: RecedingHorizon, times: int = 1) -> None:
    for _ in range(times):
        script.measure()
        server._tick()
        script.time += 1.0 / RATE


def test_without_a_goal_no_cycle_runs(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    ticks(script, server, 3)
    assert cycles.asked == [] and server.status is Status.READY and server.serving is None


def test_a_cycle_for_each_tick(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    assert [target is GOAL for _, _, target, _ in cycles.asked] == [True] * 3
    x, measured, _, handover = cycles.asked[0]
    assert measured == 1000.0 and handover == pytest.approx(1000.0 + LEAD_PERIODS / RATE)
    np.testing.assert_array_equal(x, script.rest())
    assert [motion.begin for motion in script.outputs.motions] == [handover for *_, handover in cycles.asked]
    assert server.status is Status.TRACKING and server.detail == f"goal {GOAL.tolist()}" and server.serving is GOAL
    details = script.outputs.details[0]
    assert (details["status"], details["source"], details["goal"]) == ("refined", "shifted", GOAL.tolist())
    assert (details["cost"], details["violation"], details["iterations"], details["tool_error"]) == (
        1.5,
        1e-4,
        2,
        0.001,
    )
    assert details["phases_ms"]["policy"] == 7.0 and details["phases_ms"]["start"] == 1.0
    assert details["phases_ms"]["total"] < 1e3 and details["objection"] == ""
    cycles.change = {"refined": False}
    ticks(script, server)
    assert script.outputs.details[-1]["status"] == "start"


def test_without_a_policy_there_is_no_time_of_it(script: Script, cycles: ScriptedCycles) -> None:
    server = RecedingHorizon(script.core, cycles, None, RATE)  # type: ignore[arg-type]
    script.inbox.put(GOAL)
    ticks(script, server)
    assert "policy" not in script.outputs.details[0]["phases_ms"]


@pytest.mark.parametrize("error, taken", [(NEAR, True), (1.01 * NEAR, False)])
def test_a_goal_is_taken_up_by_a_motion_that_ends_near_it(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, error: float, taken: bool
) -> None:
    """Until then it is refused after eighty cycles; the one before goes on."""
    cycles.change = {"tool_error": error}
    script.inbox.put(GOAL)
    ticks(script, server, MAX_TRIES - 1)
    assert script.outputs.refusals == [] and len(script.outputs.motions) == MAX_TRIES - 1
    ticks(script, server)
    if taken:
        assert script.outputs.refusals == []
        return
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.PLAN_REFUSED and goal is GOAL and "ends 0.10 m from it" in refusal.detail
    ticks(script, server, 3)
    assert len(cycles.asked) == MAX_TRIES


def test_at_a_higher_rate_a_goal_has_as_much_time(script: Script, cycles: ScriptedCycles) -> None:
    cycles.change = {"motion": None, "objection": "links would touch"}
    server = RecedingHorizon(script.core, cycles, None, 200.0)  # type: ignore[arg-type]
    script.inbox.put(GOAL)
    ticks(script, server, 159)
    assert script.outputs.refusals == []
    ticks(script, server)
    assert "no cycle of 160" in script.outputs.refusals[0][0].detail


def test_tries_count_from_each_goal_on(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    cycles.change = {"motion": None, "objection": "links would touch"}
    script.inbox.put(GOAL)
    ticks(script, server, MAX_TRIES - 1)
    script.inbox.put(GOAL + 0.1)
    ticks(script, server, MAX_TRIES - 1)
    assert script.outputs.refusals == []
    ticks(script, server)
    ((refusal, _),) = script.outputs.refusals
    assert "links would touch" in refusal.detail and f"no cycle of {MAX_TRIES}" in refusal.detail
    assert script.counts() == {"FALLBACK": 2 * MAX_TRIES - 1, "PLAN_REFUSED": 1}
    ticks(script, server, MAX_TRIES - 1)  # the first goal again, from the beginning
    assert cycles.asked[-1][2] is GOAL and len(script.outputs.refusals) == 1
    ticks(script, server)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0] + 0.1, GOAL[0]]


def test_a_goal_without_a_motion_near_it_so_far_outlives_a_bad_one(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    """On a slow computer the first motions towards a goal may end far from it."""
    cycles.change = {"tool_error": 2.0 * NEAR}
    script.inbox.put(GOAL)
    ticks(script, server, 2)
    cycles.raises = GoalError("far")
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0] + 0.1]
    cycles.raises = None
    ticks(script, server, MAX_TRIES - 1)
    assert cycles.asked[-1][2] is GOAL and len(script.outputs.refusals) == 1
    ticks(script, server, 2)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0] + 0.1, GOAL[0]]
    asked = len(cycles.asked)
    ticks(script, server, 3)
    assert len(cycles.asked) == asked


def test_a_goal_that_was_taken_up_is_never_given_up(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.change = {"motion": None, "objection": "links would touch"}
    ticks(script, server, 2 * MAX_TRIES)
    assert script.outputs.refusals == [] and script.counts() == {"FALLBACK": 2 * MAX_TRIES}
    script.inbox.put(GOAL + 0.1)
    ticks(script, server, MAX_TRIES)
    assert len(script.outputs.refusals) == 1
    ticks(script, server)
    assert cycles.asked[-1][2] is GOAL


@pytest.mark.parametrize(
    "error, status",
    [
        (StartError("elbow"), Status.BAD_START),
        (GoalError("far"), Status.OUT_OF_REACH),
        (TaskError("no posture"), Status.PLANNING_FAILED),
        (SolverError("none"), Status.PLANNING_FAILED),
        (ZeroDivisionError(), Status.INTERNAL_ERROR),
    ],
)
def test_a_fault_refuses_a_new_goal_and_is_noted_for_one_that_is_served(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, error: Exception, status: Status
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.raises = error
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    assert [refusal.status for refusal, _ in script.outputs.refusals] == [status]
    ticks(script, server, 3)
    assert len(script.outputs.refusals) == 1 and cycles.asked[-1][2] is GOAL
    noted = status if not isinstance(error, SolverError) else Status.INTERNAL_ERROR
    assert sum(script.counts().values()) == 4 and script.counts()[noted.value] >= 3
    cycles.raises = None
    ticks(script, server)
    assert len(script.outputs.motions) == 2


def test_states_in_a_row_at_which_no_motion_may_begin_end_it(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    for _ in range(3):
        cycles.raises = StartError("elbow at 9 rad")
        ticks(script, server, BAD_STARTS - 1)
        cycles.raises = None
        ticks(script, server)
    assert script.outputs.refusals == []
    cycles.raises = StartError("elbow at 9 rad")
    ticks(script, server, BAD_STARTS)
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.CANCELLED and goal is GOAL and "elbow at 9 rad" in refusal.detail
    assert script.outputs.details[-1]["status"] == "braking" and server.status is Status.READY
    ticks(script, server, 3)
    assert script.counts()["BAD_START"] == 4 * BAD_STARTS - 3
    cycles.raises = None
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    cycles.raises = StartError("elbow at 9 rad")
    ticks(script, server, BAD_STARTS - 1)
    assert len(script.outputs.refusals) == 1, "for the next goal they count anew"


def test_other_faults_do_not_add_up_to_that(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.raises = GoalError("far")
    ticks(script, server, 3 * BAD_STARTS)
    assert script.outputs.refusals == [] and server.status is Status.TRACKING


def test_a_request_to_stop_in_a_cycle_keeps_its_motion_back(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.meanwhile = lambda: script.inbox.put(None)
    ticks(script, server)
    assert len(script.outputs.motions) == 1
    ticks(script, server)
    assert [details["status"] for details in script.outputs.details] == ["refined", "braking"]
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.CANCELLED and goal is GOAL
    assert server.status is Status.READY and server.detail == "" and server.serving is None


def test_a_cycle_that_is_stopped_is_no_try(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    """The goal is refused once, by the stop."""
    cycles.change = {"motion": None, "objection": "links would touch"}
    script.inbox.put(GOAL)
    ticks(script, server, MAX_TRIES - 1)
    cycles.meanwhile = lambda: script.inbox.put(None)
    ticks(script, server)
    assert script.outputs.refusals == []
    ticks(script, server)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [(Status.CANCELLED, True)]


def test_a_request_to_stop_while_a_motion_is_published_keeps_it_back(
    script: Script, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its goal is refused once, by the stop."""
    publish = script.outputs.publish

    def cancelled(*arguments: Any) -> Any:
        script.inbox.put(None)
        return publish(*arguments)

    monkeypatch.setattr(script.outputs, "publish", cancelled)
    script.inbox.put(GOAL)
    ticks(script, server)
    assert script.outputs.motions == [] and script.outputs.refusals == [] and server.status is Status.READY
    ticks(script, server)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [(Status.CANCELLED, True)]


def test_a_stop_drops_the_goal_that_is_served_and_the_one_that_is_not_yet(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)
    cycles.change = {"motion": None}
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    script.inbox.put(None)
    ticks(script, server, 3)
    assert [goal[0] for _, goal in script.outputs.refusals] == [GOAL[0], GOAL[0] + 0.1]
    assert len(cycles.asked) == 2


@pytest.mark.parametrize("earlier", [False, True])
def test_a_goal_that_is_dropped_on_the_way_leaves_the_arm_at_rest_or_on_its_way_to_the_one_before(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, earlier: bool
) -> None:
    """Motions that end elsewhere were published for it."""
    if earlier:
        script.inbox.put(GOAL + 0.1)
        ticks(script, server)
    cycles.change = {"tool_error": 1.01 * NEAR}
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    assert server.status is Status.TRACKING and server.detail == f"goal {GOAL.tolist()}"
    cycles.raises = StartError("joint 3 is far outside its limits")
    script.measure(script.moving(0.3))
    server._tick()
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.BAD_START and goal is GOAL
    assert (script.outputs.details[-1]["status"] == "braking") is not earlier
    if not earlier:
        assert server.status is Status.READY and server.detail == "" and server.serving is None
    cycles.raises = None
    ticks(script, server)
    assert (server.status, server.serving is None) == ((Status.TRACKING, False) if earlier else (Status.READY, True))


def test_a_goal_that_is_dropped_at_once_leaves_the_arm_alone(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    """It may be braking, after a goal that was cancelled."""
    script.inbox.put(GOAL + 0.1)
    ticks(script, server)
    script.inbox.put(None)
    script.measure(script.moving(0.3))
    server._tick()
    assert script.outputs.details[-1]["status"] == "braking"
    published = len(script.outputs.motions)
    cycles.raises = GoalError("out of reach")
    script.inbox.put(GOAL)
    script.measure(script.moving(0.2))
    server._tick()
    assert script.outputs.refusals[-1][1] is GOAL and len(script.outputs.motions) == published
    assert server.status is Status.READY


@pytest.mark.parametrize("by", [-500.0, 700.0])
def test_a_jump_of_time_stops_the_arm_and_drops_the_goal(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, by: float
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server, 3)
    script.time += by
    server.clock_jumped()
    script.measure(script.moving(0.3))
    server._tick()
    assert script.outputs.details[-1]["status"] == "braking"
    assert script.outputs.motions[-1].begin == pytest.approx(script.time + 0.02)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [(Status.CLOCK_JUMP, True)]
    ticks(script, server, 3)
    assert len(cycles.asked) == 3


def test_an_idle_server_looks_at_the_clock(script: Script, server: RecedingHorizon) -> None:
    ticks(script, server)
    script.time += 700.0
    ticks(script, server)
    assert script.counts() == {"CLOCK_JUMP": 1}


def test_a_goal_is_not_taken_up_by_a_motion_that_comes_too_late(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    def pass_time() -> None:
        script.time += 0.9

    cycles.meanwhile = pass_time
    script.inbox.put(GOAL)
    ticks(script, server)
    assert script.counts() == {"DEADLINE_MISSED": 1} and server.status is Status.READY
    cycles.meanwhile, cycles.change = (lambda: None), {"motion": None, "objection": "links would touch"}
    ticks(script, server, MAX_TRIES - 1)
    assert [(refusal.status, goal is GOAL) for refusal, goal in script.outputs.refusals] == [
        (Status.PLAN_REFUSED, True)
    ]


def test_a_motion_that_comes_too_late_is_noted_and_the_lead_grows(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon
) -> None:
    script.inbox.put(GOAL)
    ticks(script, server)

    def pass_time() -> None:
        script.time += 0.9

    cycles.meanwhile = pass_time
    bounds = []
    for _ in range(5):
        ticks(script, server)
        bounds.append(server._longest_lead)
    assert bounds == pytest.approx([0.4, 0.8, 1.0, 1.0, 1.0])
    assert script.counts() == {"DEADLINE_MISSED": 5} and len(script.outputs.motions) == 1
    cycles.meanwhile = lambda: None
    ticks(script, server)
    assert server._longest_lead == LONGEST_LEAD and len(script.outputs.motions) == 2


@pytest.mark.parametrize("took, lead", [(0.001, 0.02), (0.05, 0.06), (0.9, LONGEST_LEAD)])
def test_the_lead_follows_what_cycles_take(server: RecedingHorizon, took: float, lead: float) -> None:
    server._durations.extend([0.001, took, 0.0005])
    assert server._lead() == pytest.approx(lead)
    server._durations.extend([0.001] * WINDOW)
    assert server._lead() == pytest.approx(0.02), "of the last ones"


def test_what_the_publisher_refuses_is_a_fault(script: Script, cycles: ScriptedCycles, server: RecedingHorizon) -> None:
    script.inbox.put(GOAL)
    script.outputs.refuses = Refused(Status.PLAN_REFUSED, "links would touch")
    ticks(script, server)
    assert script.outputs.refusals[0][0].detail == "links would touch" and server.status is Status.READY


def test_faults_beside_the_motion_are_noted(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, proposer: ScriptedProposer
) -> None:
    cycles.change = {"lost": True}
    script.inbox.put(GOAL)
    ticks(script, server)
    assert script.counts() == {"TRACKING_LOST": 1}
    cycles.change, proposer.failures = {}, 1
    ticks(script, server, 2)
    assert script.counts() == {"TRACKING_LOST": 1, "POLICY_FAILED": 1} and len(script.outputs.motions) == 3


def test_ticks_that_are_missed_are_counted_and_skipped(
    script: Script, cycles: ScriptedCycles, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock that only cycles and sleeps let go on."""
    clock = [50.0]
    monkeypatch.setattr("sobo_planner.ros.serve.receding_horizon.time.monotonic", lambda: clock[0])
    begun, beats, takes = [], [], iter([0.001, 0.001, 0.034, 0.001, 0.0101, 0.001, 0.021, 0.001, 0.001])

    def cycle() -> None:
        begun.append(round(1e3 * (clock[0] - 50.0), 3))
        beats.append(server.pulse.within)
        clock[0] += next(takes)
        if len(begun) == 9:
            script.inbox.close()

    def sleep(seconds: float) -> None:
        clock[0] += max(seconds, 0.0)

    cycles.meanwhile = cycle
    monkeypatch.setattr(script.inbox, "sleep", sleep)
    script.inbox.put(GOAL)
    script.measure()
    server.run()
    assert begun == [0.0, 10.0, 20.0, 54.0, 60.0, 70.1, 80.0, 101.0, 110.0]
    assert script.counts()["DEADLINE_MISSED"] == 3, "at 30, 40 and 90 ms; those at 50 and at 100 ms began late"
    assert [detail for _, detail in script.warned] == ["a cycle ended 24.0 ms late", "a cycle ended 11.0 ms late"]
    assert set(beats) == {1.0 / RATE + 0.3}


def test_ticks_that_are_missed_without_a_goal_are_nobodys_loss(
    script: Script, server: RecedingHorizon, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [50.0]
    monkeypatch.setattr("sobo_planner.ros.serve.receding_horizon.time.monotonic", lambda: clock[0])

    def tick() -> None:
        clock[0] += 0.5
        script.inbox.close()

    monkeypatch.setattr(server, "_tick", tick)
    server.run()
    assert clock[0] == 50.5 and script.counts() == {} and script.warned == []
