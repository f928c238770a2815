"""Policy rollouts of arms in one native call, which leaves the interpreter to other threads."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from sobo_planner import _native
from sobo_planner.policy.engines.native import NativeEngine
from sobo_planner.policy.policy import Policy
from sobo_planner.solver import Budget, Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.actions import StateActions
from sobo_planner.tasks.arm.encoding import DAMPING, FAR
from sobo_planner.tasks.features import END, NEAR

Array = NDArray[np.float64]

SCALES = ("observation_mean", "observation_scale", "action_mean", "action_scale")


def can_roll_out(policy: Policy) -> bool:
    """Whether a policy predicts states of an arm with the network in the native extension."""
    if type(policy) is not Policy or type(policy.task) is not ArmReach or policy.T_o != 1:
        return False  # others may encode and sample as they like
    engine = policy.engine
    return (
        isinstance(policy.actions, StateActions)
        and isinstance(engine, NativeEngine)
        and isinstance(engine.network, _native.UNet)
    )


def native_rollouts(
    policy: Policy, instance: Instance, horizon: int, T_a: int, rng: np.random.Generator, samples: int, budget: Budget
) -> tuple[Array, Array] | None:
    """Rolls a policy out as `rollouts` does, with the same noise.

    Args:
        policy: A policy for which `can_roll_out` holds.
        instance: Initial state and target.
        horizon: Steps of the rollouts.
        T_a: Steps executed of each chunk.
        rng: Source of the diffusion noise.
        samples: Noise samples.
        budget: Looked at before each chunk.

    Returns:
        States (samples, horizon + 1, nx) and controls (samples, horizon, nu); None if the budget did not suffice.

    Raises:
        PolicyError: A state or a prediction is not finite.
    """
    task: ArmReach = policy.task
    spec = policy.artifact.spec
    chunks = -(-horizon // T_a)
    noise = rng.standard_normal((chunks, len(policy.sampler.steps), samples, spec.T_h, spec.action_dim), np.float32)
    vectors = {name: np.asarray(getattr(spec.normaliser, name), np.float64) for name in SCALES}
    X, U, done = _native.policy_rollouts(
        task.robot.native,
        cast(NativeEngine, policy.engine).network,
        _observation(task),
        _native.PolicyScales(**vectors),
        _execution(task, horizon, T_a),
        np.asarray(instance.x0, float),
        np.asarray(instance.target[:3], float),
        policy.sampler.steps,
        policy.sampler.weights,
        noise,
        budget.left(),
        budget.interrupt,
    )
    return (np.array(X), np.array(U)) if done == horizon else None


def _observation(task: ArmReach) -> _native.ArmObservation:
    first, last = task.angles
    return _native.ArmObservation(
        origin=task.origin,
        first=first,
        last=last,
        horizon=task.horizon,
        end=END,
        damping=DAMPING,
        far=FAR,
        near=NEAR,
        stretch=task.stretch,
    )


def _execution(task: ArmReach, horizon: int, T_a: int) -> _native.ChunkExecution:
    torque, velocity, acceleration = task.tracking_limits()
    return _native.ChunkExecution(
        horizon=horizon,
        steps=T_a,
        dt=task.dt,
        blend=task.config.policy.blend,
        torque_limit=torque,
        velocity_limit=velocity,
        acceleration_limit=acceleration,
        integrator=task.integrator,
    )
