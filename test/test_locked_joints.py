"""Joints that a task locks: where they are locked, and what cannot be locked."""

from __future__ import annotations

import numpy as np
import pytest
from robots import PANDA_TOOL_FRAME, panda_urdf
from urdf_texts import ARM, joint_with, mimicking

from sobo_planner.errors import RobotError
from sobo_planner.robot import Robot

JOINTS = ["shoulder", "slide", "wrist", "grip"]


@pytest.mark.parametrize(("name", "position"), [("shoulder", -1.2), ("slide", 0.3), ("wrist", 2.0), ("grip", 0.8)])
def test_the_arm_is_the_same_with_the_joint_moved_there(name, position) -> None:
    index, others = JOINTS.index(name), np.array([0.3, 0.2, -0.4])
    arm, locked = Robot(ARM, "tip"), Robot(ARM, "tip", locked_joints={name: position})
    q = np.insert(others, index, position)
    assert locked.joint_names == [joint for joint in JOINTS if joint != name]
    np.testing.assert_allclose(locked.tool_pose(others), arm.tool_pose(q), atol=1e-12)
    np.testing.assert_allclose(locked.gravity(others), np.delete(arm.gravity(q), index), atol=1e-12)


@pytest.mark.parametrize(
    ("name", "position", "says"),
    [
        ("shoulder", 2.1, "joint 'shoulder' is locked at 2.1, outside its limits [-2, 2]"),
        ("shoulder", -2.1, "joint 'shoulder' is locked at -2.1, outside its limits [-2, 2]"),
        ("slide", -0.01, "joint 'slide' is locked at -0.01, outside its limits [0, 0.5]"),
        ("slide", 0.6, "joint 'slide' is locked at 0.6, outside its limits [0, 0.5]"),
        ("wrist", np.nan, "joint 'wrist' is locked at nan: a finite position is needed"),
        ("wrist", np.inf, "joint 'wrist' is locked at inf: a finite position is needed"),
        ("mount", 0.0, "the locked joint 'mount' is fixed in the URDF: take it out of robot.locked_joints"),
        ("tip", 0.0, "the locked joint 'tip' is not in the URDF; its joints are: shoulder, slide, wrist, mount, tool"),
    ],
)
def test_what_cannot_be_locked_there(name, position, says) -> None:
    with pytest.raises(RobotError) as error:
        Robot(ARM, "tip", locked_joints={name: position})
    assert says in str(error.value)


@pytest.mark.parametrize("position", [np.nan, -np.inf])
def test_a_continuous_joint_is_locked_at_a_number(position) -> None:
    with pytest.raises(RobotError, match="joint 'wrist' is locked at .*finite"):
        Robot(joint_with("wrist", type="continuous"), "tip", locked_joints={"wrist": position})


def test_what_is_locked_at_its_limit_is_within() -> None:
    assert Robot(ARM, "tip", locked_joints={"slide": 0.5 + 1e-12}).nq == 3


def test_all_joints_locked() -> None:
    with pytest.raises(RobotError, match="no movable joint"):
        Robot(ARM, "tip", locked_joints=dict.fromkeys(JOINTS, 0.0))


# ---------------------------------------------------------------- mimic


def test_what_mimics_a_locked_joint_is_locked_with_it() -> None:
    text = mimicking("wrist", "slide", multiplier="-4", offset="0.5")
    arm = Robot(text, "tip", locked_joints={"slide": 0.2})
    same = Robot(ARM, "tip", locked_joints={"slide": 0.2, "wrist": -0.3})
    assert arm.joint_names == ["shoulder", "grip"]
    q = [0.4, -0.1]
    np.testing.assert_allclose(arm.tool_pose(q), same.tool_pose(q), atol=1e-12)
    np.testing.assert_allclose(arm.gravity(q), same.gravity(q), atol=1e-12)


def test_a_chain_of_joints_that_mimic_each_other() -> None:
    text = mimicking("grip", "wrist", mimicking("wrist", "shoulder", multiplier="0.5"), offset="0.1")
    arm = Robot(text, "tip", locked_joints={"shoulder": 0.4})
    same = Robot(ARM, "tip", locked_joints={"shoulder": 0.4, "wrist": 0.2, "grip": 0.3})
    np.testing.assert_allclose(arm.tool_position([0.1]), same.tool_position([0.1]), atol=1e-12)


def test_where_the_mimicked_joint_puts_it() -> None:
    text = mimicking("wrist", "slide", multiplier="10")
    with pytest.raises(RobotError, match="joint 'wrist' is locked at 5, outside its limits"):
        Robot(text, "tip", locked_joints={"slide": 0.5})
    with pytest.raises(RobotError, match="joint 'wrist' is locked at 0, but mimics joint 'slide', which puts it at 1"):
        Robot(text, "tip", locked_joints={"slide": 0.1, "wrist": 0.0})
    assert Robot(text, "tip", locked_joints={"slide": 0.1, "wrist": 1.0}).nq == 2


def test_locking_one_finger_of_a_panda_locks_the_other() -> None:
    hash_of = {}
    for locked in ({"panda_finger_joint1": 0.03}, dict.fromkeys(["panda_finger_joint1", "panda_finger_joint2"], 0.03)):
        panda = Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, locked_joints=locked, collision=False)
        assert panda.nq == 7
        hash_of[len(locked)] = panda.gravity(np.full(7, 0.5))
    np.testing.assert_array_equal(hash_of[1], hash_of[2])
    with pytest.raises(RobotError, match="panda_finger_joint2' mimics joint 'panda_finger_joint1'.*locked_joints"):
        Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, collision=False)
