"""Solver, rollouts (Aligator, Pinocchio) and the policy network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray

class Shape:
    @staticmethod
    def box(size: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]) -> Shape: ...
    @staticmethod
    def sphere(radius: float) -> Shape: ...
    @staticmethod
    def cylinder(radius: float, length: float) -> Shape: ...
    @staticmethod
    def capsule(radius: float, length: float) -> Shape: ...
    @staticmethod
    def half_space(normal: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")], offset: float) -> Shape: ...
    @staticmethod
    def mesh(
        vertices: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order="C")],
        faces: Annotated[NDArray[numpy.int32], dict(shape=(None, 3), order="C")],
    ) -> Shape: ...
    @staticmethod
    def hull(vertices: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order="C")]) -> Shape: ...

class PlacedShape:
    def __init__(
        self,
        name: str,
        link: str,
        shape: Shape,
        pose: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> None: ...

class Load:
    def __init__(
        self, link: str, mass: float, centre: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]
    ) -> None: ...

class Contact:
    @property
    def time(self) -> float: ...
    @property
    def first(self) -> str: ...
    @property
    def second(self) -> str: ...
    @property
    def distance(self) -> float: ...
    @property
    def object(self) -> bool: ...

class NearBodies:
    @property
    def contact(self) -> Contact: ...
    @property
    def gap(self) -> float: ...
    @property
    def slope(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...

class GlobalPathOptions:
    def __init__(self) -> None: ...
    @property
    def seed(self) -> int: ...
    @seed.setter
    def seed(self, arg: int, /) -> None: ...
    @property
    def range(self) -> float: ...
    @range.setter
    def range(self, arg: float, /) -> None: ...
    @property
    def max_samples(self) -> int: ...
    @max_samples.setter
    def max_samples(self, arg: int, /) -> None: ...
    @property
    def shortcuts(self) -> int: ...
    @shortcuts.setter
    def shortcuts(self, arg: int, /) -> None: ...
    @property
    def beyond(self) -> float: ...
    @beyond.setter
    def beyond(self, arg: float, /) -> None: ...
    @property
    def time_limit(self) -> float: ...
    @time_limit.setter
    def time_limit(self, arg: float, /) -> None: ...
    @property
    def interrupt(self) -> Interrupt | None: ...
    @interrupt.setter
    def interrupt(self, arg: Interrupt | None, /) -> None: ...

class Robot:
    def __init__(
        self,
        urdf_xml: str,
        tool_frame: str,
        locked: Mapping[str, float],
        armature: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        package_dirs: Sequence[str],
        collision: bool,
    ) -> None: ...
    def with_mass_scale(self, factor: float) -> Robot: ...
    def with_payload(
        self, mass: float, centre: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]
    ) -> Robot: ...
    def with_surroundings(
        self,
        gravity: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")],
        damping: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> Robot: ...
    @property
    def damping(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @property
    def friction(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def linear_torques(
        self,
        X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        A: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
    @property
    def name(self) -> str: ...
    @property
    def nq(self) -> int: ...
    @property
    def nv(self) -> int: ...
    @property
    def joint_names(self) -> list[str]: ...
    @property
    def position_lower(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @property
    def position_upper(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @property
    def velocity_limit(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @property
    def effort_limit(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @property
    def has_collision_geometry(self) -> bool: ...
    def tool_position(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]: ...
    def tool_pose(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def pose_error(
        self,
        q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        target: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def frame_position(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], frame: str
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]: ...
    def tool_jacobian(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
    def tool_pose_jacobian(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
    def joint_placement(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], index: int
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
    def forward_dynamics(
        self,
        q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        tau: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def inverse_dynamics(
        self,
        q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        v: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        a: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def gravity(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def step(
        self,
        x: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        dt: float,
        integrator: str,
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    def with_world(
        self, shapes: Sequence[PlacedShape], loads: Sequence[Load], allowed: Sequence[tuple[str, str]], margin: float
    ) -> Robot: ...
    def contact(self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]) -> Contact | None: ...
    def colliding_pair(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]
    ) -> tuple[str, str] | None: ...
    def first_contact(
        self,
        times: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        Q: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        leaving: bool,
    ) -> Contact | None: ...
    def global_path(
        self,
        start: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        goals: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        lower: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        upper: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        options: GlobalPathOptions,
    ) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")] | None: ...
    def near(
        self, q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], within: float
    ) -> list[NearBodies]: ...
    def nearest_object(
        self, Q: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]
    ) -> Contact | None: ...
    def approach(
        self,
        q: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        target: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        steps: int,
        *,
        lower: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        upper: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        tolerance: float,
        max_step: float,
        lever: float,
    ) -> tuple[Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], bool]: ...
    def first_collision(
        self, Q: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]
    ) -> tuple[int, str, str] | None: ...

def simulate(
    robot: Robot,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    U: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    dt: float,
    integrator: str,
) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
def track(
    robot: Robot,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    desired: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    dt: float,
    blend: float,
    torque_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    velocity_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    acceleration_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    integrator: str,
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
]: ...
def follow_feedback(
    robot: Robot,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    desired: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    torques: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    gains: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    dt: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    torque_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    integrator: str,
) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...

class Box:
    def __init__(
        self,
        lower: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        upper: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> None: ...

class ReachWeights:
    def __init__(self) -> None: ...
    @property
    def position(self) -> Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]: ...
    @position.setter
    def position(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")], /) -> None: ...
    @property
    def orientation(self) -> Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]: ...
    @orientation.setter
    def orientation(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")], /) -> None: ...
    @property
    def state(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @state.setter
    def state(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def control(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @control.setter
    def control(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def state_reference(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @state_reference.setter
    def state_reference(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def control_reference(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @control_reference.setter
    def control_reference(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def self_distance(self) -> float: ...
    @self_distance.setter
    def self_distance(self, arg: float, /) -> None: ...
    @property
    def self_margin(self) -> float: ...
    @self_margin.setter
    def self_margin(self, arg: float, /) -> None: ...
    @property
    def object_margin(self) -> float: ...
    @object_margin.setter
    def object_margin(self, arg: float, /) -> None: ...

class ReachSpec:
    def __init__(self) -> None: ...
    @property
    def horizon(self) -> int: ...
    @horizon.setter
    def horizon(self, arg: int, /) -> None: ...
    @property
    def dt(self) -> float: ...
    @dt.setter
    def dt(self, arg: float, /) -> None: ...
    @property
    def integrator(self) -> str: ...
    @integrator.setter
    def integrator(self, arg: str, /) -> None: ...
    @property
    def actuation(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")]: ...
    @actuation.setter
    def actuation(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")], /) -> None: ...
    @property
    def accelerations(self) -> bool: ...
    @accelerations.setter
    def accelerations(self, arg: bool, /) -> None: ...
    @property
    def running(self) -> ReachWeights: ...
    @running.setter
    def running(self, arg: ReachWeights, /) -> None: ...
    @property
    def terminal(self) -> ReachWeights: ...
    @terminal.setter
    def terminal(self, arg: ReachWeights, /) -> None: ...
    @property
    def control(self) -> Box | None: ...
    @control.setter
    def control(self, arg: Box | None, /) -> None: ...
    @property
    def velocity(self) -> Box | None: ...
    @velocity.setter
    def velocity(self, arg: Box | None, /) -> None: ...
    @property
    def position(self) -> Box | None: ...
    @position.setter
    def position(self, arg: Box | None, /) -> None: ...
    @property
    def acceleration(self) -> Box | None: ...
    @acceleration.setter
    def acceleration(self, arg: Box | None, /) -> None: ...
    @property
    def ramp_start(self) -> int: ...
    @ramp_start.setter
    def ramp_start(self, arg: int, /) -> None: ...
    @property
    def ramp_end(self) -> int: ...
    @ramp_end.setter
    def ramp_end(self, arg: int, /) -> None: ...
    @property
    def joints(self) -> bool: ...
    @joints.setter
    def joints(self, arg: bool, /) -> None: ...
    @property
    def adaptable(self) -> bool: ...
    @adaptable.setter
    def adaptable(self, arg: bool, /) -> None: ...

def reach_cost(
    robot: Robot,
    weights: ReachWeights,
    target: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    x: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
) -> tuple[
    float,
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
]: ...

class LinearSpec:
    def __init__(self) -> None: ...
    @property
    def horizon(self) -> int: ...
    @horizon.setter
    def horizon(self, arg: int, /) -> None: ...
    @property
    def A(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")]: ...
    @A.setter
    def A(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")], /) -> None: ...
    @property
    def B(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")]: ...
    @B.setter
    def B(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")], /) -> None: ...
    @property
    def c(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @c.setter
    def c(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def Q(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")]: ...
    @Q.setter
    def Q(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")], /) -> None: ...
    @property
    def R(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")]: ...
    @R.setter
    def R(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")], /) -> None: ...
    @property
    def q(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @q.setter
    def q(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def r(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @r.setter
    def r(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def Qf(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")]: ...
    @Qf.setter
    def Qf(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")], /) -> None: ...
    @property
    def qf(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
    @qf.setter
    def qf(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")], /) -> None: ...
    @property
    def control(self) -> Box | None: ...
    @control.setter
    def control(self, arg: Box | None, /) -> None: ...
    @property
    def state(self) -> Box | None: ...
    @state.setter
    def state(self, arg: Box | None, /) -> None: ...

class QuadrotorSpec:
    def __init__(self) -> None: ...
    @property
    def horizon(self) -> int: ...
    @horizon.setter
    def horizon(self, arg: int, /) -> None: ...
    @property
    def dt(self) -> float: ...
    @dt.setter
    def dt(self, arg: float, /) -> None: ...
    @property
    def mass(self) -> float: ...
    @mass.setter
    def mass(self, arg: float, /) -> None: ...
    @property
    def gravity(self) -> float: ...
    @gravity.setter
    def gravity(self, arg: float, /) -> None: ...
    @property
    def inertia(self) -> Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")]: ...
    @inertia.setter
    def inertia(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")], /) -> None: ...
    @property
    def actuation(self) -> Annotated[NDArray[numpy.float64], dict(shape=(4, 4), order="F")]: ...
    @actuation.setter
    def actuation(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(4, 4), order="F")], /) -> None: ...
    @property
    def running(self) -> ReachWeights: ...
    @running.setter
    def running(self, arg: ReachWeights, /) -> None: ...
    @property
    def terminal(self) -> ReachWeights: ...
    @terminal.setter
    def terminal(self, arg: ReachWeights, /) -> None: ...
    @property
    def control(self) -> Box | None: ...
    @control.setter
    def control(self, arg: Box | None, /) -> None: ...
    @property
    def height(self) -> Box | None: ...
    @height.setter
    def height(self, arg: Box | None, /) -> None: ...
    @property
    def columns(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order="C")]: ...
    @columns.setter
    def columns(self, arg: Annotated[NDArray[numpy.float64], dict(shape=(None, 3), order="C")], /) -> None: ...

def quadrotor_step(
    spec: QuadrotorSpec,
    x: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    u: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
def quadrotor_simulate(
    spec: QuadrotorSpec,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    U: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
def quadrotor_track(
    spec: QuadrotorSpec,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    desired: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    blend: float,
    lower: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    upper: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
]: ...
def arm_terms(
    robot: Robot,
    X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    A: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    W: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    kernel: str = "",
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
]: ...
def arm_kernels() -> list[str]: ...
def integrator_minimum(
    joints: int,
    h: float,
    c: float,
    hessians: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    stages: Sequence[int],
    gradient: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    kernel: str = "",
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
]: ...
def linear_minimum(
    A: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")],
    B: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")],
    hessians: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    weights: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    stages: Sequence[int],
    gradient: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    kernel: str = "",
    last: int = -1,
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
]: ...
def arm_batch(
    robot: Robot,
    spec: ReachSpec,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    target: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    inputs: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order="C", device="cpu")],
    velocities: bool = False,
    threads: int = 1,
    reference: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")] | None = None,
    reach: float = 1.0,
    kernel: str = "",
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
]: ...
def quadrotor_batch(
    spec: QuadrotorSpec,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    target: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    inputs: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 1,
    reference: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")] | None = None,
    reach: float = 1.0,
    kernel: str = "",
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
]: ...

class Interrupt:
    """Ends solves from another thread, after the iteration that they are at."""

    def __init__(self) -> None: ...
    def set(self) -> None:
        """Ends solves that have it, and those that begin."""

    def clear(self) -> None: ...
    def is_set(self) -> bool: ...

class SolveOptions:
    def __init__(self) -> None: ...
    @property
    def tol(self) -> float: ...
    @tol.setter
    def tol(self, arg: float, /) -> None: ...
    @property
    def mu_init(self) -> float: ...
    @mu_init.setter
    def mu_init(self, arg: float, /) -> None: ...
    @property
    def reg_min(self) -> float: ...
    @reg_min.setter
    def reg_min(self, arg: float, /) -> None: ...
    @property
    def max_iterations(self) -> int: ...
    @max_iterations.setter
    def max_iterations(self, arg: int, /) -> None: ...
    @property
    def early_stop(self) -> float: ...
    @early_stop.setter
    def early_stop(self, arg: float, /) -> None: ...
    @property
    def time_limit(self) -> float: ...
    @time_limit.setter
    def time_limit(self, arg: float, /) -> None: ...
    @property
    def interrupt(self) -> Interrupt | None: ...
    @interrupt.setter
    def interrupt(self, arg: Interrupt | None, /) -> None: ...
    @property
    def nonlinear_rollout(self) -> bool: ...
    @nonlinear_rollout.setter
    def nonlinear_rollout(self, arg: bool, /) -> None: ...
    @property
    def retry(self) -> bool: ...
    @retry.setter
    def retry(self, arg: bool, /) -> None: ...
    @property
    def sequence(self) -> bool: ...
    @sequence.setter
    def sequence(self, arg: bool, /) -> None: ...
    @property
    def gains(self) -> bool: ...
    @gains.setter
    def gains(self, arg: bool, /) -> None: ...

def fastest_squares(
    slope: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    bend: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    most: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    acceleration: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    step: float,
) -> Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")]: ...
def splined(
    knots: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    states: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    times: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
def sampled(
    times: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Q: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
    step: float,
    most_parts: int,
) -> tuple[
    Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
]: ...

class JointBounds:
    def __init__(
        self,
        *,
        lower: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        upper: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        velocity: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        torque: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        acceleration: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        gain: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        tolerance: float,
        curves: bool,
    ) -> None: ...
    def kept(
        self,
        times: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        Q: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        V: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        U: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        K: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order="C", device="cpu", writable=False)],
    ) -> bool: ...

class StageTerms:
    def __init__(
        self,
        hessians: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        gradients: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        constants: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        last_hessian: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="F")],
        last_gradient: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        last_constant: float,
    ) -> None: ...

class Start:
    def __init__(
        self,
        x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        target: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        X: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        U: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")],
        terms: StageTerms | None = None,
        weights: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")] | None = None,
    ) -> None: ...

class Worker:
    @overload
    def __init__(self, arg0: Robot, arg1: ReachSpec, /) -> None: ...
    @overload
    def __init__(self, arg: LinearSpec, /) -> None: ...
    @overload
    def __init__(self, arg: QuadrotorSpec, /) -> None: ...
    @property
    def nx(self) -> int: ...
    @property
    def nu(self) -> int: ...
    @property
    def horizon(self) -> int: ...
    def solve(self, start: Start, options: SolveOptions) -> dict: ...
    def restart(self) -> None: ...
    def adapt(self, robot: Robot, spec: ReachSpec) -> None: ...
    def weights(self) -> Annotated[NDArray[numpy.float64], dict(shape=(None, None), order="C")]: ...
    @property
    def shortest_solve(self) -> float: ...
    def cost(self, start: Start) -> float: ...

class Adjoints:
    """Of several solutions, which count along the first dimension of all arrays."""

    @property
    def X(self) -> NDArray[numpy.float64]: ...
    @property
    def U(self) -> NDArray[numpy.float64]: ...
    @property
    def x0(self) -> NDArray[numpy.float64]: ...
    @property
    def costates(self) -> NDArray[numpy.float64]: ...
    @property
    def own_costates(self) -> NDArray[numpy.float64]: ...
    @property
    def weights(self) -> NDArray[numpy.float64]: ...
    @property
    def target(self) -> NDArray[numpy.float64]: ...

def adjoint_each(
    workers: Sequence[Worker],
    solutions: Sequence[int],
    by_state: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order="C", device="cpu")],
    by_control: Annotated[NDArray[numpy.float64], dict(shape=(None, None, None), order="C", device="cpu")],
    threads: int = 1,
    costates: bool = True,
) -> Adjoints: ...
def solve_batch(workers: Sequence[Worker], starts: Sequence[Start], options: SolveOptions) -> list: ...
def solve_each(workers: Sequence[Worker], starts: Sequence[Start], options: SolveOptions, threads: int) -> list: ...

class UNet:
    def __init__(
        self,
        tensors: Mapping[str, Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)]],
        *,
        action_dim: int,
        obs_dim: int,
        horizon: int,
        hidden: Sequence[int],
        kernel: int,
        groups: int,
        cond_dim: int,
        step_dim: int,
        diffusion_steps: int,
        processor: str = "",
    ) -> None: ...
    @property
    def processor(self) -> str: ...
    def denoise(
        self,
        sample: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        step: Annotated[NDArray[numpy.int64], dict(shape=(None,), order="C", device="cpu", writable=False)],
        observation: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
    ) -> NDArray[numpy.float32]: ...
    def sample(
        self,
        weights: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        observation: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        history: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        noise: Annotated[NDArray[numpy.float32], dict(order="C", device="cpu", writable=False)],
        steps: Sequence[int] = ...,
    ) -> NDArray[numpy.float32]: ...

class ArmObservation:
    def __init__(
        self,
        *,
        origin: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")],
        first: int,
        last: int,
        horizon: int,
        end: int,
        damping: float,
        far: float,
        near: float,
        stretch: float,
    ) -> None: ...

class PolicyScales:
    def __init__(
        self,
        *,
        observation_mean: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        observation_scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        action_mean: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        action_scale: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    ) -> None: ...

class ChunkExecution:
    def __init__(
        self,
        *,
        horizon: int,
        steps: int,
        dt: float,
        blend: float,
        torque_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        velocity_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        acceleration_limit: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
        integrator: str,
    ) -> None: ...

def policy_rollouts(
    robot: Robot,
    network: UNet,
    observation: ArmObservation,
    scales: PolicyScales,
    execution: ChunkExecution,
    x0: Annotated[NDArray[numpy.float64], dict(shape=(None,), order="C")],
    target: Annotated[NDArray[numpy.float64], dict(shape=(3), order="C")],
    steps: Sequence[int],
    weights: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order="C", device="cpu", writable=False)],
    noise: Annotated[
        NDArray[numpy.float32], dict(shape=(None, None, None, None, None), order="C", device="cpu", writable=False)
    ],
    seconds: float,
    interrupt: Interrupt | None,
) -> tuple[list[NDArray[numpy.float64]], list[NDArray[numpy.float64]], int]: ...
