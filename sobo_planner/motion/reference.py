"""The state that feedback is to lead an arm to, where the arm has fallen behind its motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Share of the rated speeds that an arm may catch up with.
CATCHING_UP = 0.98


def reference(desired: Array, x: Array, K: Array, speed: Array) -> Array:
    """A motion's state, nearer to the measured one where catching up with it would be too fast.

    With u = u* + K (x - x*), a joint that has fallen behind is led to the speed v* - r (q - q*), where r is the ratio
    of its gains on position and velocity. Its position is moved towards the measured one until that is no more than
    `CATCHING_UP` of its rated speed, or the motion's own speed if that is more. An arm that lacked torque for a while
    else comes back at up to 1.7 times its rated speed.

    Args:
        desired: State of the motion [q, v], (2n,).
        x: Measured state, (2n,).
        K: Gains du/dx, (n, 2n).
        speed: Rated speeds, (n,).

    Returns:
        x* of the law above, (2n,): `desired` itself where no joint is too far from it.
    """
    n = len(speed)
    joints = np.arange(n)
    stiffness, damping = -K[joints, joints], -K[joints, n + joints]
    holds = (stiffness > 0.0) & (damping > 0.0)
    ratio = np.divide(stiffness, damping, out=np.ones(n), where=holds)
    most = np.maximum(CATCHING_UP * speed, np.abs(desired[n:]))
    wanted = desired[n:] - ratio * (x[:n] - desired[:n])
    allowed = np.clip(wanted, -most, most)
    out = desired.copy()
    far = holds & (allowed != wanted)
    out[:n][far] += ((allowed - wanted) / ratio)[far]
    return out
