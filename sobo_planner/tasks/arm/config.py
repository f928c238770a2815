"""Task files of kind `arm_reach`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sobo_planner.errors import RobotError
from sobo_planner.robot import CONSTANT_ACCELERATION, GRAVITY, SEMI_IMPLICIT_EULER, Robot
from sobo_planner.tasks.config import TaskConfig, Weights, require, require_steps

INTEGRATORS = (CONSTANT_ACCELERATION, SEMI_IMPLICIT_EULER, "rk2")


@dataclass(frozen=True)
class RobotConfig:
    """The arm.

    Attributes:
        urdf: Path of the URDF: absolute, beside the task file, or among the shipped files.
        tool_frame: Link or frame that is brought to the target.
        base_frame: Link that the node's tool box is set in and reports goals in: the URDF's root link, or one that is
            fixed to it. Empty: the root link.
        locked_joints: Joints to freeze and their positions [rad or m].
        armature: Rotor inertia of each joint seen through its gear [kg m^2]; empty for none.
        collision: Read collision geometry, to refuse starts and targets in self-collision.
        home: A configuration to start from when none is given [rad], (nq,).
        acceleration_limits: Largest joint accelerations [rad/s^2 or m/s^2], one for each joint or one for all; empty:
            those of `joint_limits`, else those known of the arm, else a default (`robot.accelerations`). They count
            with the integrator `constant_acceleration`.
        jerk_limits: Largest joint jerks [rad/s^3 or m/s^3], in the same way; none where none is known.
        gravity: In the URDF's root frame [m/s^2]: another direction for an arm on a wall or a ceiling.
        damping: Viscous damping of each joint [Nm s/rad]; empty: the URDF's `<dynamics damping>`.
        friction: Dry friction of each joint [Nm], which torques feed forward; empty: the URDF's `<dynamics friction>`.
        joint_limits: Path of a MoveIt `joint_limits.yaml` with limits on acceleration, and on jerk if any, as `urdf`;
            empty for none.
    """

    urdf: str
    tool_frame: str
    home: tuple[float, ...]
    base_frame: str = ""
    locked_joints: dict[str, float] = field(default_factory=dict)
    armature: tuple[float, ...] = ()
    collision: bool = True
    acceleration_limits: tuple[float, ...] = ()
    jerk_limits: tuple[float, ...] = ()
    joint_limits: str = ""
    gravity: tuple[float, float, float] = GRAVITY
    damping: tuple[float, ...] = ()
    friction: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        name = self.base_frame
        require(not name.startswith("/"), f"base_frame must be a name without leading slash, got {name!r}")

    def load(self, urdf: Path, joint_limits: Path | None = None) -> Robot:
        """Reads the arm from its URDF, and its limits on acceleration and jerk from a MoveIt file if there is one.

        Raises:
            RobotError: The description cannot be used.
        """
        arm = Robot.from_urdf(
            urdf,
            self.tool_frame,
            locked_joints=self.locked_joints,
            armature=self.armature,
            collision=self.collision,
        )
        arm = arm.with_surroundings(self.gravity, self.damping, self.friction)
        robot = arm.with_acceleration_limits(self.acceleration_limits, joint_limits)
        robot = robot.with_jerk_limits(self.jerk_limits, joint_limits)
        try:
            robot.placement(self.base_frame or robot.root_link)
        except RobotError as error:
            raise RobotError(f"base_frame: {error}") from error
        return robot


@dataclass(frozen=True)
class ProblemConfig:
    """The optimal control problem.

    Attributes:
        horizon: Steps T.
        dt: Step [s].
        running: Weights along the way; multiplied by dt.
        terminal: Weights at the end.
        integrator: `constant_acceleration` within each step, as a controller interpolates, with limits on it; or,
            without limits on accelerations, `semi_implicit_euler` or `rk2` (whose rollouts use semi-implicit Euler).
        torque_scale: Torque limits as a share of the URDF's.
        velocity_limits: Bound the joint velocities by the URDF's limits.
    """

    horizon: int
    dt: float
    running: Weights
    terminal: Weights
    integrator: str = CONSTANT_ACCELERATION
    torque_scale: float = 1.0
    velocity_limits: bool = False

    def __post_init__(self) -> None:
        require_steps(self.horizon, self.dt)
        require(0 < self.torque_scale <= 1, f"torque_scale must lie in (0, 1], got {self.torque_scale}")
        require(
            self.integrator in INTEGRATORS,
            f"integrator {self.integrator!r} is none of {', '.join(INTEGRATORS)}",
        )

    @property
    def rollouts(self) -> str:
        """The integrator of rollouts."""
        return SEMI_IMPLICIT_EULER if self.integrator == "rk2" else self.integrator


@dataclass(frozen=True)
class PoseConfig:
    """What pose goals add to the problem: weights of the squared angle [1/rad^2] between tool and goal.

    No hash of a position task depends on them.

    Attributes:
        running: Along the way, per second.
        terminal: At the end.
    """

    running: float = 0.3
    terminal: float = 30.0

    def __post_init__(self) -> None:
        require(self.running >= 0, f"pose.running must not be negative, got {self.running}")
        require(self.terminal > 0, f"pose.terminal must be positive, got {self.terminal}")


@dataclass(frozen=True)
class JointsConfig:
    """The problem of a joint goal: weights of the squared distance of each joint to its goal [1/rad^2 or 1/m^2].

    They take the place of those on the tool. No hash of a position task depends on them.

    Attributes:
        running: Along the way, per second.
        terminal: At the end.
    """

    running: float = 2.0
    terminal: float = 1000.0

    def __post_init__(self) -> None:
        require(self.running >= 0, f"joints.running must not be negative, got {self.running}")
        require(self.terminal > 0, f"joints.terminal must be positive, got {self.terminal}")


@dataclass(frozen=True)
class TrackingConfig:
    """Weights of the gains that hold an arm to its motion, relative to that of the squared acceleration.

    They make every joint a spring and a damper, which bring it back to the motion with the frequency position^(1/4)
    rad/s; the defaults are 50 rad/s and critical damping. With 22 rad/s, what the plan does not know of friction and
    masses takes the arm five times as far from it; with more, a state that is late or noisy costs torque. No hash
    depends on them.

    Attributes:
        position: Of the squared position error [1/s^4].
        velocity: Of the squared velocity error [1/s^2].
        speed_margin: Share of the rated speeds that planned motions leave to the feedback.
    """

    position: float = 6.25e6
    velocity: float = 5.0e3
    speed_margin: float = 0.05

    def __post_init__(self) -> None:
        require(self.position > 0, f"tracking.position must be positive, got {self.position}")
        require(self.velocity >= 0, f"tracking.velocity must not be negative, got {self.velocity}")
        require(0 <= self.speed_margin < 1, f"tracking.speed_margin must lie in [0, 1), got {self.speed_margin}")


@dataclass(frozen=True)
class Distribution:
    """Which instances occur (the distribution of xi).

    Attributes:
        r_init: 1 = start anywhere, 0 = start near `start_centre`.
        r_tgt: 1 = any reachable target, 0 = always `target`.
        start_centre: Centre of the small start area [rad], (nq,).
        start_spread: Half its width for each joint [rad].
        target: The fixed target [m], (3,).
        range: Joint range "anywhere" draws from, within the limits [rad].
    """

    start_centre: tuple[float, ...]
    target: tuple[float, float, float]
    r_init: int = 1
    r_tgt: int = 1
    start_spread: float = 0.3
    range: float = 3.14159

    def __post_init__(self) -> None:
        for name in ("r_init", "r_tgt"):
            require(getattr(self, name) in (0, 1), f"{name} must be 0 or 1, got {getattr(self, name)}")
        require(self.start_spread >= 0, f"start_spread must not be negative, got {self.start_spread}")
        require(self.range > 0, f"range must be positive, got {self.range}")
        require(len(self.target) == 3, f"target needs 3 coordinates, got {len(self.target)}")


@dataclass(frozen=True, kw_only=True)
class ArmConfig(TaskConfig):
    """A task file of kind `arm_reach`."""

    robot: RobotConfig
    problem: ProblemConfig
    distribution: Distribution
    pose: PoseConfig = PoseConfig()
    joints: JointsConfig = JointsConfig()
    tracking: TrackingConfig = TrackingConfig()
