"""Bringing an arm to rest, and what ROS time that jumps has to do with it, step by step with scripted brakes."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from scripted_serving import GOAL, N, Script, in_thread, wait

from sobo_planner.motion import Timeline, expected_state
from sobo_planner.ros.inputs.worlds import Layer, Worlds
from sobo_planner.ros.serve.core import MOVING
from sobo_planner.ros.serve.serving import Server
from sobo_planner.ros.serve.stopping import STOP_LEADS, Stopper
from sobo_planner.ros.support.status import Refused, Status
from sobo_planner.tasks import ArmReach
from sobo_planner.world import Pose, Sphere, World, WorldObject


@pytest.fixture
def script(task: ArmReach, home: np.ndarray) -> Script:
    return Script(task, home)


@pytest.fixture
def stopper(script: Script) -> Stopper:
    return Stopper(script.core, script.brakes)  # type: ignore[arg-type]


class Idle(Server):
    """Serves nothing by itself."""

    def run(self) -> None:
        raise NotImplementedError


@pytest.fixture
def server(script: Script) -> Idle:
    server = Idle(script.core)
    assert not server.clock_jumped()
    return server


def begins(script: Script) -> list[tuple[float, np.ndarray]]:
    """Beginnings of the motions that were published: leads and states."""
    return [(motion.begin - script.time, motion.X[0]) for motion in script.outputs.motions]


# ---------------------------------------------------------------- stops


@pytest.mark.parametrize("speed", [0.0, 0.99 * MOVING, -0.99 * MOVING])
def test_an_arm_at_rest_needs_no_stop(script: Script, stopper: Stopper, speed: float) -> None:
    script.measure(script.moving(speed))
    assert stopper.stop() is None and script.outputs.motions == []


def test_what_is_followed_is_gone_on_with(script: Script, stopper: Stopper) -> None:
    followed = script.follow(0.4)
    off = followed.state(script.time) + 0.01
    script.measure(off)
    stop = stopper.stop()
    ((lead, x),) = begins(script)
    assert stop is script.outputs.motions[0] and lead == pytest.approx(STOP_LEADS[0])
    np.testing.assert_array_equal(x, expected_state(script.task, Timeline(followed), off, script.time, stop.begin))
    details = script.outputs.details[0]
    assert (details["status"], details["source"], details["goal"]) == ("braking", "braking", None)
    assert script.followed.timeline is not None and script.followed.timeline.last is stop


def test_an_arm_that_follows_is_stopped_though_it_does_not_move_yet(script: Script, stopper: Stopper) -> None:
    script.follow(0.0)
    assert stopper.stop() is not None


@pytest.mark.parametrize("speed", [1.01 * MOVING, -2.0])
def test_an_arm_that_follows_nothing_coasts_until_the_stop_begins(
    script: Script, stopper: Stopper, speed: float
) -> None:
    script.measure(script.moving(speed, 3))
    script.time += 0.03
    assert stopper.stop() is not None
    ((_, x),) = begins(script)
    np.testing.assert_allclose(x, script.moving(speed, 3, by=speed * (0.03 + STOP_LEADS[0])))


@pytest.mark.parametrize("off", [0.31, -0.31])  # allowed are 0.3 rad
def test_one_that_is_not_where_its_motion_wants_it_is_stopped_where_it_is(
    script: Script, stopper: Stopper, off: float
) -> None:
    followed = script.follow(0.4)
    away = followed.state(script.time) + off * (np.arange(2 * N) == 2)
    away[N:] = 0.0
    script.measure(away)
    assert stopper.stop() is not None
    np.testing.assert_array_equal(begins(script)[0][1], away)


def test_without_a_fresh_state_it_is_where_it_is_meant_to_be(script: Script, stopper: Stopper) -> None:
    followed = script.follow(0.4)
    script.values["state_timeout"] = 0.0
    stop = stopper.stop()
    assert stop is not None
    np.testing.assert_array_equal(stop.X[0], followed.state(script.time + STOP_LEADS[0]))
    script.time = stop.end
    with pytest.raises(Refused, match="STALE_STATE"):
        stopper.stop()
    script.followed.forget()
    script.inbox.drop_state()
    with pytest.raises(Refused, match="NO_STATE"):
        stopper.stop()


def test_what_the_brakes_refuse_is_not_published(script: Script, stopper: Stopper) -> None:
    script.follow(0.4)
    script.brakes.objection = "links would touch"
    with pytest.raises(Refused, match="PLAN_REFUSED: links would touch"):
        stopper.stop()
    assert script.outputs.motions == []


def test_an_object_that_cannot_be_avoided_is_no_reason_not_to_brake(script: Script, stopper: Stopper) -> None:
    script.follow(0.4)
    script.brakes.objection, script.brakes.touches = "the forearm touches the ball", True
    stop = stopper.stop()
    assert script.outputs.motions == [stop] and script.outputs.among == [script.task]
    assert script.warned == [(Status.OBSTACLE_AHEAD, "the forearm touches the ball")]


def test_stops_are_in_the_world_that_was_heard_of_last_however_old(script: Script) -> None:
    worlds = Worlds(World(), ("obstacles",), lambda world: None)
    script.values["world_margin"] = 0.03
    stopper = Stopper(replace(script.core, worlds=worlds), script.brakes)  # type: ignore[arg-type]
    robots = []
    for place in (2.0, 2.0, 3.0):
        ball = WorldObject("ball", Sphere(0.1), Pose((place, 0.0, 0.0)))
        worlds.accept("obstacles", Layer((ball,), measured=time.monotonic() - 1000.0))
        script.follow(0.4)
        stopper.stop()
        among, along = script.brakes.asked[-1]
        assert among is script.outputs.among[-1] and along is not None
        assert among.robot.world is worlds.seen.world and among.robot.margin == 0.0
        assert script.outputs.details[-1]["world"]["version"] == worlds.seen.world.version
        robots.append(among)
        script.time += 10.0
    assert robots[0] is robots[1] is not robots[2]
    script.time += 10.0
    script.followed.forget()
    script.measure(script.moving(0.5))
    stopper.stop()
    assert script.brakes.asked[-1] == (robots[2], None), "it follows nothing"


@pytest.mark.parametrize("late", range(len(STOP_LEADS) + 1))
def test_a_busy_machine_stops_too(script: Script, stopper: Stopper, late: int) -> None:
    """The first lead within which the motion is there in time counts."""
    script.follow(0.0)
    leads = iter(STOP_LEADS)

    def pass_time() -> None:
        lead = next(leads)
        script.time += lead if lead in STOP_LEADS[:late] else 0.9 * lead

    script.brakes.meanwhile = pass_time
    if late == len(STOP_LEADS):
        with pytest.raises(Refused, match="DEADLINE_MISSED: .* within 0.5 s"):
            stopper.stop()
        assert script.outputs.motions == []
    else:
        stopper.stop()
        assert begins(script)[0][0] == pytest.approx(0.1 * STOP_LEADS[late])


# ---------------------------------------------------------------- jumps of ROS time


@pytest.mark.parametrize("by", [-500.0, -0.1, 3.0, 700.0])
def test_a_moving_arm_is_braked_after_a_jump(script: Script, server: Idle, by: float) -> None:
    """From where it is measured in the new time, and not from what it was to do in the old one."""
    followed = script.follow(0.4)
    script.inbox.put(GOAL)
    script.time += by
    assert server.clock_jumped() and not server.clock_jumped()
    assert script.inbox.state is None and script.inbox.interrupt.is_set()
    ((refusal, goal),) = script.outputs.refusals
    assert refusal.status is Status.CLOCK_JUMP and goal is GOAL
    assert script.counts()["CLOCK_JUMP"] == 2, "the jump and the goal"
    request = script.inbox.take(0.0)
    assert request is not None and request.goal is None
    measured = script.moving(0.3, 1)
    script.measure(measured)
    stop = server.stop_arm()
    assert stop is not None and stop.begin == pytest.approx(script.time + STOP_LEADS[0])
    np.testing.assert_allclose(stop.X[0], script.moving(0.3, 1, by=0.3 * STOP_LEADS[0]))
    assert script.followed.timeline is not None and script.followed.timeline.last is stop
    assert followed.begin != stop.begin


def test_after_a_jump_the_first_state_is_waited_for(script: Script, server: Idle) -> None:
    script.follow(0.4)
    script.time -= 500.0
    server.clock_jumped()
    thread = in_thread(server.stop_arm)
    script.measure(script.moving(0.1, 2))
    wait(lambda: script.outputs.motions)
    thread.join(5.0)
    assert script.outputs.motions[0].X[0][N + 2] == 0.1


def test_it_is_not_waited_for_longer_than_a_slow_driver_takes(
    script: Script, server: Idle, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [70.0]
    monkeypatch.setattr("sobo_planner.ros.serve.stopping.time.monotonic", lambda: clock[0])
    server._watch.jump(script.time, clock[0])
    script.follow(0.4)
    script.time += 700.0
    server.clock_jumped()

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr("sobo_planner.ros.serve.stopping.time.sleep", sleep)
    assert server.stop_arm() is not None
    assert 0.15 <= clock[0] - 70.0 < 0.16


def test_without_one_what_was_followed_goes_on_in_the_new_time(script: Script, server: Idle) -> None:
    followed = script.follow(0.4)
    expected = followed.state(script.time + STOP_LEADS[0])
    script.time += 700.0
    server.clock_jumped()
    stop = server.stop_arm()
    assert stop is not None and stop.begin == pytest.approx(script.time + STOP_LEADS[0])
    np.testing.assert_allclose(stop.X[0], expected, atol=0.01)


def test_an_arm_that_was_reset_with_the_clock_stays_where_it_is(script: Script, server: Idle) -> None:
    """A simulation that was reset in motion: the braking motion begins where the arm is now."""
    script.follow(0.4, ago=1.5)
    script.time = 0.5
    server.clock_jumped()
    script.measure()
    assert server.stop_arm() is not None
    np.testing.assert_array_equal(script.outputs.motions[0].X[0], script.rest())


def test_an_arm_at_rest_is_left_alone_and_nothing_is_known_any_more(script: Script, server: Idle) -> None:
    script.follow(0.4, ago=5.0)
    script.time += 700.0
    server.clock_jumped()
    script.measure()
    assert server.stop_arm() is None
    assert script.followed.timeline is None and script.outputs.motions == []


def test_nothing_is_said_about_an_arm_of_which_nothing_is_known(script: Script, server: Idle) -> None:
    """A node that starts before its simulation: no state, and no motion of ours."""
    script.time += 700.0
    server.clock_jumped()
    assert server.stop_arm() is None and script.outputs.refusals == []


def test_a_stop_is_no_jump(script: Script, server: Idle) -> None:
    script.follow(0.4)
    server.stop_arm()
    assert script.followed.timeline is not None
    assert server.dropped().status is Status.CANCELLED
    script.time += 700.0
    server.clock_jumped()
    assert server.dropped().status is Status.CLOCK_JUMP
    script.measure()
    server.stop_arm()
    assert server.dropped().status is Status.CANCELLED


def test_nothing_is_published_that_was_planned_before_a_jump(script: Script, server: Idle) -> None:
    motion = script.follow(0.4)
    state = script.core.fresh_state()
    script.time -= 500.0
    with pytest.raises(Refused) as refused:
        server.publish(motion, state, {"phases_ms": {}})
    assert refused.value.status is Status.CLOCK_JUMP and script.outputs.motions == []
