"""Robot against Pinocchio's own Python bindings."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from robots import PANDA_FINGERS, PANDA_READY, PANDA_TOOL_FRAME, panda_urdf, ur5_urdf

from sobo_planner.errors import RobotError
from sobo_planner.robot import Robot

ARMATURE = [0.67, 0.47, 0.81, 0.125, 0.121, 0.122]


@pytest.fixture(scope="module")
def robot() -> Robot:
    return Robot.from_urdf(ur5_urdf(), "tool0", armature=ARMATURE)


@pytest.fixture(scope="module")
def reference():
    model = pin.buildModelFromUrdf(str(ur5_urdf()))
    model.armature = np.array(ARMATURE)
    return model, model.createData()


def draw(count: int):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.uniform(-3, 3, 6), rng.normal(size=6), 20 * rng.normal(size=6)


def test_one_step_of_the_dynamics(robot, reference) -> None:
    model, data = reference
    for q, v, tau in draw(20):
        v_next = v + 0.02 * pin.aba(model, data, q, v, tau)
        expected = np.concatenate([q + 0.02 * v_next, v_next])
        np.testing.assert_allclose(robot.step(np.concatenate([q, v]), tau, 0.02), expected, rtol=1e-12, atol=1e-12)


def test_dynamics_and_kinematics(robot, reference) -> None:
    model, data = reference
    frame = model.getFrameId("tool0")
    for q, v, a in draw(20):
        np.testing.assert_allclose(robot.inverse_dynamics(q, v, a), pin.rnea(model, data, q, v, a), atol=1e-11)
        np.testing.assert_allclose(robot.forward_dynamics(q, v, a), pin.aba(model, data, q, v, a), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(robot.gravity(q), pin.computeGeneralizedGravity(model, data, q), atol=1e-12)
        pin.framesForwardKinematics(model, data, q)
        np.testing.assert_allclose(robot.tool_position(q), data.oMf[frame].translation, atol=1e-14)
        jacobian = pin.computeFrameJacobian(model, data, q, frame, pin.LOCAL_WORLD_ALIGNED)
        np.testing.assert_allclose(robot.tool_jacobian(q), jacobian[:3], atol=1e-13)
        np.testing.assert_allclose(robot.tool_pose_jacobian(q), jacobian, atol=1e-13)
        pose = robot.tool_pose(q)
        np.testing.assert_allclose(pin.XYZQUATToSE3(pose).homogeneous, data.oMf[frame].homogeneous, atol=1e-14)
        assert pose[6] >= 0.0


def test_pose_errors(robot, reference) -> None:
    model, data = reference
    frame = model.getFrameId("tool0")
    for (q, _, _), (other, _, _) in zip(draw(20), list(draw(21))[1:], strict=True):
        pin.framesForwardKinematics(model, data, other)
        target = data.oMf[frame].copy()
        pin.framesForwardKinematics(model, data, q)
        way = target.translation - data.oMf[frame].translation
        turn = pin.log3(target.rotation @ data.oMf[frame].rotation.T)
        error = robot.pose_error(q, pin.SE3ToXYZQUAT(target))
        np.testing.assert_allclose(error, np.concatenate([way, turn]), atol=1e-10)
        np.testing.assert_allclose(robot.pose_error(other, robot.tool_pose(other)), np.zeros(6), atol=1e-7)
    with pytest.raises(RobotError, match="the target has 3 entries, expected 7"):
        robot.pose_error(np.zeros(6), np.zeros(3))


def test_frames_and_joint_placements(robot, reference) -> None:
    model, data = reference
    q = np.arange(6) * 0.3
    pin.framesForwardKinematics(model, data, q)
    expected = data.oMf[model.getFrameId("wrist_2_link")].translation
    np.testing.assert_allclose(robot.frame_position(q, "wrist_2_link"), expected, atol=1e-14)
    rotation, origin = robot.joint_placement(q, 3)
    np.testing.assert_allclose(rotation, data.oMi[4].rotation, atol=1e-14)
    np.testing.assert_allclose(origin, data.oMi[4].translation, atol=1e-14)
    np.testing.assert_allclose(robot.tool_positions([q, q])[1], robot.tool_position(q))


def test_simulate_repeats_step_and_track_follows(robot) -> None:
    x = np.concatenate([[0.0, -1.5, 1.5, -1.5, -1.5, 0.0], np.zeros(6)])
    U = np.tile(robot.gravity(x[:6]), (5, 1)) + 1.0
    X = robot.simulate(x, U, 0.01)
    for t in range(5):
        np.testing.assert_allclose(robot.step(X[t], U[t], 0.01), X[t + 1], atol=1e-13)
    followed, torques = robot.track(x, X[1:], 0.01, 0.0)
    np.testing.assert_allclose(followed, X, atol=1e-9)
    np.testing.assert_allclose(torques, U, atol=1e-6)


def test_track_keeps_torque_and_velocity_limits(robot) -> None:
    x = np.zeros(12)
    desired = np.full((10, 12), 50.0)
    X, U = robot.track(x, desired, 0.02, 0.05)
    assert np.all(np.abs(U) <= robot.effort_limit)
    assert np.abs(U).max() > 0.99 * robot.effort_limit.max()
    slow, _ = robot.track(x, np.hstack([np.zeros((200, 6)), np.full((200, 6), 10.0)]), 0.02, 0.0)
    assert slow[-1, 11] == pytest.approx(robot.velocity_limit[5])


@pytest.mark.parametrize("integrator", ["semi_implicit_euler", "constant_acceleration"])
@pytest.mark.parametrize("strength", [1.0, 0.3, 0.0])
def test_track_step_by_step(robot, integrator: str, strength: float) -> None:
    """The same as one step after the other, whether torques reach their limits never, now and then, or always."""
    weak, n, dt = robot.with_mass_scale(1.0), 6, 0.02
    weak.effort_limit = strength * np.array([150.0, 150.0, 150.0, 28.0, 28.0, 28.0])
    rng, most = np.random.default_rng(2), np.full(n, 8.0)
    desired = np.hstack([np.zeros((41, n)), np.cumsum(rng.normal(scale=0.1, size=(41, n)), axis=0)])
    desired[:, :n] = rng.uniform(-1.0, 1.0, n) + dt * np.cumsum(desired[:, n:], axis=0)
    X, U = weak.track(desired[0], desired[1:], dt, 0.05, acceleration_limit=most, integrator=integrator)
    x, clipped = desired[0], 0
    for t, wanted in enumerate(desired[1:]):
        mean = wanted[n:] if integrator == "semi_implicit_euler" else 0.5 * (x[n:] + wanted[n:])
        v = wanted[n:] + 0.05 * ((wanted[:n] - x[:n]) / dt - mean)
        a = np.clip((np.clip(v, -weak.velocity_limit, weak.velocity_limit) - x[n:]) / dt, -most, most)
        tau = weak.inverse_dynamics(x[:n], x[n:], a)
        u = np.clip(tau, -weak.effort_limit, weak.effort_limit)
        clipped += not np.array_equal(u, tau)
        x = weak.step(x, u, dt, integrator)
        np.testing.assert_allclose(U[t], u, rtol=0.0, atol=1e-9)
        np.testing.assert_allclose(X[t + 1], x, rtol=0.0, atol=1e-11)
    assert {1.0: clipped == 0, 0.3: 0 < clipped < 40, 0.0: clipped == 40}[strength]


def test_feedback_follows_states_with_torques_in_their_limits(robot, reference) -> None:
    rng, n, steps = np.random.default_rng(4), 6, np.array([2e-3, 2e-3, 1e-3])
    desired, torques = rng.uniform(-1, 1, (3, 2 * n)), rng.uniform(-50, 50, (3, n))
    gains, limit = rng.uniform(-100, 100, (3, n, 2 * n)), np.full(n, 60.0)
    (model, data), start = reference, rng.uniform(-1, 1, 2 * n)
    x = start
    for t in range(3):
        u = np.clip(torques[t] + gains[t] @ (x - desired[t]), -limit, limit)
        v = x[n:] + steps[t] * pin.aba(model, data, x[:n], x[n:], u)
        x = np.concatenate([x[:n] + steps[t] * v, v])
    np.testing.assert_allclose(robot.follow_feedback(start, desired, torques, gains, steps, limit), x, atol=1e-10)
    none = (np.zeros((0, 2 * n)), np.zeros((0, n)), np.zeros((0, n, 2 * n)), np.zeros(0))
    np.testing.assert_array_equal(robot.follow_feedback(start, *none, limit), start)
    with pytest.raises(RobotError, match="3 steps need"):
        robot.follow_feedback(start, desired[:2], torques, gains, steps, limit)


def test_mass_scale_leaves_rotors_alone(robot, reference) -> None:
    heavier = robot.with_mass_scale(1.2)
    q = np.array([0.1, -1.0, 1.0, 0.3, 0.2, 0.1])
    np.testing.assert_allclose(heavier.gravity(q), 1.2 * robot.gravity(q), atol=1e-10)
    model, data = reference
    mass = pin.crba(model, data, q)
    mass = np.triu(mass) + np.triu(mass, 1).T
    links = mass - np.diag(ARMATURE)
    unit = np.array([heavier.inverse_dynamics(q, np.zeros(6), e) - heavier.gravity(q) for e in np.eye(6)]).T
    np.testing.assert_allclose(unit, 1.2 * links + np.diag(ARMATURE), atol=1e-9)
    with pytest.raises(RobotError, match="must be positive"):
        robot.with_mass_scale(0.0)


def test_self_collision_names_the_links(robot) -> None:
    assert robot.colliding_pair([0.0, -1.57, 1.57, -1.57, -1.57, 0.0]) is None
    pair = robot.colliding_pair([0.0, -1.57, 3.1, 0.0, 0.0, 0.0])
    assert pair is not None and all(name.endswith("_link") for name in pair)


def test_first_collision_of_a_motion(robot) -> None:
    free, folded = np.array([0.0, -1.57, 1.57, -1.57, -1.57, 0.0]), np.array([0.0, -1.57, 3.1, 0.0, 0.0, 0.0])
    Q = free + np.linspace(0.0, 1.0, 50)[:, None] * (folded - free)
    pairs = [robot.colliding_pair(q) for q in Q]
    row = next(i for i, pair in enumerate(pairs) if pair is not None)
    assert 0 < row < 49
    assert robot.first_collision(Q) == (row, *pairs[row])
    assert robot.first_collision(Q[:row]) is None and robot.first_collision(Q[:0]) is None
    rng, contacts = np.random.default_rng(5), 0
    for step in np.geomspace(1e-3, 1.0, 60):  # as each configuration by itself
        Q = free + np.cumsum(rng.normal(scale=step, size=(40, 6)), axis=0)
        pairs = [robot.colliding_pair(q) for q in Q]
        first = next(((i, *pair) for i, pair in enumerate(pairs) if pair is not None), None)
        assert robot.first_collision(Q) == first
        contacts += first is not None
    assert 10 < contacts < 50
    with pytest.raises(RobotError, match="Q has 5 columns, expected 6"):
        robot.first_collision(Q[:, :5])


def test_hash_tells_descriptions_apart(robot, tmp_path) -> None:
    text = ur5_urdf().read_text()
    (tmp_path / "commented.urdf").write_text(text.replace("</robot>", "\n  <!-- mine -->\n</robot>"))
    (tmp_path / "heavier.urdf").write_text(text.replace('mass value="8.393"', 'mass value="8.394"'))
    assert Robot.from_urdf(tmp_path / "commented.urdf", "tool0", armature=ARMATURE).hash == robot.hash
    assert Robot.from_urdf(tmp_path / "heavier.urdf", "tool0", armature=ARMATURE).hash != robot.hash
    assert Robot.from_urdf(ur5_urdf(), "tool0", armature=ARMATURE).hash == robot.hash
    assert Robot.from_urdf(ur5_urdf(), "tool0").hash != robot.hash
    assert Robot.from_urdf(ur5_urdf(), "wrist_3_link", armature=ARMATURE).hash != robot.hash


def test_panda_with_locked_fingers() -> None:
    panda = Robot.from_urdf(
        panda_urdf(), PANDA_TOOL_FRAME, locked_joints=dict.fromkeys(PANDA_FINGERS, 0.0), collision=False
    )
    assert panda.nq == 7
    model = pin.buildModelFromUrdf(str(panda_urdf()))
    data = model.createData()
    q = np.array(PANDA_READY)
    pin.framesForwardKinematics(model, data, np.concatenate([q, np.zeros(model.nq - 7)]))
    expected = data.oMf[model.getFrameId(PANDA_TOOL_FRAME)].translation
    np.testing.assert_allclose(panda.tool_position(q), expected, atol=1e-12)


def test_bad_descriptions_are_refused(tmp_path) -> None:
    with pytest.raises(RobotError, match="frame 'flange9' is not in the URDF; its links are: .*wrist_3_link"):
        Robot.from_urdf(ur5_urdf(), "flange9")
    with pytest.raises(RobotError, match="locked joint 'finger' is not in the URDF"):
        Robot.from_urdf(ur5_urdf(), "tool0", locked_joints={"finger": 0.0})
    with pytest.raises(RobotError, match="armature needs 6 non-negative entries"):
        Robot.from_urdf(ur5_urdf(), "tool0", armature=[1.0])
    with pytest.raises(RobotError, match="cannot be read"):
        Robot.from_urdf(tmp_path / "missing.urdf", "tool0")
    broken = tmp_path / "broken.urdf"
    broken.write_text(ur5_urdf().read_text()[:5000])
    with pytest.raises(RobotError, match="broken.urdf: the URDF cannot be parsed"):
        Robot.from_urdf(broken, "tool0")
