"""What the policy observes of an arm, with its Jacobians.

The encoding uses the task's symmetries. (Positions in a chunk are relative to the current ones.) Target and tool
error are expressed in the frame that turns with the first joint; when that joint turns about the direction of gravity,
nothing else depends on its angle, so the angle is left out, and one trajectory is training data for all rotations
of it. The same is true for the angle of a last joint that turns a balanced link about an axis through the tool.

Which way to move in joint space follows from the geometry and need not be learned from few trajectories: the
observation holds a damped least-squares step towards the target, the gradient of the squared tool error, and the
torque against gravity.

The optimal control of a finite horizon depends on the time left (`features.time_left`): an arm at its
target still moves to reduce its holding torques, and stops at the end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sobo_planner.robot import Robot
from sobo_planner.tasks.features import saturated, saturation_jacobian, time_left

Array = NDArray[np.float64]

# To be raised with every change of what an observation or an action means: policies trained before then no longer fit.
VERSION = 2
# Damping [m] of the least-squares joint step towards the target, and the length [m] at which that step saturates.
DAMPING = 0.15
FAR = 0.3
# a x b is CROSS[k, l, m] a[l] b[m].
CROSS = np.cross(np.eye(3)[:, None], np.eye(3)[None]).transpose(2, 0, 1)
# Change of torque [Nm] below which the last joint's angle counts as irrelevant.
NEGLIGIBLE = 1e-3


class ArmEncoding:
    """Encodes states x = [q, v] and targets of one robot.

    The observation is [cos q, sin q, v, target, tool error, saturated tool error, joint step, error gradient, gravity
    torque, time left], (obs_dim,): positions in the frame of the first joint; without the angle of the first joint when
    gravity is along its axis, and of the last one when nothing depends on it; time left as a share of the horizon and
    as two harmonics over the last steps. Policies that know a cell observe the angles of all joints: what stands around
    the arm does not turn with it.

    Attributes:
        robot: The arm.
        horizon: Steps T.
        origin: Place of the first joint [m], (3,).
        angles: First of the joints whose angles an observation holds, and the one after the last.
        obs_dim: Size of an observation.
        observation_groups: Entries of like unit, which share a normalisation floor.
        state_groups: The same for states.
    """

    def __init__(self, robot: Robot, horizon: int) -> None:
        self.robot = robot
        self.horizon = horizon
        n = robot.nv
        rotation, origin = robot.joint_placement(np.zeros(n), 0)
        self._axis = _rotation_axis(rotation, robot.joint_placement(0.5 * np.eye(n)[0], 0)[0])
        self._turning, self.origin = np.einsum("klm,l", CROSS, self._axis), origin
        down = robot.gravity_vector / (np.linalg.norm(robot.gravity_vector) or 1.0)
        first = 1 if abs(abs(self._axis @ down) - 1.0) < 1e-9 else 0
        self._observe(first, n - 1 if _idle_last_joint(robot) else n)

    def _observe(self, first: int, last: int) -> None:
        """Sets which joints' angles an observation holds, and its size."""
        n = self.robot.nv
        self.angles, angles = (first, last), last - first
        self.obs_dim = 2 * angles + 4 * n + 14
        ends = np.cumsum([2 * angles, n, 3, 3, 3, n, n, n, 5])
        self.observation_groups: tuple[slice, ...] = tuple(
            slice(a, b) for a, b in zip([0, *ends[:-1]], ends, strict=True)
        )
        self.state_groups: tuple[slice, ...] = (slice(0, n), slice(n, 2 * n))

    def observation(self, x: Array, target: Array, t: int = 0) -> Array:
        """Observation at state x (2 nv,) and step t of the horizon with the target (3,) [m], shape (obs_dim,).

        Of a pose (7,) it holds the position: a policy proposes ways to positions.
        """
        n, target = self.robot.nv, target[:3]
        q, v = x[:n], x[n:]
        rotation, _ = self.robot.joint_placement(q, 0)
        error = rotation.T @ (target - self.robot.tool_position(q))
        angles = q[slice(*self.angles)]
        goal = rotation.T @ (target - self.origin)
        near = saturated(error)
        joints = self._joint_features(q, target)
        left = time_left(t, self.horizon)
        return np.concatenate([np.cos(angles), np.sin(angles), v, goal, error, near, joints, left])

    def _joint_features(self, q: Array, target: Array) -> Array:
        """Joint step towards the target, gradient of the squared tool error, gravity torque, (3 nv,)."""
        J = self.robot.tool_jacobian(q)
        error = target - self.robot.tool_position(q)
        capped = error * (FAR / np.sqrt(error @ error + FAR**2))
        step = J.T @ np.linalg.solve(J @ J.T + DAMPING**2 * np.eye(3), capped)
        return np.concatenate([step, J.T @ error, self.robot.gravity(q)])

    def observation_jacobian(self, x: Array, target: Array) -> Array:
        """d observation / d x, the same at every step, shape (obs_dim, 2 nv)."""
        n, (first, last) = self.robot.nv, self.angles
        q, target = x[:n], target[:3]
        rotation, _ = self.robot.joint_placement(q, 0)
        offset = target - self.robot.tool_position(q)
        out = np.zeros((self.obs_dim, 2 * n))
        angles = last - first
        out[:angles, first:last] = -np.diag(np.sin(q[first:last]))
        out[angles : 2 * angles, first:last] = np.diag(np.cos(q[first:last]))
        out[2 * angles : 2 * angles + n, n:] = np.eye(n)
        goal, error, near = (slice(2 * angles + n + 3 * i, 2 * angles + n + 3 * i + 3) for i in range(3))
        # d(R' d)/dq0 = -R' (axis x d) for a vector d that is fixed in the world
        out[goal, 0] = -rotation.T @ self._turning @ (target - self.origin)
        out[error, :n] = -rotation.T @ self.robot.tool_jacobian(q)
        out[error, 0] -= rotation.T @ self._turning @ offset
        e = rotation.T @ offset
        out[near] = saturation_jacobian(e) @ out[error]
        out[near.stop : near.stop + 3 * n, :n] = self._joint_slopes(q, offset)
        return out

    def _joint_slopes(self, q: Array, error: Array) -> Array:
        """d `_joint_features` / d q, (3 nv, nv)."""
        n = self.robot.nv
        J, turn = np.split(self.robot.tool_pose_jacobian(q), 2)
        low, high = np.minimum.outer(range(n), range(n)), np.maximum.outer(range(n), range(n))
        # What joint i makes of column j: the first of the two turns the column of the second.
        bend = np.einsum("klm,lij,mij->kij", CROSS, turn[:, low], J[:, high])
        length = np.sqrt(error @ error + FAR**2)
        capped, cap = error * (FAR / length), (np.eye(3) - np.outer(error, error) / length**2) * (FAR / length)
        inverse = np.linalg.inv(J @ J.T + DAMPING**2 * np.eye(3))
        y = inverse @ capped
        push = np.einsum("kij,k->ij", bend, y)
        dy = inverse @ (-cap @ J - np.einsum("kij,lj,l->ki", bend, J, y) - J @ push.T)
        step = push.T + J.T @ dy
        gradient = np.einsum("kij,k->ji", bend, error) - J.T @ J
        gravity = self.robot.torque_jacobians(np.concatenate([q, np.zeros(n)])[None], np.zeros((1, n)))[0, :, :n]
        return np.concatenate([step, gradient, gravity])


def _idle_last_joint(robot: Robot) -> bool:
    """Whether neither the tool's position nor any torque depends on the angle of the last joint."""
    rng = np.random.default_rng(0)
    turn = np.eye(robot.nv)[-1]
    for _ in range(4):
        q, v, a = rng.uniform(-1.0, 1.0, (3, robot.nv))
        if np.abs(robot.tool_jacobian(q)[:, -1]).max() > 1e-9:
            return False
        change = robot.inverse_dynamics(q + turn, v, a) - robot.inverse_dynamics(q, v, a)
        if np.abs(change).max() > NEGLIGIBLE:
            return False
    return True


def _rotation_axis(before: Array, after: Array) -> Array:
    """World axis of the rotation between two placements of a joint frame; zero for a prismatic joint."""
    turn = after @ before.T
    axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    norm = float(np.linalg.norm(axis))
    return axis / norm if norm > 1e-9 else np.zeros(3)
