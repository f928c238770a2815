"""Robots that others described: each is taken, or refused for what is wrong with it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from xml.etree.ElementTree import parse

import numpy as np
import pytest

from sobo_planner.errors import RobotError
from sobo_planner.robot import Robot


def found() -> dict[str, Path]:
    """The URDFs of example-robot-data by their paths; none where it is not installed."""
    try:
        package = metadata.distribution("example-robot-data")
    except metadata.PackageNotFoundError:
        return {}
    paths = [Path(str(package.locate_file(file))).resolve() for file in package.files or [] if file.suffix == ".urdf"]
    return {"/".join(path.parts[path.parts.index("robots") + 1 :]): path for path in sorted(set(paths))}


ROBOTS = found()
pytestmark = pytest.mark.skipif(not ROBOTS, reason="example-robot-data is not installed")

#: What is wrong with those that are not taken as they are.
REFUSED = {
    "alex_psyonic_hands": "'Left_index_q2': mimic joint='index_q1' is not a joint",
    "baxter": "'l_gripper_r_finger_joint' mimics",
    "centauro": "'j_wheel_1': limit needs lower, upper",
    "double_pendulum": "'joint1': limit needs a positive effort, got 0",
    "double_pendulum_continuous": "'joint1': limit needs a positive effort, got 0",
    "double_pendulum_simple": "'joint1': limit needs a positive effort, got 0",
    "human": "has no <inertial>",
    "icub": "zero inertia tensor",
    "icub_reduced": "zero inertia tensor",
    "iris": "'iris__rotor_0_joint': limit needs a positive effort",
    "iris_simple": "no movable joint",
    "panda": "'panda_finger_joint2' mimics joint 'panda_finger_joint1'",
    "panda_collision": "'panda_finger_joint2' mimics joint 'panda_finger_joint1'",
    "pr2": "mimics",
    "quadrotor_base": "no movable joint",
    "quadruped": "'FL_KFE': limit needs lower, upper",
    "romeo": "mimics",
    "romeo_laas_small": "link 'l_gripper' moves with joint 'l_gripper_joint' but has no <inertial>",
    "talos_full_v2": "mimics joint 'gripper_left_joint'",
    "talos_full_v2_box": "mimics joint 'gripper_left_joint'",
    "tiago_dual": "'caster_front_right_1_joint': limit needs effort, velocity",
    "tiago_pro": "mimics joint 'gripper_left_finger_joint'",
    "ur3": "",
}


def last_moving(urdf: Path) -> str:
    """The link after the last joint that moves."""
    links = [j.find("child").get("link") for j in parse(urdf).getroot().iterfind("joint") if j.get("type") != "fixed"]
    return links[-1] if links else "none"


@pytest.mark.parametrize("name", ROBOTS)
def test_each_robot_is_taken_or_refused_for_a_reason(name) -> None:
    urdf = ROBOTS[name]
    reason = REFUSED.get(urdf.stem)
    tool = last_moving(urdf)
    if reason is not None:
        with pytest.raises(RobotError) as refused:
            Robot.from_urdf(urdf, tool, collision=False)
        assert reason in str(refused.value) and "\n" not in str(refused.value)
        return
    robot = Robot.from_urdf(urdf, tool, collision=False)
    q, rest = np.clip(np.zeros(robot.nq), robot.position_lower, robot.position_upper), np.zeros(robot.nv)
    assert np.isfinite(robot.tool_pose(q)).all() and np.isfinite(robot.gravity(q)).all()
    assert np.isfinite(robot.forward_dynamics(q, rest, rest)).all()


def robot(name: str, tool: str, **options) -> Robot:
    return Robot.from_urdf(
        next(path for path in ROBOTS.values() if path.name == name), tool, collision=False, **options
    )


def test_an_arm_with_continuous_joints() -> None:
    kinova = robot("kinova.urdf", "j2s6s200_end_effector")
    assert kinova.nq == 6 and kinova.unbounded.tolist() == [True, False, False, True, False, True]


@pytest.mark.parametrize(("name", "tool", "count"), [("z1.urdf", "gripperStator", 7), ("xarm7.urdf", "link7", 7)])
def test_arms_with_their_tools(name, tool, count) -> None:
    """That of the z1 has the name of a joint, too."""
    assert robot(name, tool).nq == count


def test_a_gripper_whose_fingers_mimic_each_other_is_locked_by_its_motor() -> None:
    locked = {f"gripper_{side}_joint": -0.2 for side in ("left", "right")}
    assert robot("talos_full_v2.urdf", "gripper_left_base_link", locked_joints=locked).nq == 30
