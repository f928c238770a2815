"""Replanning at a fixed rate with the simulated arm, over real DDS: hand-overs, deadlines, freezes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import (
    POSITION_JUMP,
    VELOCITY_JUMP,
    count,
    is_at,
    largest_jumps,
    monotonic_for,
    plans,
    seconds,
)
from ros_harness import SIMULATOR, Probe, RosProcess, RosSystem, ros_system

from sobo_planner.tasks import Task

RATE = 10.0  # [Hz]: a busy machine keeps up too
ROUNDING = 1e-5


@pytest.fixture(scope="module")
def system(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("receding"), task.robot.joint_names) as system:
        system.start(SIMULATOR)
        system.probe.listen_to_states()
        yield system


@pytest.fixture(scope="module")
def planner(system: RosSystem) -> RosProcess:
    process = system.start_planner("mode:=receding_horizon", f"rate:={RATE}")
    system.probe.wait(lambda: is_at(system.probe, "READY"))
    return process


@pytest.fixture
def probe(system: RosSystem, planner: RosProcess) -> Iterator[Probe]:
    yield system.probe
    assert planner.running and "Traceback" not in planner.text(), planner.text()


def distance(probe: Probe, task: Task, target: np.ndarray) -> float:
    """From the simulated arm's tool to a target [m]."""
    return float(np.linalg.norm(task.robot.tool_position(probe.states[-1].position) - target))


def send(probe: Probe, target: np.ndarray) -> int:
    """Sends a goal. Returns the time [ns]."""
    now: int = probe.get_clock().now().nanoseconds
    probe.goal_publisher.publish(probe.goal(target))
    return now


def stamp_ns(report: dict) -> int:
    return int(report["stamp"]["sec"] * 10**9 + report["stamp"]["nanosec"])


def around(task: Task, home: np.ndarray, pan: float) -> np.ndarray:
    """The tool's position at home with the arm turned about its base."""
    return task.robot.tool_position(home + [pan, 0, 0, 0, 0, 0])


def test_new_goals_in_motion(probe: Probe, task: Task, home: np.ndarray) -> None:
    """Each replaces the one before; the desired state is continuous all the way, from the messages alone.

    That a goal is taken up at the next tick is tested where ticks are counted and not timed, in
    test_receding_horizon.py: from outside, the time that the message takes on a busy computer belongs to it.
    """
    goals = [around(task, home, pan) for pan in (1.0, -0.8, 0.6, -0.5)]
    for goal in goals:
        send(probe, goal)
        probe.wait(lambda goal=goal: plans(probe) and np.allclose(plans(probe)[-1]["goal"], goal))
        if goal is not goals[-1]:
            probe.wait(lambda: np.abs(probe.states[-1].velocity).max() > 0.3)
    probe.wait(lambda: distance(probe, task, goals[-1]) < 0.05)
    served = [tuple(report["goal"]) for report in plans(probe)]
    assert [goal for goal, _ in groupby(served)] == [tuple(goal) for goal in goals], "each until it is replaced"
    ids = [report["plan_id"] for report in plans(probe)]
    assert ids == list(range(ids[0], ids[0] + len(ids))), "no report is missing"
    probe.wait(lambda: len(probe.trajectories) >= len(ids))
    position, velocity = largest_jumps(probe.trajectories)
    assert position <= POSITION_JUMP + ROUNDING and velocity <= VELOCITY_JUMP + ROUNDING


def test_motions_begin_after_they_are_published(probe: Probe, task: Task, home: np.ndarray) -> None:
    """The arm has time to receive each: it begins a lead after its stamp, in the state that its report names."""
    until = len(probe.trajectories) + 5
    probe.wait(lambda: len(probe.trajectories) >= until)
    motions = {
        round(1e9 * message.header.stamp.sec) + message.header.stamp.nanosec: message
        for message in probe.trajectories[until - 5 : until]
    }
    probe.wait(lambda: motions.keys() <= {stamp_ns(report) for report in plans(probe)})
    stamps = {stamp_ns(report): report for report in plans(probe)}
    for stamp, message in motions.items():
        report = stamps[stamp]
        assert report["lead"] > 0.0
        assert abs(seconds(message.points[0].time_from_start) - report["lead"]) < 1e-6
        np.testing.assert_allclose([*message.points[0].positions, *message.points[0].velocities], report["start"])


def test_a_frozen_process_misses_its_deadlines(probe: Probe, planner: RosProcess, task: Task, home: np.ndarray) -> None:
    """Stopped for a third of a second and more: the ticks are counted and not made up for, and it goes on.

    The monitor sees to it that nothing is published from what was known before.
    """
    target = around(task, home, 0.8)
    send(probe, target)
    for pause in (0.3, 0.7):
        probe.wait(lambda: is_at(probe, "TRACKING"))
        before, ticks = count(probe, "DEADLINE_MISSED"), len(probe.trajectories)
        os.kill(planner.node_pid, signal.SIGSTOP)
        try:
            probe.wait(monotonic_for(pause))
        finally:
            os.kill(planner.node_pid, signal.SIGCONT)
        probe.wait(lambda seen=before: count(probe, "DEADLINE_MISSED") > seen)
        probe.wait(lambda seen=ticks: len(probe.trajectories) > seen + 3)
    probe.wait(lambda: distance(probe, task, target) < 0.05)


def test_a_frozen_arm(probe: Probe, system: RosSystem, task: Task, home: np.ndarray) -> None:
    """The driver's process stops in the middle of a motion, and so do motions; afterwards the goal is reached."""
    target = around(task, home, -0.6)
    send(probe, target)
    probe.wait(lambda: np.abs(probe.states[-1].velocity).max() > 0.3)
    simulator = system.processes[0]
    os.kill(simulator.node_pid, signal.SIGSTOP)
    try:
        probe.wait(lambda: is_at(probe, "STALE_STATE"))
        first = count(probe, "STALE_STATE")
        probe.wait(lambda: count(probe, "STALE_STATE") > first)  # what was published before has come in by then
        published, before = len(probe.trajectories), count(probe, "STALE_STATE")
        probe.wait(lambda: count(probe, "STALE_STATE") > before)
        assert len(probe.trajectories) == published
    finally:
        os.kill(simulator.node_pid, signal.SIGCONT)
    probe.wait(lambda: distance(probe, task, target) < 0.05)
    probe.wait(lambda: is_at(probe, "TRACKING"))


def test_an_arm_that_is_moved_away(probe: Probe, task: Task, home: np.ndarray) -> None:
    """Somebody moves it away: planning restarts from there, which is counted."""
    target, before = around(task, home, -0.6), count(probe, "TRACKING_LOST")
    start = [float(q) for q in home + [0.3, 0.2, -0.2, 0, 0, 0.5]]
    assert probe.set_parameters("arm_simulator", start_position=start)[0].successful
    probe.wait(lambda: count(probe, "TRACKING_LOST") > before)
    probe.wait(lambda: distance(probe, task, target) < 0.05)
