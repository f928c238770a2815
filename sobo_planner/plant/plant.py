"""The plant: an arm in MuJoCo, and what is measured of it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sobo_planner.errors import PlantError
from sobo_planner.plant import model as description
from sobo_planner.robot import Robot

Array = NDArray[np.float64]

# Longest step of the integration [s]. MuJoCo's integrator `implicitfast` treats damping implicitly, so that light
# wrists stay stable; its error is of first order. Along plans of the UR5 the tool is within 0.12 mm of where steps of
# 25 us lead, with steps of 1 ms within 0.5 mm.
STEP = 2.5e-4


@dataclass(frozen=True)
class Conditions:
    """In what a plant differs from the arm that its planner knows.

    Attributes:
        damping: Viscous damping of the joints [Nm s/rad], one number each; None: what the robot knows.
        friction: Their dry friction [Nm]; None: what the robot knows.
        mass_error: Share by which every link is heavier than in the URDF.
        payload: Point mass that the tool carries beside the URDF's [kg].
        payload_centre: Its place in the tool's frame [m].
        latency: Age of what the controller knows of the state [s].
        position_noise: Standard deviation of measured positions [rad or m].
        velocity_noise: The same of velocities [rad/s or m/s].
        seed: Of the noise.
    """

    damping: tuple[float, ...] | None = None
    friction: tuple[float, ...] | None = None
    mass_error: float = 0.0
    payload: float = 0.0
    payload_centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    latency: float = 0.0
    position_noise: float = 0.0
    velocity_noise: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("payload", "latency", "position_noise", "velocity_noise"):
            value = getattr(self, name)
            if not 0.0 <= value < np.inf:
                raise PlantError(f"{name} must be a finite number of 0 or more, got {value:g}")
        if not -1.0 < self.mass_error < np.inf:
            raise PlantError(f"mass_error must be a finite number above -1, got {self.mass_error:g}")


class Plant:
    """An arm in MuJoCo. Torques beyond the effort limits are cut off.

    Args:
        robot: The arm: its URDF, armature, gravity and effort limits, and what it knows of friction. A payload or
            mass error of the robot does not count, those of the conditions do.
        conditions: In what the plant differs from it.

    Raises:
        PlantError: MuJoCo is not installed, or refuses the description; or a size is wrong.
    """

    def __init__(self, robot: Robot, conditions: Conditions = Conditions()) -> None:
        self.robot, self.conditions = robot, conditions
        self._module = module = description.mujoco()
        centre = np.asarray(conditions.payload_centre, float)
        self._model, self._tool = description.build(robot, conditions.payload, centre)
        self._model.dof_damping[:] = self._of_joints("damping", conditions.damping, robot.damping)
        self._model.dof_frictionloss[:] = self._of_joints("friction", conditions.friction, robot.friction)
        self._model.dof_solref[:] = description.FRICTION_TIME, 1.0
        self._model.dof_solimp[:, :2] = description.FRICTION_IMPEDANCE
        self._scale(1.0 + conditions.mass_error)
        self._data = module.MjData(self._model)

    def _of_joints(self, name: str, given: tuple[float, ...] | None, known: Array) -> Array:
        values = known if given is None else np.asarray(given, float)
        if values.shape != known.shape or not (np.isfinite(values) & (values >= 0.0)).all():
            raise PlantError(f"{name} needs {len(known)} numbers of 0 or more, one for each joint, got {given}")
        return values

    def _scale(self, factor: float) -> None:
        """Multiplies masses and inertias of the URDF's links."""
        model = self._model
        links = [i for i in range(model.nbody) if model.body(i).name != "payload"]
        model.body_mass[links] *= factor
        model.body_inertia[links] *= factor
        self._module.mj_setConst(model, self._module.MjData(model))

    def step(self, x: ArrayLike, u: ArrayLike, dt: float, external: ArrayLike = 0.0) -> Array:
        """State (2 nv,) after torques have acted for dt [s] on x = [q, v], in steps of `STEP` or less.

        Args:
            x: State, (2 nv,).
            u: Torques of the drives, which the effort limits cut off, (nv,).
            dt: For how long [s].
            external: Torques from outside, (nv,).
        """
        count = int(np.ceil(dt / STEP - 1e-9))
        self._model.opt.timestep = dt / count
        self._set(x, u)
        self._data.qfrc_applied += external
        self._module.mj_step(self._model, self._data, count)
        return np.concatenate([self._data.qpos, self._data.qvel])

    def acceleration(self, x: ArrayLike, u: ArrayLike) -> Array:
        """Accelerations (nv,) in a state x (2 nv,) under torques u (nv,)."""
        self._set(x, u)
        self._module.mj_forward(self._model, self._data)
        return np.array(self._data.qacc)

    def tool_position(self, q: ArrayLike) -> Array:
        """Position of the tool at q (nq,), shape (3,) [m]."""
        self._data.qpos[:] = q
        self._module.mj_kinematics(self._model, self._data)
        return np.array(self._data.xpos[self._tool])

    def tool_positions(self, Q: ArrayLike) -> Array:
        """Positions of the tool at each row of Q (N, nq), shape (N, 3) [m]."""
        return np.array([self.tool_position(q) for q in np.asarray(Q, float)])

    def _set(self, x: ArrayLike, u: ArrayLike) -> None:
        n, limit = self.robot.nv, self.robot.effort_limit
        state = np.asarray(x, float)
        self._data.qpos[:], self._data.qvel[:] = state[:n], state[n:]
        self._data.qfrc_applied[:] = np.clip(np.asarray(u, float), -limit, limit)


class Sensor:
    """What a controller gets to know of the state: late, and with noise.

    Args:
        x: State (2n,) until now.
        conditions: Latency and noise.
        period: Time between two measurements [s]; the latency is rounded to it.
    """

    def __init__(self, x: ArrayLike, conditions: Conditions, period: float) -> None:
        start = np.array(x, float)
        late = round(conditions.latency / period)
        self._states = deque([start] * (late + 1), maxlen=late + 1)
        n = len(start) // 2
        self._noise = np.repeat([conditions.position_noise, conditions.velocity_noise], n)
        self._rng = np.random.default_rng(conditions.seed)

    def measure(self, x: Array) -> Array:
        """The measured state (2n,) where the true one is x."""
        self._states.append(x)
        return self._states[0] + self._noise * self._rng.standard_normal(len(x))
