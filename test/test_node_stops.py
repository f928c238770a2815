"""Bringing a moving arm to rest: cancel, hold, deactivation and SIGINT in both modes, with the simulated arm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import (
    POSITION_JUMP,
    cancel,
    change_state,
    hold,
    is_at,
    largest_jumps,
    monotonic_for,
    plans,
    refusal,
    seconds,
)
from ros_harness import SIMULATOR, Probe, RosProcess, RosSystem, ros_system
from trajectory_msgs.msg import JointTrajectory

from sobo_planner.tasks import Task, load_task

# Slow motions, so that a request to stop comes before their end on a busy computer, too.
MODES = {"plan_once": ("velocity_scaling:=0.25",), "receding_horizon": ("rate:=10.0",)}
RESTS = 0.02  # [rad/s]
BRAKES_WITHIN = 0.55  # [s] from the stamp of the braking motion: half a second and the lead
# Inside the base: no posture is free there, and it takes all starts to find out.
INSIDE = (0.05, 0.05, 0.02)
FAR = (3.0, 0.0, 0.0)  # [m]
BURST = 8  # goals at once: less than the depth of the node's queue


@pytest.fixture(scope="module")
def targets(task: Task, home: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two goals far from each other: the arm moves fast between them."""
    return task.robot.tool_position(home + [1.5, 0, 0, 0, 0, 0]), task.robot.tool_position(home)


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def system(mode: str, task: Task, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RosSystem]:
    with ros_system(tmp_path_factory.mktemp("stops"), task.robot.joint_names) as system:
        system.start(SIMULATOR)
        system.probe.listen_to_states()
        yield system


@pytest.fixture(scope="module")
def planner(mode: str, system: RosSystem) -> RosProcess:
    process = system.start_planner("policy:=none", f"mode:={mode}", *MODES[mode])
    system.probe.wait(lambda: is_at(system.probe, "READY"))  # it hears the arm
    return process


@pytest.fixture
def probe(system: RosSystem, planner: RosProcess) -> Iterator[Probe]:
    """With an arm at rest and a node with nothing left to do."""
    let_finish(system.probe)
    system.probe.wait(lambda: at_rest(system.probe))
    yield system.probe
    assert "Traceback" not in planner.text()


def let_finish(probe: Probe) -> None:
    """Waits until all that was asked for so far is done: this goal is served last."""
    probe.reports.clear()
    probe.goal_publisher.publish(probe.goal(FAR))
    probe.wait(lambda: refusal(probe, "OUT_OF_REACH", FAR))
    probe.catch_up()


def speed(probe: Probe) -> float:
    """Fastest joint of the simulated arm now [rad/s]."""
    return float(np.abs(probe.states[-1].velocity).max()) if probe.states else np.inf


def at_rest(probe: Probe) -> bool:
    """Whether the last tenth of a second was spent at rest."""
    recent = probe.states[-50:]
    return len(recent) == 50 and all(np.abs(state.velocity).max() < RESTS for state in recent)


def set_in_motion(probe: Probe, targets: tuple[np.ndarray, np.ndarray]) -> None:
    """Sends the goal that is further away and waits until the arm moves fast."""
    tool = load_task("ur5").robot.tool_position(probe.states[-1].position)
    goal = max(targets, key=lambda target: float(np.linalg.norm(target - tool)))
    probe.reports.clear()
    probe.trajectories.clear()
    probe.goal_publisher.publish(probe.goal(goal))
    probe.wait(lambda: speed(probe) > 0.5)


def comes_to_rest(probe: Probe) -> JointTrajectory:
    """Waits until the arm rests. Returns the braking motion, the last one, which ends at rest in time."""
    probe.wait(lambda: plans(probe)[-1]["status"] == "braking")
    stamp = plans(probe)[-1]["stamp"]
    probe.wait(lambda: probe.trajectories[-1].header.stamp.nanosec == stamp["nanosec"])
    braking = probe.trajectories[-1]
    late = [point for point in braking.points if seconds(point.time_from_start) > BRAKES_WITHIN]
    assert late and max(np.abs(point.velocities).max() for point in late) < RESTS
    assert largest_jumps(probe.trajectories)[0] <= POSITION_JUMP + 1e-5
    published = len(probe.trajectories)
    probe.states.clear()
    probe.wait(lambda: at_rest(probe))
    assert len(probe.trajectories) == published, "nothing comes after the braking"
    end = np.array(braking.points[-1].positions)
    assert np.abs(np.array(probe.states[-1].position) - end).max() < 0.05
    return braking


def test_cancel(probe: Probe, targets: tuple[np.ndarray, np.ndarray]) -> None:
    set_in_motion(probe, targets)
    assert cancel(probe).success
    comes_to_rest(probe)
    probe.wait(lambda: is_at(probe, "READY"))
    set_in_motion(probe, targets)  # and goals are served again
    assert cancel(probe).success
    comes_to_rest(probe)


def test_hold(probe: Probe, targets: tuple[np.ndarray, np.ndarray]) -> None:
    set_in_motion(probe, targets)
    assert hold(probe, True).success
    comes_to_rest(probe)
    probe.wait(lambda: is_at(probe, "HOLDING"))
    published = len(probe.trajectories)
    probe.goal_publisher.publish(probe.goal(targets[0]))
    assert "release" in probe.wait(lambda: refusal(probe, "HOLDING"))["detail"]
    assert len(probe.trajectories) == published
    assert hold(probe, False).success
    set_in_motion(probe, targets)
    assert cancel(probe).success
    comes_to_rest(probe)


def test_goals_that_wait_or_are_planned_for_are_cancelled(probe: Probe, mode: str) -> None:
    """However close before `cancel` they were sent: each is answered, the last one with that."""
    published = len(probe.trajectories)
    goals = [[*INSIDE[:2], INSIDE[2] + 1e-4 * k] for k in range(BURST)]
    probe.reports.clear()
    assert cancel(probe, just_before=partial(send_all, probe, goals)).success
    probe.wait(lambda: refusal(probe, "CANCELLED", goals[-1]))
    if mode == "plan_once":  # which takes longer to refuse a goal than to send these
        probe.wait(lambda: len(probe.reports) == BURST)
        assert {report["reason"] for report in probe.reports} == {"CANCELLED", "SUPERSEDED"}
        let_finish(probe)
        assert_nothing_moves(probe.trajectories[published:])


def assert_nothing_moves(trajectories: Sequence[JointTrajectory]) -> None:
    """An arm at rest may be told to stay where it is: it is, as long as its last motion has not ended."""
    points = [point for trajectory in trajectories for point in trajectory.points]
    assert all(np.abs(point.velocities).max() < RESTS for point in points)


def test_a_moving_arm_is_stopped_while_another_goal_is_planned_for(
    probe: Probe, targets: tuple[np.ndarray, np.ndarray]
) -> None:
    """Planning ends for it: this goal would take longer to refuse than the arm to arrive."""
    set_in_motion(probe, targets)
    probe.goal_publisher.publish(probe.goal(INSIDE))
    probe.wait(monotonic_for(0.05))
    assert cancel(probe).success
    comes_to_rest(probe)
    assert refusal(probe, "CANCELLED", INSIDE) and not refusal(probe, "PLAN_REFUSED")


def send_all(probe: Probe, goals: Iterable[Sequence[float]]) -> None:
    for goal in goals:
        probe.goal_publisher.publish(probe.goal(goal))


@pytest.mark.parametrize("service", ["cancel", "hold", "deactivate"])
def test_goals_sent_before_a_stop_move_nothing_after_it(
    probe: Probe, targets: tuple[np.ndarray, np.ndarray], service: str
) -> None:
    """Topics and services are taken in no order: goals may wait when the request to stop is handled."""
    set_in_motion(probe, targets)
    goals = [targets[k % 2] + 1e-3 * k for k in range(BURST)]
    send = partial(send_all, probe, goals)
    if service == "cancel":
        assert cancel(probe, just_before=send).success
        comes_to_rest(probe)
    elif service == "hold":
        assert hold(probe, True, just_before=send).success
        comes_to_rest(probe)
        assert hold(probe, False, just_before=send).success
    else:
        assert change_state(probe, "deactivate", just_before=send)
        comes_to_rest(probe)
        assert change_state(probe, "activate", just_before=send)
    published = len(probe.trajectories)
    probe.wait(monotonic_for(1.0))
    assert len(probe.trajectories) == published
    set_in_motion(probe, targets)  # goals are served again
    assert cancel(probe).success
    comes_to_rest(probe)


def test_a_goal_that_is_refused_does_not_undo_a_cancel(probe: Probe, targets: tuple[np.ndarray, np.ndarray]) -> None:
    set_in_motion(probe, targets)
    assert cancel(probe).success
    probe.goal_publisher.publish(probe.goal(FAR))
    probe.wait(lambda: refusal(probe, "OUT_OF_REACH", FAR))
    comes_to_rest(probe)


def test_without_a_goal_nothing_moves(probe: Probe) -> None:
    published = len(probe.trajectories)
    assert cancel(probe).success and hold(probe, True).success and hold(probe, False).success
    let_finish(probe)
    assert_nothing_moves(probe.trajectories[published:])


def test_deactivated_in_motion(probe: Probe, targets: tuple[np.ndarray, np.ndarray]) -> None:
    set_in_motion(probe, targets)
    assert change_state(probe, "deactivate")
    comes_to_rest(probe)
    assert not cancel(probe).success and not hold(probe, True).success
    assert change_state(probe, "activate")


def test_interrupted_in_motion(probe: Probe, planner: RosProcess, targets: tuple[np.ndarray, np.ndarray]) -> None:
    """Runs last: it ends the node."""
    set_in_motion(probe, targets)
    assert planner.interrupt() == 0
    comes_to_rest(probe)
