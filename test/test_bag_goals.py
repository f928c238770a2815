"""Goals and trajectories in bags of others, and which instances are left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="needs rosbags: the extra `bags`")

import logged_bags as logged
from foreign_bags import DURATIONS, PAUSE, RATE, ReadBags, check_motions

from sobo_planner.tasks import ArmReach
from sobo_training.bags.candidates import Filters
from sobo_training.bags.usable import TimeRange

pytest_plugins = ["bag_fixtures"]


def test_goals(read: ReadBags, states: list, stops: list, task: ArmReach, tmp_path: Path) -> None:
    base = task.robot.placement("base_link").inverse()
    reached = task.robot.tool_position(stops[1]) + [0.005, 0.0, 0.0]
    late = states[-1][2]
    free = base.goal(task.robot.tool_position(stops[0]))
    goals = [
        logged.pose_goal(base.goal(reached), logged.BEGIN + logged.SECOND // 4),
        logged.pose_goal(free, late),
        logged.pose_goal(np.array([9.0, 0.0, 0.0]), late + 1),
        logged.pose_goal(free, late + 2, frame="camera"),
    ]
    logged.write(tmp_path / "bag", [*states, *goals])
    found = read(tmp_path / "bag")
    motions = [each for each in found.candidates if each.kind == "motion"]
    assert np.allclose(motions[0].instance.target, reached)  # what was asked for, not where the tool ended
    (goal,) = (each for each in found.candidates if each.kind == "goal")
    assert goal.states is None and np.allclose(goal.instance.target, task.robot.tool_position(stops[0]))
    assert np.allclose(goal.instance.x0[:6], stops[-1], atol=1e-6)
    assert found.found.unused["goal"] == {
        "a plan or a motion follows, which counts instead": 1,
        "the goal is out of reach": 1,
    }
    assert found.uses("/goal_pose") == {"goals": 3, "in frame 'camera', which is not fixed to the root link": 1}


@pytest.mark.parametrize("refused", [False, True])
def test_goal_that_comes_in_motion(
    refused: bool,
    read: ReadBags,
    states: list,
    positions: np.ndarray,
    stops: list,
    task: ArmReach,
    tmp_path: Path,
) -> None:
    """What follows begins in motion; a goal that the node refused changes nothing."""
    row = int((2.0 * PAUSE + DURATIONS[0] + 1.0) * RATE)  # amid the second motion
    time = states[row][2] + 1
    place = task.robot.placement("base_link").inverse().goal(task.robot.tool_position(stops[2]))
    report = logged.string({"status": "refused", "reason": "OUT_OF_REACH", "detail": "", "goal": place.tolist()})
    answer = [("/plan_report", "std_msgs/msg/String", time + 1, report)] if refused else []
    logged.write(tmp_path / "bag", [*states, logged.pose_goal(place, time), *answer])
    found = read(tmp_path / "bag")
    if refused:
        check_motions(found, stops)
        return
    x0 = found.candidates[1].instance.x0
    assert np.abs(x0[:6] - positions[row]).max() < 0.03
    moved = (positions[row + 5] - positions[row]) * RATE / 5.0
    assert np.abs(x0[6:] - moved).max() < 0.1 and np.abs(moved).max() > 0.5
    assert np.allclose(found.candidates[1].instance.target, task.robot.tool_position(stops[2]))


def test_trajectories(
    read: ReadBags, states: list, stops: list, positions: np.ndarray, task: ArmReach, tmp_path: Path
) -> None:
    names = task.robot.joint_names[::-1]
    X = np.hstack([positions[50:151, ::-1], np.zeros((101, 6))])
    command = logged.trajectory(names, np.arange(1, 102) / RATE, X, logged.BEGIN + logged.SECOND // 2)
    logged.write(tmp_path / "alone", [command])
    (candidate,) = read(tmp_path / "alone").candidates
    assert candidate.kind == "trajectory" and candidate.states is not None
    assert np.allclose(candidate.states[[0, -1], :6], [stops[0], stops[1]], atol=1e-3)
    logged.write(tmp_path / "measured", [*states, command])
    found = read(tmp_path / "measured")
    check_motions(found, stops)
    assert found.found.unused["trajectory"] == {"the motion was measured, which counts instead": 1}


def test_filters(read: ReadBags, states: list, stops: list, task: ArmReach, tmp_path: Path) -> None:
    logged.write(tmp_path / "bag", states)
    second = PAUSE + DURATIONS[0]
    found = read(tmp_path / "bag", times=TimeRange(second + 0.1, second + DURATIONS[1] + 2.0 * PAUSE))
    check_motions(found, stops, [1])
    absolute = logged.BEGIN / logged.SECOND + second + 0.1
    assert len(read(tmp_path / "bag", times=TimeRange(absolute)).candidates) == 2
    place = task.robot.placement("base_link").inverse().goal(task.robot.tool_position(stops[2]))
    found = read(tmp_path / "bag", filters=Filters(region=np.stack([place - 0.02, place + 0.02])))
    check_motions(found, stops, [1])
    assert found.found.unused["motion"] == {"outside of the region": 2}
