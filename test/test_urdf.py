"""urdf/ur5.urdf against the maker's figures, computed from scratch, and against example-robot-data's UR5."""

from __future__ import annotations

from functools import cache

import numpy as np
import pinocchio as pin
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from robots import ur5_reference_urdf, ur5_urdf

JOINTS = [
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
]
LINKS = [
    "base_link",
    "shoulder_link",
    "upper_arm_link",
    "forearm_link",
    "wrist_1_link",
    "wrist_2_link",
    "wrist_3_link",
]

# The maker's table (UR support article): a, d [m], alpha [rad], mass [kg], centre of mass in DH frame [m].
MAKER = (
    (0.0, 0.089159, np.pi / 2, 3.7, (0.0, -0.02561, 0.00193)),
    (-0.425, 0.0, 0.0, 8.393, (0.2125, 0.0, 0.11336)),
    (-0.39225, 0.0, 0.0, 2.33, (0.15, 0.0, 0.0265)),
    (0.0, 0.10915, np.pi / 2, 1.219, (0.0, -0.0018, 0.01634)),
    (0.0, 0.09465, -np.pi / 2, 1.219, (0.0, 0.0018, 0.01634)),
    (0.0, 0.0823, 0.0, 0.1879, (0.0, 0.0, -0.001159)),
)

# Cylinders that the inertia tensors stand for: radius, length [m], axis.
SOLIDS = (
    (0.06, 0.135, 2),
    (0.06, 0.545, 2),
    (0.045, 0.489, 2),
    (0.04, 0.105, 2),
    (0.04, 0.105, 1),
    (0.0375, 0.035, 1),
)


@cache
def load(reference: bool = False) -> pin.Model:
    return pin.buildModelFromUrdf(str(ur5_reference_urdf() if reference else ur5_urdf()))


def configurations(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-np.pi, np.pi, (n, 6))


def dh_frames(q: np.ndarray) -> list[np.ndarray]:
    """Returns the poses (4, 4) of the six Denavit-Hartenberg frames in the controller's base frame."""
    pose, poses = np.eye(4), []
    for angle, (a, d, alpha, _, _) in zip(q, MAKER, strict=True):
        c, s, ca, sa = np.cos(angle), np.sin(angle), np.cos(alpha), np.sin(alpha)
        pose = pose @ [[c, -s * ca, s * sa, a * c], [s, c * ca, -c * sa, a * s], [0, sa, ca, d], [0, 0, 0, 1]]
        poses.append(pose)
    return poses


def frame_pose(model: pin.Model, q: np.ndarray, name: str) -> pin.SE3:
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    return data.oMf[model.getFrameId(name)]


def test_joints_and_frames() -> None:
    model = load()
    assert list(model.names)[1:] == JOINTS
    assert (model.nq, model.nv) == (6, 6)
    for frame in (*LINKS, "base", "tool0"):
        assert model.existFrame(frame)


def test_tool_pose_is_that_of_the_makers_dh_parameters() -> None:
    model = load()
    for q in configurations(200):
        base_from_tool = frame_pose(model, q, "base").actInv(frame_pose(model, q, "tool0"))
        assert_allclose(base_from_tool.homogeneous, dh_frames(q)[-1], atol=1e-14)


def test_centres_of_mass_and_gravity_torque_are_those_of_the_makers_table() -> None:
    model = load()
    data = model.createData()
    for q in configurations(50):
        pin.framesForwardKinematics(model, data, q)
        base = data.oMf[model.getFrameId("base")]
        for joint, (pose, (*_, mass, centre)) in enumerate(zip(dh_frames(q), MAKER, strict=True), start=1):
            inertia = model.inertias[joint]
            assert inertia.mass == mass
            expected = (pose @ [*centre, 1.0])[:3]
            assert_allclose(base.actInv(data.oMi[joint]).act(inertia.lever), expected, atol=1e-13)

    def potential(q: np.ndarray) -> float:
        links = zip(dh_frames(q), MAKER, strict=True)
        return sum(9.81 * mass * (pose @ [*centre, 1.0])[2] for pose, (*_, mass, centre) in links)

    step = 1e-5
    for q in configurations(20, seed=1):
        slope = [(potential(q + step * e) - potential(q - step * e)) / (2 * step) for e in np.eye(6)]
        assert_allclose(pin.computeGeneralizedGravity(model, data, q), slope, atol=1e-8)


@pytest.mark.parametrize("link", range(6))
def test_inertia_is_that_of_the_stated_cylinder(link: int) -> None:
    radius, length, axis = SOLIDS[link]
    mass = MAKER[link][3]
    expected = np.full(3, mass * (3 * radius**2 + length**2) / 12)
    expected[axis] = mass * radius**2 / 2
    inertia = load().inertias[link + 1].inertia
    assert_allclose(inertia, np.diag(expected), rtol=1e-4, atol=1e-9)


def test_limits() -> None:
    model = load()
    upper = np.full(6, 2 * np.pi)
    upper[2] = np.pi
    assert_allclose(model.upperPositionLimit, upper)
    assert_allclose(model.lowerPositionLimit, -upper)
    assert_allclose(model.upperVelocityLimit, np.pi)
    assert_array_equal(model.upperEffortLimit, [150, 150, 150, 28, 28, 28])


def test_frames_agree_with_the_reference() -> None:
    ours, reference = load(), load(reference=True)
    data, reference_data = ours.createData(), reference.createData()
    frames = [*LINKS, "tool0"]
    for q in configurations(1000):
        pin.framesForwardKinematics(ours, data, q)
        pin.framesForwardKinematics(reference, reference_data, q)
        for frame in frames:
            pose = data.oMf[ours.getFrameId(frame)].homogeneous
            expected = reference_data.oMf[reference.getFrameId(frame)].homogeneous
            assert_allclose(pose, expected, atol=1e-10)  # the reference writes pi/2 with 12 digits


def test_masses_and_limits_against_the_reference() -> None:
    """The documented differences, and no others: forearm mass, velocity limits rounded up there."""
    ours, reference = load(), load(reference=True)
    difference = [ours.inertias[j].mass - reference.inertias[j].mass for j in range(1, 7)]
    assert_allclose(difference, [0, 0, 0.055, 0, 0, 0], atol=1e-12)
    assert_allclose(ours.upperPositionLimit, reference.upperPositionLimit, atol=1e-10)
    assert_allclose(ours.lowerPositionLimit, reference.lowerPositionLimit, atol=1e-10)
    assert_allclose(ours.upperEffortLimit, reference.upperEffortLimit)
    assert_allclose(ours.upperVelocityLimit, reference.upperVelocityLimit, rtol=0.02)


def test_gravity_torque_against_the_reference() -> None:
    """The reference has most centres of mass on the joint axes, the upper arm's at 0.28, not 0.2125 m."""
    ours, reference = load(), load(reference=True)
    data, reference_data = ours.createData(), reference.createData()
    worst = np.zeros(6)
    for q in configurations(1000):
        torque = pin.computeGeneralizedGravity(ours, data, q)
        expected = pin.computeGeneralizedGravity(reference, reference_data, q)
        worst = np.maximum(worst, np.abs(torque - expected))
    assert np.all(worst <= [1e-9, 7.0, 1.5, 1.4, 0.35, 1e-9]), worst


def test_inertia_against_the_reference() -> None:
    """The large links agree to a factor of two; the reference's wrists are 15 to 130 times heavier to turn.

    Its wrist tensors belong to discs of 0.6 m, not 0.06 m, so that they are no yardstick for ours.
    """
    ours, reference = load(), load(reference=True)
    data, reference_data = ours.createData(), reference.createData()
    q = configurations(200)
    diagonals = [np.diag(pin.crba(ours, data, x)).copy() for x in q]
    reference_diagonals = [np.diag(pin.crba(reference, reference_data, x)).copy() for x in q]
    ratio = np.mean(reference_diagonals, axis=0) / np.mean(diagonals, axis=0)
    assert np.all((ratio[:3] > 1.0) & (ratio[:3] < 2.0)), ratio
    assert np.all((ratio[3:] > 14.0) & (ratio[3:] < 140.0)), ratio
