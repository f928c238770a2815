"""Planning that goes wrong on the running node, over real DDS: boxes, self-collision, solver, starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import (
    POSITION_JUMP,
    VELOCITY_JUMP,
    StiffArm,
    ask,
    is_at,
    largest_jumps,
    own_task,
    planned,
    refusal,
    serving,
)
from ros_harness import Probe

from sobo_planner.tasks import Task

# A single iteration leaves the way to the first two, far up and far down, inconsistent.
GOALS = ((0.022, -0.577, 0.661), (-0.004, 0.243, -0.778), (0.5, 0.0, 0.4), (0.4, 0.3, 0.4))
# Inside the base: no posture is free there.
INSIDE = (0.05, 0.05, 0.02)


@pytest.fixture(scope="module")
def target(task: Task, home: np.ndarray) -> np.ndarray:
    return task.robot.tool_position(home + 0.3)


@pytest.fixture(scope="module")
def shared(task: Task, home: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Probe, StiffArm]]:
    """One node in mode `plan_once` for all tests that need no other parameters."""
    with serving(tmp_path_factory.mktemp("plain"), task, home, "plan_once", "policy:=none") as served:
        yield served


@pytest.fixture
def plain(shared: tuple[Probe, StiffArm], home: np.ndarray) -> tuple[Probe, StiffArm]:
    """That node and its arm, at home and at rest."""
    probe, arm = shared
    arm.wait(lambda: np.abs(arm.state()[6:]).max() < 1e-3)
    arm.place(home)
    arm.wait(lambda: is_at(probe, "READY") or is_at(probe, "PLANNED"))
    probe.trajectories.clear()
    probe.set_parameters("planner", deadline=0.0)
    return shared


# ---------------------------------------------------------------- limits


BOXES = (
    f"tool_box:={[-2.0, -2.0, 0.29, 2.0, 2.0, 2.0]}",
    f"joint_box:={[-0.3, 0.3] + [-6.0, 6.0] * 5}",
    "policy:=none",
)


def test_boxes(task: Task, home: np.ndarray, tmp_path: Path) -> None:
    """A plan that leaves a box is refused with axis or joint and bound; one within both is served."""
    inside = task.robot.tool_position(home + [-0.2, 0, 0, 0, 0, 0])
    aside = task.robot.tool_position(home + [1.5, 0, 0, 0, 0, 0])
    with serving(tmp_path, task, home, "plan_once", *BOXES) as (probe, arm):
        assert planned(ask(probe, arm, inside))
        # Which limit a plan leaves first depends on where it begins: here it is where the one before has ended.
        arm.wait(lambda: task.distance(arm.state(), inside) < 0.01 and np.abs(arm.state()[6:]).max() < 1e-3)
        refused = ask(probe, arm, [*inside[:2], 0.2])
        assert refused["reason"] == "PLAN_REFUSED"
        assert "tool z is" in refused["detail"] and "0.2900" in refused["detail"]
        refused = ask(probe, arm, aside)
        assert refused["reason"] == "PLAN_REFUSED"
        assert "shoulder_pan_joint is" in refused["detail"] and "0.3000" in refused["detail"]
        assert planned(ask(probe, arm, inside))


def test_boxes_while_replanning(task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path) -> None:
    """No cycle leaves a box, whatever the goal (the monitor compares); afterwards goals within are reached."""
    inside = task.robot.tool_position(home + [-0.2, 0, 0, 0, 0, 0])
    with serving(tmp_path, task, home, "receding_horizon", *BOXES) as (probe, arm):
        assert planned(ask(probe, arm, inside))
        ask(probe, arm, target)
        until = len(probe.reports) + 20
        arm.wait(lambda: len(probe.reports) >= until or refusal(probe, "PLAN_REFUSED"))
        assert any("tool z is" in report.get("objection", "") for report in probe.reports), (
            "it says what stands against"
        )
        assert task.robot.tool_position(arm.state()[:6])[2] > 0.29 - 1e-3
        ask(probe, arm, inside)
        arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - inside) < 0.05)


def test_a_goal_that_only_self_collision_reaches(
    task: Task, home: np.ndarray, target: np.ndarray, plain: tuple[Probe, StiffArm]
) -> None:
    """A plan that ends short of it (the monitor looks for contacts), or a refusal with the links that would touch."""
    probe, arm = plain
    report = ask(probe, arm, INSIDE)
    assert report["tool_error"] > 0.01 if planned(report) else "_link touches " in report["detail"]
    assert planned(ask(probe, arm, target))


def test_a_start_in_self_collision(
    task: Task, home: np.ndarray, target: np.ndarray, plain: tuple[Probe, StiffArm]
) -> None:
    probe, arm = plain
    rng, n = np.random.default_rng(0), task.nu
    postures = (0.5 * task.robot.position_upper * rng.uniform(-1, 1, n) for _ in range(1000))
    folded = next(q for q in postures if task.robot.colliding_pair(q))
    arm.place(folded)
    report = probe.ask_until(probe.goal(target), probe.joint_state(folded), lambda each: "reason" in each)
    assert report["reason"] == "BAD_START"
    assert all(link in report["detail"] for link in task.robot.colliding_pair(folded))


def test_self_collision_while_replanning(task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path) -> None:
    """No cycle makes links touch (the monitor compares); the next goal is reached."""
    with serving(tmp_path, task, home, "receding_horizon", "policy:=none") as (probe, arm):
        ask(probe, arm, INSIDE)
        until = len(probe.reports) + 20
        arm.wait(lambda: len(probe.reports) >= until or refusal(probe, "PLAN_REFUSED"), 40.0)
        ask(probe, arm, target)
        arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - target) < 0.05)


# ---------------------------------------------------------------- solver


def test_a_solver_without_iterations(task: Task, home: np.ndarray, tmp_path: Path) -> None:
    """Each goal gets a plan that may be executed, or a refusal that tells what the solver left; the node lives on."""
    own = own_task(tmp_path, solver={"max_iterations": 1})
    reasons = []
    with serving(tmp_path, task, home, "plan_once", f"task:={own}", "policy:=none") as (probe, arm):
        for target in (*GOALS, task.robot.tool_position(home + 0.3), INSIDE):
            report = ask(probe, arm, target)
            refused = report["status"] == "refused"  # a plan that ends short has a reason, too
            reasons.append(report["reason"] if refused else "planned")
            assert not refused or report["detail"]
            arm.place(home)
    assert set(reasons) <= {"planned", "PLANNING_FAILED", "PLAN_REFUSED"}
    assert reasons[-2:] == ["planned", "PLAN_REFUSED"]


def test_a_deadline_that_nothing_meets(
    task: Task, home: np.ndarray, target: np.ndarray, plain: tuple[Probe, StiffArm]
) -> None:
    probe, arm = plain
    assert probe.set_parameters("planner", deadline=1e-4)[0].successful
    refused = ask(probe, arm, target)
    assert refused["reason"] == "DEADLINE_MISSED"
    assert "0.0001 s" in refused["detail"]
    assert probe.set_parameters("planner", deadline=0.0)[0].successful
    assert planned(ask(probe, arm, target))


def test_states_that_stop_while_a_goal_is_planned_for(
    task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path
) -> None:
    """Nobody knows any more where the arm is when the plan is there: it is not published. A long horizon takes long."""
    own = own_task(tmp_path, problem={"horizon": 1000})
    parameters = (f"task:={own}", "policy:=none", "state_timeout:=0.05")
    with serving(tmp_path, task, home, "plan_once", *parameters) as (probe, arm):
        probe.goal_publisher.publish(probe.goal(target))
        arm.tick()
        arm.mute = True
        assert arm.wait(lambda: refusal(probe, "STALE_STATE"), 60.0)
        assert not probe.trajectories


# ---------------------------------------------------------------- moving


def test_a_second_goal_in_motion(task: Task, home: np.ndarray, plain: tuple[Probe, StiffArm]) -> None:
    """Planned for from where the arm will be; the desired state goes on from the first plan's within the bounds."""
    first, second = (task.robot.tool_position(home + [pan, 0, 0, 0, 0, 0]) for pan in (1.5, -1.0))
    probe, arm = plain
    assert ask(probe, arm, first)["lead"] == 0.0
    for goal in (second, first, second, first, second):  # on a busy computer the node's turn may come after the motion
        arm.wait(lambda: np.abs(arm.state()[6:]).max() > 0.5)
        report = ask(probe, arm, goal)
        assert planned(report)
        if report["lead"] > 0.0 and np.abs(report["start"][6:]).max() > 0.1:
            break
    assert report["lead"] > 0.0 and np.abs(report["start"][6:]).max() > 0.1
    stamp = report["stamp"]["sec"], report["stamp"]["nanosec"]
    arm.wait(lambda: (probe.trajectories[-1].header.stamp.sec, probe.trajectories[-1].header.stamp.nanosec) == stamp)
    position, velocity = largest_jumps(probe.trajectories[-2:])
    assert position <= POSITION_JUMP + 1e-5 and velocity <= VELOCITY_JUMP + 1e-5
    arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - goal) < 0.01)


def test_limits_of_the_start(task: Task, home: np.ndarray, target: np.ndarray, plain: tuple[Probe, StiffArm]) -> None:
    """A start slightly outside is served, 1 rad outside refused with joint, value and bound."""
    q, bound = home.copy(), float(task.robot.position_upper[5])
    probe, arm = plain
    q[5] = bound + 1e-8
    arm.place(q)
    arm.tick()
    report = probe.ask_until(probe.goal(target), probe.joint_state(q), planned)
    assert report["start"][5] == q[5]
    q[5] = bound + 1.0
    report = probe.ask_until(probe.goal(target), probe.joint_state(q), lambda each: "reason" in each)
    assert report["reason"] == "BAD_START"
    assert all(part in report["detail"] for part in ("wrist_3_joint", f"{bound + 1:.4f}", f"{bound:.4f}"))
