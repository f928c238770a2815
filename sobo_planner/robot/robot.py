"""A fixed-base arm read from a URDF."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import RobotError
from sobo_planner.robot import bodies
from sobo_planner.robot.accelerations import acceleration_limits, jerk_limits
from sobo_planner.robot.frames import Placement, fixed_links
from sobo_planner.robot.inertia import check_mass_matrix
from sobo_planner.robot.mechanics import Mechanics
from sobo_planner.robot.reading import native_robot, text_of
from sobo_planner.robot.surroundings import GRAVITY, friction_of_joints, gravity_vector
from sobo_planner.robot.urdf import identity, parse, read
from sobo_planner.world import World

Array = NDArray[np.float64]


class Robot(Mechanics):
    """An arm whose joints are revolute, continuous or prismatic, with one tool frame.

    Configurations q have one number for each joint, in rad (m for prismatic joints); velocities v are per second,
    torques in Nm (N). Positions are in m, in the frame of the URDF's root link.

    A robot never reads its file again. A pickle carries the text of the URDF and gives the same robot, whatever has
    become of the file; only collision meshes are read again, from the files that are there when the pickle is loaded.

    Attributes:
        urdf: The URDF's text.
        path: The file that the text is from, absolute; None if it is from none.
        description: The checked form of it that Pinocchio was given.
        tool_frame: Link or frame that is brought to the target.
        armature: Rotor inertia of each joint seen through its gear, (nv,) [kg m^2].
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
        jerk_limit: Largest joint jerks, (nv,), in the same way; infinite where none is known.
        gravity_vector: Gravity in the root link's frame, (3,) [m/s^2].
        damping: Viscous damping of the joints, part of all dynamics, (nv,) [Nm s/rad].
        friction: Their dry friction, (nv,) [Nm]; no dynamics include it, see `friction_torque`.
        payload: Mass [kg] that the tool carries beside the URDF's.
        world: What surrounds it: objects and what is attached to its links; empty at first.
        margin: Distance [m] to be kept from objects: what is nearer counts as a contact.
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
        self.description = checked = read(urdf, locked)
        rotors = np.asarray(armature, float)
        self.tool_frame = tool_frame
        self.native = native_robot(checked, tool_frame, rotors, path, collision)
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
        self.jerk_limit: Array = jerk_limits(self.name, self.joint_names, (), None)
        self.armature: Array = rotors if len(rotors) else np.zeros(self.nv)
        self.gravity_vector: Array = np.array(GRAVITY)
        self.damping: Array = self.native.damping
        self.friction: Array = self.native.friction
        self.payload = 0.0
        self.world, self.margin = World(), 0.0
        self._bare: Robot | None = None
        self._alone: Robot | None = None
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
        path, text = Path(path), text_of(Path(path))
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
        """The same robot with the mass and inertia of every link, and of a payload, multiplied by `factor`."""
        native, recipe = self.native.with_mass_scale(factor), functools.partial(Robot.with_mass_scale, self, factor)
        return self._changed(recipe, native=native, hash=f"{self.hash}*{factor}", payload=factor * self.payload)

    def with_payload(self, mass: float, centre: ArrayLike = (0.0, 0.0, 0.0)) -> Robot:
        """The same robot, with the same hash, with a point mass at its tool instead of the one that it had.

        Args:
            mass: Of what the tool carries [kg].
            centre: Its centre of mass in the tool's frame, (3,) [m].

        Raises:
            RobotError: The mass is negative, or a number is not finite.
        """
        place = np.asarray(centre, float)
        if place.shape != (3,):
            raise RobotError(f"the centre of mass of a payload has 3 coordinates, got {place.tolist()}")
        bare = self._bare or self._changed(self._recipe)  # a copy: `carry` changes this very robot
        native = bare.native.with_payload(mass, place)
        recipe = functools.partial(Robot.with_payload, bare, mass, tuple(place.tolist()))
        return bare._changed(recipe, native=native, payload=mass, _bare=bare)

    def carry(self, mass: float, centre: ArrayLike = (0.0, 0.0, 0.0)) -> None:
        """Puts a point mass at the tool of this very robot, for all that share it; otherwise as `with_payload`."""
        loaded = self.with_payload(mass, centre)
        vars(self).update(native=loaded.native, payload=mass, _bare=loaded._bare, _recipe=loaded._recipe)

    def with_surroundings(
        self, gravity: Sequence[float] = GRAVITY, damping: Sequence[float] = (), friction: Sequence[float] = ()
    ) -> Robot:
        """The same robot with another direction of gravity, and other friction of its joints than the URDF's.

        Args:
            gravity: In the root link's frame, (3,) [m/s^2].
            damping: Viscous damping of the joints [Nm s/rad], one for each; empty: the URDF's.
            friction: Their dry friction [Nm], one for each; empty: the URDF's.

        Raises:
            RobotError: A size is wrong, or a number is negative or not finite.
        """
        down = gravity_vector(gravity)
        viscous = friction_of_joints("robot.damping", damping, self.damping)
        dry = friction_of_joints("robot.friction", friction, self.friction)
        recipe = functools.partial(Robot.with_surroundings, self, tuple(gravity), tuple(damping), tuple(friction))
        same = np.array_equal(down, self.gravity_vector) and np.array_equal(viscous, self.damping)
        identity = self.hash if same else f"{self.hash} gravity {down.tolist()} damping {viscous.tolist()}"
        native = self.native.with_surroundings(down, viscous)
        return self._changed(recipe, native=native, gravity_vector=down, damping=viscous, friction=dry, hash=identity)

    def _changed(self, recipe: functools.partial[Robot], **changes: Any) -> Robot:
        """A copy with other attributes, which a pickle makes again by the recipe."""
        other = Robot.__new__(Robot)
        vars(other).update(vars(self), _recipe=recipe, **changes)
        if self._bare is not None:  # another payload replaces this one, and keeps the change
            other._bare = recipe.func(self._bare, *recipe.args[1:], **recipe.keywords)
        if self._alone is not None and recipe is not self._recipe:  # so does another world
            other._alone = recipe.func(self._alone, *recipe.args[1:], **recipe.keywords)
        return other

    def with_world(self, world: World, margin: float = 0.0) -> Robot:
        """The same robot, with the same hash, in another world instead of the one that it was in.

        Links, attached objects and obstacles must not touch. Attached objects with a mass are carried.

        Args:
            world: Obstacles, attached objects, pairs that may touch.
            margin: Distance [m] to be kept from objects: what is nearer counts as a contact.

        Raises:
            RobotError: An object is attached to a link that is not in the URDF, or a number cannot be used.
        """
        alone = self._alone or self
        shapes, masses = bodies.placed_shapes(world), bodies.loads(world)
        native = alone.native.with_world(shapes, masses, sorted(world.touching), margin)
        recipe = functools.partial(Robot.with_world, alone, world, margin)
        return alone._changed(recipe, native=native, world=world, margin=margin, _alone=alone)

    def with_acceleration_limits(self, given: Sequence[float] = (), file: Path | None = None) -> Robot:
        """The same robot with the acceleration limits that are given, or those in a MoveIt `joint_limits.yaml`.

        Raises:
            RobotError: See `robot.accelerations.acceleration_limits`.
        """
        return self._with_limits(acceleration_limit=acceleration_limits(self.name, self.joint_names, given, file))

    def with_jerk_limits(self, given: Sequence[float] = (), file: Path | None = None) -> Robot:
        """The same robot with the jerk limits that are given, or those in a MoveIt `joint_limits.yaml`.

        Raises:
            RobotError: See `robot.accelerations.jerk_limits`.
        """
        return self._with_limits(jerk_limit=jerk_limits(self.name, self.joint_names, given, file))

    def _with_limits(self, **limits: Array) -> Robot:
        return self._changed(functools.partial(Robot._with_limits, self, **limits), **limits)

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
