"""The solver's own inverse dynamics against Pinocchio's, on random robots, for every set of instructions at hand."""

import numpy as np
import pytest

from sobo_planner import _native
from sobo_planner.errors import RobotError

ROBOTS = range(8)
KERNELS = [name for name in _native.arm_kernels() if name != "pinocchio"]
NAMES = ("torques", "Jacobians of the torques", "places of the tool", "Jacobians of the tool", "second derivatives")


def link(name: str, rng: np.random.Generator) -> str:
    root = rng.normal(size=(3, 3))
    inertia = root @ root.T + 0.1 * np.eye(3)
    centre = " ".join(f"{each:.17g}" for each in rng.normal(size=3))
    entries = " ".join(
        f'i{a}{b}="{inertia[i, j]:.17g}"' for i, a in enumerate("xyz") for j, b in enumerate("xyz") if i <= j
    )
    mass = f'<mass value="{rng.uniform(0.2, 3.0):.17g}"/>'
    return f'<link name="{name}"><inertial><origin xyz="{centre}"/>{mass}<inertia {entries}/></inertial></link>'


def random_robot(seed: int) -> _native.Robot:
    """A tree of 1 to 9 revolute and prismatic joints, about the axes of their frames and others, with a load."""
    rng = np.random.default_rng(seed)
    count, chain = int(rng.integers(1, 10)), seed % 2 == 0
    parts = [link("base", rng)]
    for i in range(count):
        parent = "base" if i == 0 else f"l{i - 1 if chain else rng.integers(max(i - 2, 0), i)}"
        axis = rng.normal(size=3) if rng.random() < 0.5 else np.eye(3)[rng.integers(3)]
        place, turn, line = (
            " ".join(f"{each:.17g}" for each in v) for v in (rng.normal(size=3), rng.normal(size=3), axis)
        )
        kind = "prismatic" if rng.random() < 0.3 else "revolute"
        parts.append(link(f"l{i}", rng))
        parts.append(
            f'<joint name="j{i}" type="{kind}"><parent link="{parent}"/><child link="l{i}"/>'
            f'<origin xyz="{place}" rpy="{turn}"/><axis xyz="{line}"/>'
            '<limit lower="-3" upper="3" effort="9" velocity="9"/></joint>'
        )
    robot = _native.Robot(
        f'<robot name="r">{"".join(parts)}</robot>', f"l{count - 1}", {}, rng.uniform(0.0, 1.0, count), [], False
    )
    return robot.with_payload(1.3, rng.normal(size=3)).with_surroundings(
        rng.normal(scale=9.0, size=3), rng.uniform(0.0, 2.0, count)
    )


def points(robot: _native.Robot, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([11, seed])
    n = robot.nv
    return (
        rng.normal(scale=2.0, size=(count, 2 * n)),
        rng.normal(scale=5.0, size=(count, n)),
        rng.normal(size=(count, n)),
    )


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("seed", ROBOTS)
def test_all_terms_are_those_of_pinocchio(kernel: str, seed: int) -> None:
    robot = random_robot(seed)
    X, A, W = points(robot, 11, seed)  # no multiple of any number of lanes
    expected = _native.arm_terms(robot, X, A, W, "pinocchio")
    for name, own, other in zip(NAMES, _native.arm_terms(robot, X, A, W, kernel), expected, strict=True):
        assert (np.abs(own - other).max(axis=1) <= 1e-12 * np.abs(other).max(axis=1)).all(), name


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_stage_is_the_same_alone_and_among_others(kernel: str) -> None:
    robot = random_robot(4)
    X, A, W = points(robot, 9)
    together = _native.arm_terms(robot, X, A, W, kernel)
    for t in (0, 5, 8):
        alone = _native.arm_terms(robot, X[t : t + 1], A[t : t + 1], W[t : t + 1], kernel)
        for name, one, all_ in zip(NAMES, alone, together, strict=True):
            np.testing.assert_array_equal(one[0], all_[t], err_msg=name)


@pytest.mark.parametrize("kernel", KERNELS)
def test_large_angles_and_numbers_that_are_none(kernel: str) -> None:
    robot = random_robot(2)
    X, A, W = points(robot, 3)
    X[0, : robot.nv] *= 1e4
    X[1, 0] = np.nan
    own, other = (_native.arm_terms(robot, X, A, W, name)[0] for name in (kernel, "pinocchio"))
    np.testing.assert_allclose(own[[0, 2]], other[[0, 2]], rtol=1e-9)
    assert np.isnan(own[1]).any()


def test_second_derivatives_are_those_of_the_first() -> None:
    robot = random_robot(6)
    n = robot.nv
    X, A, W = points(robot, 1)
    z, step = np.hstack([X, A])[0], 1e-5
    moved = z + step * np.vstack([np.eye(3 * n), -np.eye(3 * n)])
    rows = np.repeat(W, 6 * n, axis=0)
    jacobians = _native.arm_terms(robot, moved[:, : 2 * n], moved[:, 2 * n :], rows)[1].reshape(-1, n, 3 * n)
    slopes = np.einsum("i,tij->tj", W[0], jacobians)
    hessian = _native.arm_terms(robot, X, A, W)[4].reshape(3 * n, 3 * n)
    np.testing.assert_allclose(
        (slopes[: 3 * n] - slopes[3 * n :]) / (2 * step), hessian, atol=1e-6 * np.abs(hessian).max()
    )


def test_a_kernel_that_does_not_exist_is_refused() -> None:
    robot = random_robot(0)
    with pytest.raises(RobotError, match="no kernel 'abacus'"):
        _native.arm_terms(robot, *points(robot, 1), "abacus")
