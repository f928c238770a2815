"""Kinematics, dynamics and self-collision of an arm, computed by Pinocchio and Coal."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native

Array = NDArray[np.float64]
SEMI_IMPLICIT_EULER = "semi_implicit_euler"
CONSTANT_ACCELERATION = "constant_acceleration"
# Speed [rad/s] at which three quarters of dry friction are fed forward: a jump at rest would shake the arm.
STILL = 0.05


class Mechanics:
    """What a `Robot` computes. One thread at a time: the calls share scratch memory.

    Attributes:
        native: The extension's robot.
        nv: Number of joints.
        velocity_limit: Largest joint speeds, (nv,).
        effort_limit: Largest joint torques, (nv,).
    """

    native: _native.Robot
    nv: int
    velocity_limit: Array
    effort_limit: Array
    friction: Array

    def tool_position(self, q: ArrayLike) -> Array:
        """Position of the tool frame at q (nq,), shape (3,) [m]."""
        return self.native.tool_position(np.asarray(q, float))

    def tool_positions(self, Q: ArrayLike) -> Array:
        """Positions of the tool frame at each row of Q (N, nq), shape (N, 3) [m]."""
        return np.array([self.native.tool_position(q) for q in np.atleast_2d(np.asarray(Q, float))])

    def tool_pose(self, q: ArrayLike) -> Array:
        """Pose of the tool frame at q (nq,): [x, y, z, qx, qy, qz, qw], qw >= 0, shape (7,)."""
        return self.native.tool_pose(np.asarray(q, float))

    def pose_error(self, q: ArrayLike, target: ArrayLike) -> Array:
        """Difference between the tool's pose at q (nq,) and the target pose (7,).

        Returns:
            Translation [m] and rotation vector [rad] from the tool to the target, (6,), both in the base frame.
        """
        return self.native.pose_error(np.asarray(q, float), np.asarray(target, float))

    def frame_position(self, q: ArrayLike, frame: str) -> Array:
        """Position of any frame at q (nq,), shape (3,) [m].

        Raises:
            RobotError: The frame is not in the URDF.
        """
        return self.native.frame_position(np.asarray(q, float), frame)

    def tool_jacobian(self, q: ArrayLike) -> Array:
        """d tool_position / d q, shape (3, nv)."""
        return self.native.tool_jacobian(np.asarray(q, float))

    def tool_pose_jacobian(self, q: ArrayLike) -> Array:
        """The tool's linear velocity, above its angular one, per joint velocity at q, (6, nv), in the base frame."""
        return self.native.tool_pose_jacobian(np.asarray(q, float))

    def joint_placement(self, q: ArrayLike, index: int) -> tuple[Array, Array]:
        """Rotation (3, 3) and origin (3,) [m] of the frame that moves with joint `index`."""
        placement = self.native.joint_placement(np.asarray(q, float), index)
        return placement[:, :3], placement[:, 3]

    def forward_dynamics(self, q: ArrayLike, v: ArrayLike, tau: ArrayLike) -> Array:
        """Joint accelerations (nv,) under the torques tau (nv,)."""
        return self.native.forward_dynamics(np.asarray(q, float), np.asarray(v, float), np.asarray(tau, float))

    def inverse_dynamics(self, q: ArrayLike, v: ArrayLike, a: ArrayLike) -> Array:
        """Torques (nv,) that give the accelerations a (nv,)."""
        return self.native.inverse_dynamics(np.asarray(q, float), np.asarray(v, float), np.asarray(a, float))

    def linear_torques(self, X: ArrayLike, A: ArrayLike) -> tuple[Array, Array]:
        """Inverse dynamics at states X (N, 2 nv) and accelerations A (N, nv).

        Returns:
            Torques (N, nv), and their derivatives d tau / d [q, v, a], (N, nv, 3 nv).
        """
        flat = self.native.linear_torques(np.asarray(X, float), np.asarray(A, float))
        blocks = flat.reshape(len(flat), self.nv, 3 * self.nv + 1)
        return blocks[:, :, 0], blocks[:, :, 1:]

    def torque_jacobians(self, X: ArrayLike, A: ArrayLike) -> Array:
        """The derivatives of `linear_torques` alone."""
        return self.linear_torques(X, A)[1]

    def friction_torque(self, v: ArrayLike) -> Array:
        """Torques that overcome dry friction at speeds v (..., nv), smoothed within `STILL` of rest, (..., nv)."""
        out: Array = self.friction * np.tanh(np.asarray(v, float) / STILL)
        return out

    def gravity(self, q: ArrayLike) -> Array:
        """Torques (nv,) that hold the arm still at q."""
        return self.native.gravity(np.asarray(q, float))

    def step(self, x: ArrayLike, u: ArrayLike, dt: float, integrator: str = SEMI_IMPLICIT_EULER) -> Array:
        """State (2 nv,) after one step of length dt [s] from x = [q, v] under torques u.

        With accelerations a, v' = v + dt a, and q' = q + dt v' (`semi_implicit_euler`) or q' = q + dt (v + v') / 2
        (`constant_acceleration`).
        """
        return self.native.step(np.asarray(x, float), np.asarray(u, float), dt, integrator)

    def simulate(self, x: ArrayLike, U: ArrayLike, dt: float, integrator: str = SEMI_IMPLICIT_EULER) -> Array:
        """States (N+1, 2 nv) that the torques U (N, nv) lead to from x, step by step as `step`."""
        return _native.simulate(self.native, np.asarray(x, float), np.asarray(U, float), dt, integrator)

    def track(
        self,
        x: ArrayLike,
        desired: ArrayLike,
        dt: float,
        blend: float,
        velocity_share: ArrayLike = 1.0,
        *,
        acceleration_limit: ArrayLike | None = None,
        integrator: str = SEMI_IMPLICIT_EULER,
    ) -> tuple[Array, Array]:
        """Follows desired states by inverse dynamics within the effort, velocity and acceleration limits.

        Args:
            x: Start, (2 nv,).
            desired: States to be in after 1 ... N steps, (N, 2 nv).
            dt: Step [s].
            blend: Share of the position error that is corrected in one step; 0 follows velocities alone.
            velocity_share: Share of the velocity limits that may be used, one for all joints or (nv,).
            acceleration_limit: Largest joint accelerations, (nv,); unlimited by default. Torque limits come first.
            integrator: As for `step`.

        Returns:
            X (N+1, 2 nv) and U (N, nv), consistent with `step`.
        """
        most = np.full(self.nv, np.inf) if acceleration_limit is None else np.asarray(acceleration_limit, float)
        limits = (self.effort_limit, np.asarray(velocity_share, float) * self.velocity_limit, most)
        arrays = (np.asarray(x, float), np.asarray(desired, float))
        return _native.track(self.native, *arrays, dt, blend, *limits, integrator)

    def follow_feedback(
        self,
        x: ArrayLike,
        desired: ArrayLike,
        torques: ArrayLike,
        gains: ArrayLike,
        dt: ArrayLike,
        limit: ArrayLike,
        integrator: str = SEMI_IMPLICIT_EULER,
    ) -> Array:
        """State (2 nv,) after N steps under u = torques + gains (x - desired), clipped to +-limit.

        Args:
            x: Start, (2 nv,).
            desired: Desired states, (N, 2 nv).
            torques: Their torques [Nm], (N, nv).
            gains: du/dx, (N, nv, 2 nv).
            dt: Lengths of the steps [s], (N,).
            limit: Torque limits [Nm], (nv,).
            integrator: As for `step`.

        Raises:
            RobotError: Sizes disagree.
        """
        K = np.asarray(gains, float)
        arrays = (x, desired, torques, K.reshape(len(K), 2 * self.nv**2), dt, limit)
        start, states, us, Ks, steps, most = (np.asarray(array, float) for array in arrays)
        return _native.follow_feedback(self.native, start, states, us, Ks, steps, most, integrator)

    def contact(self, q: ArrayLike) -> _native.Contact | None:
        """The first pair of bodies in contact at q: links of the robot, or one of them with an object of its world.

        It has the names `first` and `second`, their signed `distance` [m], and says whether it is with an `object`.
        Links joined by one joint are not compared.
        """
        return self.native.contact(np.asarray(q, float))

    def first_contact(
        self, time: ArrayLike, Q: ArrayLike, V: ArrayLike, *, leaving: bool = False
    ) -> _native.Contact | None:
        """The first contact, with its `time` [s], along the cubic splines through points; see `contact`.

        It is certain that there is none before: intervals are halved until no link can have moved far enough to touch
        something in between. To come within 0.1 mm of a contact counts as one.

        Args:
            time: Of the points, (N,) [s].
            Q: Positions, (N, nq).
            V: Velocities, (N, nv).
            leaving: Whether bodies that touch at the beginning may do so on the way out: each pair comes no nearer than
                it has been at most (to within 0.5 mm), and stays apart once it is.
        """
        times, positions, velocities = (np.asarray(values, float) for values in (time, Q, V))
        return self.native.first_contact(times, positions, velocities, leaving)

    def nearest_object(self, Q: ArrayLike) -> _native.Contact | None:
        """The smallest distance to an obstacle over rows of Q (N, nq), as `contact`; None where there are none."""
        return self.native.nearest_object(np.asarray(Q, float))

    def colliding_pair(self, q: ArrayLike) -> tuple[str, str] | None:
        """The names of `contact`."""
        return self.native.colliding_pair(np.asarray(q, float))

    def first_collision(self, Q: ArrayLike) -> tuple[int, str, str] | None:
        """The first row of Q (N, nq) in contact, and the bodies in contact as `colliding_pair` names them."""
        return self.native.first_collision(np.asarray(Q, float))
