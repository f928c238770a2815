"""A fixed-base arm read from a URDF: kinematics, dynamics and self-collision, computed by Pinocchio."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner import _native
from sobo_planner.errors import RobotError
from sobo_planner.robot.accelerations import acceleration_limits
from sobo_planner.robot.frames import Placement, fixed_links
from sobo_planner.robot.inertia import check_mass_matrix
from sobo_planner.robot.urdf import identity, parse, read

Array = NDArray[np.float64]
SEMI_IMPLICIT_EULER = "semi_implicit_euler"
CONSTANT_ACCELERATION = "constant_acceleration"


class Robot:
    """An arm whose joints are revolute, continuous or prismatic, with one tool frame.

    Configurations q have one number for each joint, in rad (m for prismatic joints); velocities v are per second,
    torques in Nm (N). Positions are in m, in the frame of the URDF's root link.

    A robot never reads its file again. A pickle carries the text of the URDF and gives the same robot, whatever has
    become of the file; only collision meshes are read again, from the files that are there when the pickle is loaded.

    Attributes:
        urdf: The URDF's text.
        path: The file that the text is from, absolute; None if it is from none.
        description: The checked form of it that Pinocchio was given.
        root_link: The URDF's root link.
        fixed_links: All links that do not move, and where they are in the root link's frame.
        name: Name written in the URDF.
        nq: Number of joints, equal to nv.
        joint_names: Names of the movable joints, in the order of q.
        unbounded: Which joints may turn without end (`continuous`), (nq,).
        position_lower: Lower position limits, (nq,); minus infinity for joints that turn without end.
        position_upper: Upper position limits, (nq,).
        velocity_limit: Largest joint speeds, (nv,).
        effort_limit: Largest joint torques, (nv,).
        acceleration_limit: Largest joint accelerations, (nv,); those known of the arm, or a default
            (`robot.accelerations`), unless `with_acceleration_limits` says otherwise.
        hash: Identifies the description: URDF without its comments, tool frame, locked joints and armature.
    """

    def __init__(
        self,
        urdf: str,
        tool_frame: str,
        *,
        locked_joints: Mapping[str, float] | None = None,
        armature: Sequence[float] = (),
        collision: bool = True,
        path: Path | None = None,
    ) -> None:
        """Builds the robot from the text of a URDF; see `from_urdf`, which reads it from a file.

        Args:
            urdf: The URDF's text.
            tool_frame: Link or frame that is brought to the target.
            locked_joints: Joints to freeze and their positions [rad or m].
            armature: Inertia of each joint's rotor seen through its gear [kg m^2], (nv,).
            collision: Read the collision geometry.
            path: The file that the text is from; `package://` meshes are looked up in the folders above it.

        Raises:
            RobotError: The text cannot be parsed, or a frame or joint is not in it.
        """
        locked, path = dict(locked_joints or {}), path.resolve() if path else None
        self._recipe: functools.partial[Robot] = functools.partial(
            Robot, urdf, tool_frame, locked_joints=locked, armature=tuple(armature), collision=collision, path=path
        )
        self.urdf, self.path = urdf, path
        folders = [str(folder) for folder in path.parents] if path else []
        self.description = checked = read(urdf, locked)
        rotors = np.asarray(armature, float)
        try:
            self.native = _native.Robot(checked.text, tool_frame, checked.locked, rotors, folders, collision)
        except RobotError as e:
            raise RobotError(_in_one_line(str(e))) from e
        self.fixed_links: dict[str, Placement] = fixed_links(parse(checked.text), checked.locked)
        self.root_link = next(iter(self.fixed_links))
        self.hash = identity(urdf, tool_frame, locked, armature)
        self.name: str = self.native.name
        self.nq: int = self.native.nq
        self.nv: int = self.native.nv
        self.joint_names: list[str] = list(self.native.joint_names)
        self.unbounded: NDArray[np.bool_] = np.array([name in checked.unbounded for name in self.joint_names])
        self.position_lower: Array = np.where(self.unbounded, -np.inf, self.native.position_lower)
        self.position_upper: Array = np.where(self.unbounded, np.inf, self.native.position_upper)
        self.velocity_limit: Array = self.native.velocity_limit
        self.effort_limit: Array = self.native.effort_limit
        self.acceleration_limit: Array = acceleration_limits(self.name, self.joint_names, (), None)
        check_mass_matrix(self.native)

    @classmethod
    def from_urdf(
        cls,
        path: str | Path,
        tool_frame: str,
        *,
        locked_joints: Mapping[str, float] | None = None,
        armature: Sequence[float] = (),
        collision: bool = True,
    ) -> Robot:
        """Reads a URDF file.

        Args:
            path: The URDF; `package://` meshes are looked up in all folders above it.
            tool_frame: Link or frame that is brought to the target.
            locked_joints: Joints to freeze (a gripper's, say) and their positions [rad or m].
            armature: Inertia of each joint's rotor seen through its gear [kg m^2], (nv,). URDF has no field for it.
            collision: Read the collision geometry.

        Raises:
            RobotError: The file cannot be read or parsed, or a frame or joint is not in it.
        """
        path = Path(path)
        if not path.is_file():  # nor a device, which may never end
            raise RobotError(f"the URDF {path} cannot be read: there is no such file")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as e:
            raise RobotError(f"the URDF {path} cannot be read: {e}") from e
        try:
            return cls(text, tool_frame, locked_joints=locked_joints, armature=armature, collision=collision, path=path)
        except RobotError as e:
            raise RobotError(f"{path}: {e}") from e

    def __reduce__(self) -> tuple[Any, ...]:
        return self._recipe, ()

    def placement(self, link: str) -> Placement:
        """Where a link that does not move is in the root link's frame.

        Raises:
            RobotError: There is no such link, or it moves.
        """
        if link not in self.fixed_links:
            fixed = ", ".join(self.fixed_links)
            raise RobotError(f"{link!r} is neither the URDF's root link nor fixed to it; these are: {fixed}")
        return self.fixed_links[link]

    def with_mass_scale(self, factor: float) -> Robot:
        """The same robot with the mass and inertia of every link multiplied by `factor`."""
        scaled = Robot.__new__(Robot)
        native, recipe = self.native.with_mass_scale(factor), functools.partial(Robot.with_mass_scale, self, factor)
        vars(scaled).update(vars(self), native=native, hash=f"{self.hash}*{factor}", _recipe=recipe)
        return scaled

    def with_acceleration_limits(self, given: Sequence[float] = (), file: Path | None = None) -> Robot:
        """The same robot with the acceleration limits that are given, or those in a MoveIt `joint_limits.yaml`.

        Raises:
            RobotError: See `robot.accelerations.acceleration_limits`.
        """
        limits = acceleration_limits(self.name, self.joint_names, given, file)
        recipe = functools.partial(Robot.with_acceleration_limits, self, tuple(float(limit) for limit in limits))
        other = Robot.__new__(Robot)
        vars(other).update(vars(self), acceleration_limit=limits, _recipe=recipe)
        return other

    def unwound(self, q: ArrayLike, reference: ArrayLike) -> Array:
        """The configuration like q that is nearest to another one: whole turns of `unbounded` joints do not count.

        Args:
            q: Configurations, (..., nq).
            reference: Where to be near, (..., nq).

        Returns:
            (..., nq); unbounded joints are within pi of the reference, others where they were.
        """
        out, free = np.array(q, float), self.unbounded
        if free.any():
            with np.errstate(invalid="ignore"):  # what is not finite stays so
                turns = np.round((out - np.asarray(reference, float))[..., free] / (2.0 * np.pi))
                out[..., free] -= 2.0 * np.pi * turns
        return out

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
        velocity_share: float = 1.0,
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
            velocity_share: Share of the velocity limits that may be used.
            acceleration_limit: Largest joint accelerations, (nv,); unlimited by default. Torque limits come first.
            integrator: As for `step`.

        Returns:
            X (N+1, 2 nv) and U (N, nv), consistent with `step`.
        """
        most = np.full(self.nv, np.inf) if acceleration_limit is None else np.asarray(acceleration_limit, float)
        limits = (self.effort_limit, velocity_share * self.velocity_limit, most)
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

    def colliding_pair(self, q: ArrayLike) -> tuple[str, str] | None:
        """Links of the first pair of bodies in contact at q; links joined by one joint are not compared."""
        return self.native.colliding_pair(np.asarray(q, float))

    def first_collision(self, Q: ArrayLike) -> tuple[int, str, str] | None:
        """The first row of Q (N, nq) in self-collision, and its links in contact as `colliding_pair` names them."""
        return self.native.first_collision(np.asarray(Q, float))


def _in_one_line(message: str) -> str:
    """A message of Pinocchio or Coal without the place in its sources, and what to do where a mesh is missing."""
    plain = " ".join(re.sub(r"From file: .*?message: ", "", message, flags=re.DOTALL).split())
    if "collision geometry" in plain:
        plain += " (robot.collision: false plans without collision geometry)"
    return plain
