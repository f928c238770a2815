"""Task files of kind `quadrotor_reach`."""

from __future__ import annotations

from dataclasses import dataclass

from sobo_planner.tasks.config import TaskConfig, require, require_steps, require_weights

#: Lower bound of what the dynamics divide by, far below that of any quadrotor.
LEAST = 1e-9


@dataclass(frozen=True)
class QuadrotorConfig:
    """The quadrotor, its rotors at the corners of a square.

    Attributes:
        mass: Mass [kg].
        inertia: Moments of inertia about its axes [kg m^2], (3,).
        arm: Distance of the rotors from the centre [m].
        drag_ratio: Torque of a rotor about its axis over its thrust [m].
        thrust_limit: Largest thrust of a rotor [N]; the smallest is zero.
    """

    mass: float
    inertia: tuple[float, ...]
    arm: float
    drag_ratio: float
    thrust_limit: float

    def __post_init__(self) -> None:
        require(len(self.inertia) == 3, f"inertia needs 3 moments, got {len(self.inertia)}")
        for name in ("mass", "arm", "drag_ratio", "thrust_limit"):
            require(getattr(self, name) >= LEAST, f"{name} must be at least {LEAST:g}, got {getattr(self, name)}")
        require(min(self.inertia) >= LEAST, f"inertia must be at least {LEAST:g}, got {self.inertia}")
        hover = self.mass * 9.81 / 4
        require(self.thrust_limit > hover, f"thrust_limit must exceed what the mass takes, {hover:.3g} N a rotor")


@dataclass(frozen=True)
class FlightWeights:
    """Weights of squared errors; running weights are per second, terminal ones are not.

    Attributes:
        position: Distance to the target [1/m^2].
        attitude: Rotation from level [1/rad^2].
        velocity: Linear and angular velocity [s^2/m^2, s^2/rad^2].
        thrust: Thrusts beyond those of hovering [1/N^2].
    """

    position: float
    attitude: float
    velocity: float
    thrust: float = 0.0

    def __post_init__(self) -> None:
        require_weights(self)


@dataclass(frozen=True)
class FlightProblem:
    """The optimal control problem.

    Attributes:
        horizon: Steps T.
        dt: Step [s].
        running: Weights along the way; multiplied by dt.
        terminal: Weights at the end.
        floor: Lowest height [m].
        ceiling: Largest height [m].
        columns: How many columns of the layout there are, the first ones.
        layout: Columns as x, y, radius [m]; the size of the quadrotor is included.
    """

    horizon: int
    dt: float
    running: FlightWeights
    terminal: FlightWeights
    floor: float
    ceiling: float
    columns: int
    layout: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        require_steps(self.horizon, self.dt)
        require(self.floor < self.ceiling, f"the floor {self.floor} must lie below the ceiling {self.ceiling}")
        most = len(self.layout)
        require(0 <= self.columns <= most, f"columns must lie in 0 ... {most}, the layout's; got {self.columns}")
        bad = [column for column in self.layout if len(column) != 3 or column[2] <= 0]
        require(not bad, f"a column needs x, y and a positive radius, got {bad}")


@dataclass(frozen=True)
class Flights:
    """Starts and targets: anywhere in a square, at rest, at the same height, and apart from each other.

    Attributes:
        half_width: Half the square's side [m].
        height: Height of both [m].
        clearance: Smallest distance to a column's surface [m].
        distance: Smallest distance of target and start [m].
    """

    half_width: float
    height: float
    clearance: float
    distance: float

    def __post_init__(self) -> None:
        for name in ("half_width", "height"):
            require(getattr(self, name) > 0, f"{name} must be positive, got {getattr(self, name)}")
        for name in ("clearance", "distance"):
            require(getattr(self, name) >= 0, f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class FlightConfig(TaskConfig):
    """A task file of kind `quadrotor_reach`."""

    robot: QuadrotorConfig
    problem: FlightProblem
    distribution: Flights

    def __post_init__(self) -> None:
        super().__post_init__()
        height, problem = self.distribution.height, self.problem
        inside = problem.floor < height < problem.ceiling
        require(inside, f"height {height} must lie between floor {problem.floor} and ceiling {problem.ceiling}")
