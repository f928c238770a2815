"""What feedback leads an arm to that has fallen behind its motion."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.motion import reference

SPEED = np.array([2.0, 4.0])
GAINS = np.array([[-300.0, -7.0, -30.0, 1.0], [5.0, -800.0, 2.0, -40.0]])  # ratios of 10 and 20 /s


def seen(q: list[float], v: list[float], K: np.ndarray = GAINS) -> np.ndarray:
    """The reference of a motion at the origin with speeds v, for an arm at q."""
    desired = np.array([0.0, 0.0, *v])
    return reference(desired, np.array([*q, 9.0, -9.0]), K, SPEED)


@pytest.mark.parametrize("off", [[-0.096, 0.0], [0.29, 0.0], [0.0, 0.146], [0.0, -0.246]])
def test_near_the_motion_the_reference_is_the_motion(off: list[float]) -> None:
    """Up to catching up with 0.98 of 2 and 4 rad/s, wherever the motion goes with 1 rad/s and -1 rad/s."""
    np.testing.assert_array_equal(seen(off, [1.0, -1.0]), [0.0, 0.0, 1.0, -1.0])


@pytest.mark.parametrize(("off", "wanted"), [(-0.5, 1.96), (-0.1, 1.96), (0.5, -1.96), (0.3, -1.96)])
def test_an_arm_that_is_far_off_comes_back_with_a_little_less_than_its_rated_speed(off: float, wanted: float) -> None:
    found = seen([off, 0.01], [1.0, -1.0])
    np.testing.assert_array_equal(found[1:], [0.0, 1.0, -1.0])  # the other joint, and speeds
    assert 1.0 - 10.0 * (off - found[0]) == pytest.approx(wanted)


def test_a_motion_at_its_limit_is_followed_and_not_caught_up_with() -> None:
    found = seen([-0.5, -0.5], [2.0, 3.99])
    np.testing.assert_allclose(found[:2], [-0.5, -0.5], atol=1e-12)
    np.testing.assert_allclose(seen([0.5, 0.0], [2.0, 0.0])[0], 0.5 - 4.0 / 10.0)  # ahead of it, it may slow down


def test_the_motion_stays_as_it_is() -> None:
    desired = np.array([0.0, 0.0, 1.0, 1.0])
    reference(desired, np.array([-1.0, -1.0, 0.0, 0.0]), GAINS, SPEED)
    np.testing.assert_array_equal(desired, [0.0, 0.0, 1.0, 1.0])


@pytest.mark.parametrize("entry", [(0, 0), (0, 2)])
@pytest.mark.parametrize("gain", [0.0, 30.0])
def test_gains_that_do_not_hold_a_joint_leave_its_motion(entry: tuple[int, int], gain: float) -> None:
    K = GAINS.copy()
    K[entry] = gain
    found = seen([-0.5, -0.5], [1.0, 1.0], K)
    assert found[0] == 0.0 and found[1] < -0.1


@pytest.mark.parametrize("scale", [1.0, 1e-3])
def test_where_a_motion_goes_and_how_large_gains_are_does_not_matter(scale: float) -> None:
    """The same motion mirrored, elsewhere, and with gains of the same ratios."""
    for sign in (1.0, -1.0):
        place = sign * np.array([3.0, -2.0])
        desired = np.array([*place, *(sign * np.array([2.0, 3.99]))])
        measured = np.array([*(place - sign * 0.5), 0.0, 0.0])
        found = reference(desired, measured, scale * GAINS, SPEED)
        np.testing.assert_allclose(found[:2], place - sign * 0.5, atol=1e-12)
        near = reference(desired, np.array([*place, 0.0, 0.0]), scale * GAINS, SPEED)
        np.testing.assert_array_equal(near, desired)
