"""Encodings: Jacobians against finite differences, the symmetry they promise, and their inverses."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from robots import PANDA_TOOL_FRAME, gantry_urdf, panda_urdf, ur5_urdf

from sobo_planner.robot import Robot
from sobo_planner.tasks.arm.encoding import ArmEncoding

TOOL_ASIDE = """
  <link name="aside"/>
  <joint name="aside_joint" type="fixed">
    <parent link="tool0"/><child link="aside"/><origin xyz="0.1 0 0" rpy="0 0 0"/>
  </joint>
"""

angles = st.lists(st.floats(-3.0, 3.0), min_size=6, max_size=6).map(np.array)
speeds = st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6).map(np.array)
points = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3).map(np.array)

# The other finger mimics the first.
FINGER = {"panda_finger_joint2": 0.0}


@settings(max_examples=30)
@given(q=angles, v=speeds, target=points)
def test_observation_jacobian(task, q, v, target) -> None:
    x = np.concatenate([q, v])
    numeric = np.stack(
        [(task.observation(x + d, target) - task.observation(x - d, target)) / 2e-6 for d in 1e-6 * np.eye(12)], axis=1
    )
    np.testing.assert_allclose(task.observation_jacobian(x, target), numeric, atol=1e-7)
    assert task.observation(x, target).shape == (task.obs_dim,)


def test_observation_jacobian_of_joints_that_slide(tmp_path, rng) -> None:
    (tmp_path / "gantry.urdf").write_text(gantry_urdf())
    encoding = ArmEncoding(Robot.from_urdf(tmp_path / "gantry.urdf", "l5", collision=False), 60)
    for _ in range(10):
        x, target = rng.uniform(-1.0, 1.0, 10), rng.uniform(-1.0, 1.0, 3)
        rise = [encoding.observation(x + d, target) - encoding.observation(x - d, target) for d in 1e-6 * np.eye(10)]
        np.testing.assert_allclose(encoding.observation_jacobian(x, target), np.array(rise).T / 2e-6, atol=1e-7)


@settings(max_examples=30)
@given(q=angles, v=speeds, target=points, turn=st.floats(-3.0, 3.0))
def test_turning_arm_and_target_about_gravity_changes_nothing(task, q, v, target, turn) -> None:
    c, s = np.cos(turn), np.sin(turn)
    x = np.concatenate([q, v])
    turned = x + turn * np.eye(12)[0]
    np.testing.assert_allclose(
        task.observation(turned, np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ target),
        task.observation(x, target),
        atol=1e-12,
    )
    np.testing.assert_allclose(task.robot.gravity(turned[:6]), task.robot.gravity(q), atol=1e-10)


@settings(max_examples=30)
@given(q=angles, v=speeds, target=points, turn=st.floats(-3.0, 3.0))
def test_turning_the_flange_about_itself_changes_nothing(task, q, v, target, turn) -> None:
    """The flange of the UR5 is balanced, and the tool lies on its axis."""
    turned = q + turn * np.eye(6)[5]
    np.testing.assert_allclose(
        task.observation(np.concatenate([turned, v]), target),
        task.observation(np.concatenate([q, v]), target),
        atol=1e-12,
    )
    torque = task.robot.inverse_dynamics(turned, v, np.cos(v))
    np.testing.assert_allclose(torque, task.robot.inverse_dynamics(q, v, np.cos(v)), atol=1e-9)


def test_a_tool_beside_the_flange_axis_keeps_the_last_angle(tmp_path) -> None:
    text = ur5_urdf().read_text()
    moved = text.replace("</robot>", TOOL_ASIDE + "</robot>")
    path = tmp_path / "aside.urdf"
    path.write_text(moved)
    centred, aside = (Robot.from_urdf(path, frame, collision=False) for frame in ("tool0", "aside"))
    assert ArmEncoding(aside, 60).obs_dim == ArmEncoding(centred, 60).obs_dim + 2


def test_a_small_joint_step_of_the_observation_reduces_the_tool_error(task) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        q, target = rng.uniform(-2.0, 2.0, 6), rng.uniform(-0.6, 0.6, 3)
        step, gradient, gravity = task.observation(np.concatenate([q, np.zeros(6)]), target)[23:41].reshape(3, 6)
        before = np.linalg.norm(target - task.robot.tool_position(q))
        for direction in (step, gradient):
            after = np.linalg.norm(target - task.robot.tool_position(q + 1e-3 * direction))
            assert after < before
        np.testing.assert_array_equal(gravity, task.robot.gravity(q))


def test_every_step_of_the_horizon_is_told_apart(task) -> None:
    x, target = np.zeros(12), np.full(3, 0.4)
    seen = np.array([task.observation(x, target, t) for t in range(task.horizon + 1)])
    gaps = np.abs(np.diff(seen, axis=0)).max(axis=1)
    assert np.all(gaps > 0.009)  # 1 / T from the share of the horizon
    assert np.all(gaps[-20:] > 0.05)  # finer near the end


def test_groups_cover_every_entry_once(task) -> None:
    actions = task.actions("state")
    for groups, size in (
        (task.observation_groups, task.obs_dim),
        (actions.groups, actions.dim),
        (task.state_groups, 12),
    ):
        covered = np.concatenate([np.arange(size)[group] for group in groups])
        np.testing.assert_array_equal(covered, np.arange(size))


def test_an_arm_mounted_sideways_keeps_its_first_angle(tmp_path) -> None:
    """Gravity then does depend on that angle; seen by turning the first joint's axis out of the vertical."""
    panda = Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, locked_joints=FINGER, collision=False)
    upright = ArmEncoding(panda, 60)
    text = panda_urdf().read_text()
    assert upright.obs_dim == 2 * (panda.nq - 1) + 4 * panda.nq + 14  # its last joint, a finger, moves the balance
    origin = re.search(r'<joint name="panda_joint1".*?</joint>', text, re.DOTALL).group(0)
    tilted = re.sub(r'rpy="[^"]*"', 'rpy="1.0 0 0"', origin)
    assert tilted != origin
    path = tmp_path / "tilted.urdf"
    path.write_text(text.replace(origin, tilted))
    sideways = ArmEncoding(Robot.from_urdf(path, PANDA_TOOL_FRAME, locked_joints=FINGER, collision=False), 60)
    assert sideways.obs_dim == upright.obs_dim + 2
