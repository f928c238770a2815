"""A linear-quadratic reaching task, small enough to train on in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from sobo_planner.tasks.actions import ControlActions, StateActions


@dataclass
class ToyTask:
    """Two double integrators that steer to `target`; x = [q, v], action = (q_h - q_0, v_h)."""

    name: str = "toy"
    hash: str = "toy-task"
    policy_hash: str = "toy-policy"
    dt: float = 0.1
    T: int = 20
    nx: int = 4
    ndx: int = 4
    nu: int = 2
    obs_dim: int = 4
    robot_hash: str = "toy-robot"
    observation_groups: tuple[slice, ...] = (slice(0, 2), slice(2, 4))
    state_groups: tuple[slice, ...] = (slice(0, 2), slice(2, 4))
    config: Any = field(
        default_factory=lambda: SimpleNamespace(
            policy=SimpleNamespace(T_h=8, T_o=1, T_a=4, K=5, hidden=(16, 16)),
            training=SimpleNamespace(loss="sobolev", mode="jvp", alpha=1.0, lr=3e-3, batch=16, steps=20),
        )
    )

    def __post_init__(self) -> None:
        one, zero = np.eye(2), np.zeros((2, 2))
        self.A = np.block([[one, self.dt * one], [zero, one]])
        self.B = np.vstack((0.5 * self.dt**2 * one, self.dt * one))
        S = np.eye(4)
        for _ in range(500):
            self.K = -np.linalg.solve(0.1 * one + self.B.T @ S @ self.B, self.B.T @ S @ self.A)
            S = np.eye(4) + self.A.T @ S @ (self.A + self.B @ self.K)

    def observation(self, x, target, t=0):
        return np.concatenate((target[:2] - x[:2], x[2:]))

    def observation_jacobian(self, x, target):
        return np.diag([-1.0, -1.0, 1.0, 1.0])

    def actions(self, kind):
        if kind == "control":
            return ControlActions(np.full(2, -np.inf), np.full(2, np.inf), self.simulate)
        return StateActions(2, np.diag([1.0, 1.0, 0.0, 0.0]), self.state_groups, self.follow)

    def simulate(self, x, U):
        X = [x]
        for u in U:
            X.append(self.A @ X[-1] + self.B @ u)
        return np.array(X)

    def follow(self, x, desired):
        U = []
        for state in desired:
            U.append((state[2:] - x[2:]) / self.dt)
            x = self.A @ x + self.B @ U[-1]
        return self.simulate(x, U), np.array(U)

    def roll(self, x, target, steps):
        """Optimal closed-loop trajectory: states [steps + 1, 4], controls [steps, 2]."""
        goal = np.concatenate((target[:2], np.zeros(2)))
        X, U = [x], []
        for _ in range(steps):
            U.append(self.K @ (X[-1] - goal))
            X.append(self.A @ X[-1] + self.B @ U[-1])
        return np.array(X), np.array(U)

    def solutions(self, n, seed=0):
        """`n` optimal trajectories in the layout of a dataset."""
        rng = np.random.default_rng(seed)
        x0, target = rng.normal(size=(n, 4)), rng.normal(size=(n, 3))
        rolls = [self.roll(x, goal, self.T) for x, goal in zip(x0, target, strict=True)]
        return SimpleNamespace(
            X=np.stack([r[0] for r in rolls]),
            U=np.stack([r[1] for r in rolls]),
            A=np.broadcast_to(self.A, (n, self.T, 4, 4)),
            B=np.broadcast_to(self.B, (n, self.T, 4, 2)),
            K=np.broadcast_to(self.K, (n, self.T, 2, 4)),
            target=target,
        )
