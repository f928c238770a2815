"""Any task as an environment for gymnasium, for reinforcement learning beside planning and imitation.

    import sobo_planner.tasks
    from sobo_training.reinforcement.environment import TaskEnvironment

    environment = TaskEnvironment(sobo_planner.tasks.load_task("pendulum"))
    observation, info = environment.reset(seed=0)
    observation, reward, terminated, truncated, info = environment.step(environment.action_space.sample())

An episode is one instance over the whole horizon; the sum of its rewards is minus the cost of the trajectory as
`Task.cost` counts it. It needs the extra `rl`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import ConfigError
from sobo_planner.solver import Instance
from sobo_training.evaluation.closed_loop import advance
from sobo_training.reinforcement.stages import StageCosts

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
#: What an episode that diverged is charged for each step that it lacks [cost].
PENALTY = 1e4


class TaskEnvironment(gymnasium.Env[Floats, Floats]):
    """Episodes of a task: instances from its distribution, steps of its discrete dynamics, its costs as rewards.

    Observations are those of the task's policies, the time left among them. Actions lie in [-1, 1] and are scaled to
    the bounds of the controls; what lies outside is clipped.

    An episode ends after the task's horizon (`terminated`: the terminal cost belongs to the problem), or where the
    state diverges (`closed_loop.DIVERGED`); then every step that it lacks costs `PENALTY`, and `info["diverged"]` says
    why.

    Args:
        task: The task.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, task: Task) -> None:
        self.task, self.stages = task, StageCosts(task)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (task.obs_dim,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (task.nu,), np.float32)
        self._instance: Instance | None = None
        self._x, self._t = np.zeros(task.nx), 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Floats, dict[str, Any]]:
        """Begins an episode.

        Args:
            seed: Seeds the instances from now on; None goes on with the generator there is.
            options: `instance`: the `Instance` to begin with, instead of a random one.

        Returns:
            The first observation, and `info` with the state `x` and the `target`.

        Raises:
            ConfigError: Options that are not known, or an instance that does not fit the task.
        """
        super().reset(seed=seed)
        unknown = sorted(set(options or {}) - {"instance"})
        if unknown:
            raise ConfigError(f"unknown option {', '.join(unknown)} of reset; known: instance")
        given = (options or {}).get("instance")
        self._instance = self.task.sample(self.np_random) if given is None else self._checked(given)
        self._x, self._t = np.array(self._instance.x0, float), 0
        return self._observe(), self._info()

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """Applies an action (nu,) for one step.

        Returns:
            Observation, reward, whether the episode is over, False (there is no time limit beside the horizon), and
            `info` with the state `x`, the `target`, the control `u` that was applied, and `diverged` where it did.

        Raises:
            ConfigError: The episode is over or has not begun, or the action has another shape or is not finite.
        """
        if self._instance is None or self._t >= self.task.horizon:
            raise ConfigError("the episode is over, or has not begun: call reset first")
        u, target = self.control(action), self._instance.target
        x, reason = advance(self.task, self._x, u)
        self._t += 1
        info: dict[str, Any] = {"u": u}
        if reason:
            info["diverged"] = f"step {self._t}: {reason}"
            cost, self._t = PENALTY * (1 + self.task.horizon - self._t), self.task.horizon
        else:
            cost = self.stages.running(self._x, u, x, target)
            self._x = x
            if self._t == self.task.horizon:
                cost += self.stages.terminal(x, target)
        return self._observe(), -float(cost), self._t == self.task.horizon, False, self._info() | info

    def control(self, action: Floats) -> Array:
        """The control (nu,) that an action (nu,) stands for.

        Raises:
            ConfigError: See `step`.
        """
        given = np.asarray(action, float)
        if given.shape != (self.task.nu,) or not np.isfinite(given).all():
            raise ConfigError(f"an action needs {self.task.nu} finite numbers in [-1, 1], got {action!r}")
        return scaled(self.task, given)

    def _observe(self) -> Floats:
        assert self._instance is not None
        return np.asarray(self.task.observation(self._x, self._instance.target, self._t), np.float32)

    def _info(self) -> dict[str, Any]:
        assert self._instance is not None
        return {"x": self._x.copy(), "target": np.array(self._instance.target, float)}

    def _checked(self, given: Any) -> Instance:
        x0, target = np.asarray(getattr(given, "x0", ())), np.asarray(getattr(given, "target", ()))
        if x0.shape != (self.task.nx,) or not np.isfinite(x0).all() or target.shape != (3,):
            raise ConfigError(f"the instance needs a finite state ({self.task.nx},) and a target (3,), got {given!r}")
        return Instance(x0.astype(float), target.astype(float))


def scaled(task: Task, action: Array) -> Array:
    """Controls (..., nu) that actions (..., nu) in [-1, 1] stand for."""
    half = 0.5 * (task.control_upper - task.control_lower)
    out: Array = task.control_lower + half * (1.0 + np.clip(action, -1.0, 1.0))
    return out
