"""A planning thread that dies or hangs: noticed, said, its goals answered, the arm braked."""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import GOAL, N, Script, ScriptedBrakes, ScriptedPlanner, in_thread, wait

from sobo_planner.errors import GoalError
from sobo_planner.ros.serve.activation import Serving
from sobo_planner.ros.serve.plan_once import CLOCK_PERIOD, PlanOnce
from sobo_planner.ros.serve.receding_horizon import RecedingHorizon
from sobo_planner.ros.serve.serving import Progress, Server
from sobo_planner.ros.serve.stopping import Stopper
from sobo_planner.ros.serve.watchdog import GRACE, PERIOD, Watchdog
from sobo_planner.ros.support.process import WorkerThread
from sobo_planner.ros.support.status import Status
from sobo_planner.solver import Instance
from sobo_planner.tasks import ArmReach


class Idle(Server):
    def run(self) -> None:
        raise SystemExit("out of luck")


class Watched:
    """A server with a watchdog, and a clock for that."""

    def __init__(self, script: Script, server: Server) -> None:
        self.script, self.server, self.alive, self.told, self.now = script, server, True, 0, 50.0
        self.brakes = ScriptedBrakes(script.task)
        self.watchdog = Watchdog(server, lambda: self.alive, Stopper(script.core, self.brakes), self.tell)  # type: ignore[arg-type]

    def tell(self) -> None:
        self.told += 1

    def look(self, seconds: float) -> None:
        """Lets time pass."""
        for _ in range(round(seconds / PERIOD)):
            self.now += PERIOD
            self.watchdog.look(self.now)


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    return Script(task, home)


@pytest.fixture
def watched(script: Script) -> Watched:
    return Watched(script, Idle(script.core))


def test_a_thread_that_beats_is_fine(watched: Watched) -> None:
    for _ in range(40):
        watched.server.pulse.beat(0.2)
        watched.look(0.2)
    assert watched.server.lost == "" and watched.told == 0 and watched.script.counts() == {}


def test_a_thread_that_hangs_is_noticed_within_a_second(watched: Watched) -> None:
    watched.server.pulse.beat(CLOCK_PERIOD)
    watched.look(CLOCK_PERIOD + GRACE - PERIOD)
    assert watched.server.lost == ""
    watched.look(4 * PERIOD)
    assert CLOCK_PERIOD + GRACE + 4 * PERIOD < 1.0
    assert "has not answered for 0.8 s" in watched.server.lost or "for 0.7 s" in watched.server.lost
    assert watched.told == 1 and watched.script.counts() == {"NOT_RESPONDING": 1}
    watched.look(5.0)
    assert watched.told == 1 and watched.script.counts() == {"NOT_RESPONDING": 1}, "it is said once"


def test_a_thread_has_a_second_until_its_first_step(watched: Watched) -> None:
    watched.look(1.0 + GRACE - 2 * PERIOD)
    assert watched.server.lost == ""
    watched.look(4 * PERIOD)
    assert watched.server.lost != ""


@pytest.mark.parametrize("within", [5.0, 60.0])
def test_a_long_plan_is_not_a_hang(watched: Watched, within: float) -> None:
    watched.server.pulse.beat(within)
    watched.look(within + GRACE - 2 * PERIOD)
    assert watched.server.lost == ""
    watched.look(4 * PERIOD)
    assert watched.server.lost != ""


def test_one_that_takes_as_long_as_it_takes_is_not_either(watched: Watched) -> None:
    watched.server.pulse.beat(math.inf)
    watched.look(300.0)
    assert watched.server.lost == ""


def test_a_process_that_was_stopped_has_not_hung(watched: Watched) -> None:
    """Neither thread ran: what passed meanwhile does not count."""
    watched.server.pulse.beat(CLOCK_PERIOD)
    watched.look(CLOCK_PERIOD + GRACE - 2 * PERIOD)
    watched.now += 20.0
    watched.watchdog.look(watched.now)
    assert watched.server.lost == "", "at most two periods are counted"
    watched.server.pulse.beat(CLOCK_PERIOD)
    watched.look(0.5)
    assert watched.server.lost == ""


def test_a_dead_thread_is_noticed_at_once(watched: Watched) -> None:
    watched.look(0.1)
    watched.alive = False
    watched.look(PERIOD)
    assert "died" in watched.server.lost and watched.told == 1


def test_goals_that_wait_or_are_planned_for_are_refused_with_the_reason(watched: Watched) -> None:
    serving = GOAL + 0.1
    watched.server.serving = serving
    watched.script.inbox.put(GOAL)
    watched.alive = False
    watched.look(PERIOD)
    refusals = watched.script.outputs.refusals
    assert [goal for _, goal in refusals] == [GOAL, serving] or all(
        any(goal is each for _, goal in refusals) for each in (GOAL, serving)
    )
    assert {refusal.status for refusal, _ in refusals} == {Status.NOT_RESPONDING}
    assert all(refusal.detail == watched.server.lost for refusal, _ in refusals)
    assert watched.script.inbox.interrupt.is_set(), "what the thread plans all the same is not published"


def test_each_goal_is_counted_once(watched: Watched) -> None:
    watched.server.serving = GOAL
    watched.alive = False
    watched.look(PERIOD)
    assert watched.script.counts() == {"NOT_RESPONDING": 1} and len(watched.script.outputs.refusals) == 1


def test_an_arm_that_follows_nothing_of_ours_is_braked_too(watched: Watched) -> None:
    """Seen to move, which is all that is known of it."""
    watched.script.measure(watched.script.moving(0.4))
    watched.alive = False
    watched.look(PERIOD)
    assert len(watched.script.outputs.motions) == 1


def test_a_moving_arm_is_braked_by_other_brakes(watched: Watched) -> None:
    """Those of the thread may be held by it."""
    watched.script.follow(0.4)
    watched.script.brakes.objection = "held by the thread"
    watched.alive = False
    watched.look(PERIOD)
    (stop,) = watched.script.outputs.motions
    assert stop.X[0][N] > 0.1 and np.abs(stop.X[1:, N:]).max() == 0.0
    watched.look(3.0)
    assert len(watched.script.outputs.motions) == 1


def test_an_arm_at_rest_is_left_alone(watched: Watched) -> None:
    watched.script.measure()
    watched.alive = False
    watched.look(1.0)
    assert watched.script.outputs.motions == []


def test_what_cannot_be_stopped_is_tried_again(watched: Watched) -> None:
    watched.script.follow(0.4)
    watched.brakes.objection = "links would touch"
    watched.alive = False
    watched.look(5 * PERIOD)
    assert watched.script.counts()["PLAN_REFUSED"] == 5
    watched.brakes.objection = ""
    watched.look(5 * PERIOD)
    assert len(watched.script.outputs.motions) == 1 and watched.script.counts()["PLAN_REFUSED"] == 5


@pytest.mark.parametrize("broken", [True, False])
def test_but_not_for_ever(watched: Watched, broken: bool) -> None:
    watched.script.follow(0.4)
    watched.brakes.objection = "links would touch"
    if broken:
        watched.brakes.meanwhile = lambda: 1 / 0
    watched.alive = False
    watched.look(4.0)
    tried = len(watched.script.defects) if broken else watched.script.counts()["PLAN_REFUSED"]
    assert tried == 20 and watched.script.outputs.motions == []


def test_a_thread_that_goes_on_after_all_serves_again(watched: Watched) -> None:
    watched.script.follow(0.4)
    watched.server.pulse.beat(0.2)
    watched.look(2.0)
    assert watched.server.lost
    watched.server.pulse.beat(0.2)
    watched.look(PERIOD)
    assert watched.server.lost == "" and watched.told == 2 and "answers again" in watched.script.said[-1]
    watched.script.measure()
    watched.look(2.0)
    assert watched.server.lost, "and is watched as before"


def test_the_clock_is_looked_at_while_the_thread_plans(watched: Watched) -> None:
    watched.server.pulse.beat(math.inf)
    watched.look(0.1)
    watched.script.inbox.put(GOAL)
    watched.script.time -= 500.0
    watched.look(PERIOD)
    assert watched.script.inbox.interrupt.is_set() and watched.script.counts()["CLOCK_JUMP"] == 2


def test_what_ends_the_thread_is_in_the_log(script: Script) -> None:
    with pytest.raises(SystemExit):
        Idle(script.core).run_logged()
    assert "SystemExit: out of luck" in script.defects[0]


def test_a_planner_that_hangs_in_a_thread(script: Script) -> None:
    """The whole of it, with real time: an arm in motion, a goal, and a plan that does not end within its deadline."""
    planner, hang = ScriptedPlanner(script.task), threading.Event()
    planner.meanwhile = lambda: hang.wait(20.0)
    script.values["deadline"] = 0.05
    script.follow(0.4)
    server = PlanOnce(script.core, planner)  # type: ignore[arg-type]
    thread = in_thread(server.run_logged)
    watched = Watched(script, server)
    script.inbox.put(GOAL)
    wait(lambda: server.serving is not None)
    wait(lambda: watched.watchdog.look() or server.lost, 3.0)
    assert [details["status"] for details in script.outputs.details] == ["braking"]
    assert script.outputs.refusals[0][1] is GOAL
    hang.set()
    wait(lambda: watched.watchdog.look() or not server.lost, 3.0)
    assert {details["status"] for details in script.outputs.details} == {"braking"}, "the plan came too late"
    script.inbox.close()
    thread.join(5.0)
    assert not thread.is_alive()


@pytest.mark.parametrize("hangs", [True, False])
@pytest.mark.parametrize("known", ["state", "motion", "nothing"])
def test_the_end_of_an_activation(script: Script, hangs: bool, known: str) -> None:
    """The goal that waits is answered and a moving arm braked, whether or not the thread ends."""
    end, server = threading.Event(), Idle(script.core)
    worker = WorkerThread("planning", (lambda: end.wait(20.0)) if hangs else (lambda: None))
    watched = Watched(script, server)
    script.inbox.put(GOAL)
    if known != "nothing":
        script.follow(0.4)
    if known == "motion":
        script.inbox.drop_state()
    worker.start()
    Serving(script.inbox, server, worker, watched.watchdog).end(script.followed)
    assert script.inbox.closed and worker.is_alive() == hangs
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.CANCELLED and goal is GOAL
    assert [details["status"] for details in script.outputs.details] == ([] if known == "nothing" else ["braking"])
    end.set()


def test_an_activation_without_a_goal_ends_without_a_refusal(watched: Watched) -> None:
    """Its thread has half a second, once nothing more is to be done, until the arm is stopped without it."""
    script, joined = watched.script, []

    def join_within(seconds: float) -> None:
        joined.append((seconds, script.inbox.closed, len(script.outputs.motions)))

    script.follow(0.4)
    worker: Any = SimpleNamespace(join_within=join_within)
    Serving(script.inbox, watched.server, worker, watched.watchdog).end(script.followed)
    assert joined == [(0.5, True, 0)]
    assert script.outputs.refusals == [] and len(script.outputs.motions) == 1 and script.counts() == {}


def test_inverse_kinematics_is_a_sign_of_life(watched: Watched, task: ArmReach, home: np.ndarray) -> None:
    """Every twenty steps: a goal out of reach takes many, and a multiple of their time on a busy computer."""
    pulse, planner = watched.server.pulse, SimpleNamespace()
    RecedingHorizon(watched.script.core, planner, None, 100.0)  # type: ignore[arg-type]
    assert isinstance(planner.progress, Progress) and not planner.progress.over()
    progress, pose_task = Progress(pulse), task.with_orientation()
    pulse.beat(0.3)
    begun = pulse.beats
    beyond = Instance(np.concatenate([home, np.zeros(N)]), np.array([3.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]))
    with pytest.raises(GoalError):
        pose_task.check_goal(beyond, progress)
    assert pulse.beats > begun + 250 and pulse.within == 0.3
