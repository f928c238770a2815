"""The environment for reinforcement learning: its rewards are the task's costs; what goes wrong ends with a reason."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.solver import Instance
from sobo_planner.tasks import load_task

gymnasium = pytest.importorskip("gymnasium")
from gymnasium.utils.env_checker import check_env  # noqa: E402

from sobo_training.reinforcement.environment import PENALTY, TaskEnvironment  # noqa: E402
from sobo_training.reinforcement.learn import Reference, ReferenceOptions, learn  # noqa: E402

TASKS = ("lqr", "pendulum", "quadrotor", "ur5")


@pytest.fixture(scope="module")
def environments():
    return {name: TaskEnvironment(load_task(name)) for name in TASKS}


@pytest.mark.filterwarnings("ignore:.*Box observation space m.*infinity")
@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_accepts_it(environments, name):
    check_env(environments[name], skip_render_check=True)


@pytest.mark.parametrize("name", TASKS)
def test_rewards_add_up_to_the_cost(environments, name):
    env = environments[name]
    env.action_space.seed(3)
    _, info = env.reset(seed=1)
    X, U, total, over = [info["x"]], [], 0.0, False
    while not over:
        _, reward, over, truncated, info = env.step(0.2 * env.action_space.sample())
        X.append(info["x"])
        U.append(info["u"])
        total += reward
        assert not truncated
    assert len(U) == env.task.horizon and "diverged" not in info
    assert -total == pytest.approx(env.task.cost(np.array(X), np.array(U), info["target"]), rel=1e-9)
    np.testing.assert_allclose(env.task.simulate(X[0], np.array(U)), X, atol=1e-9)


def test_actions_span_the_bounds_and_are_clipped(environments):
    env = environments["quadrotor"]
    np.testing.assert_allclose(env.control(-np.ones(4)), env.task.control_lower)
    np.testing.assert_allclose(env.control(3.0 * np.ones(4)), env.task.control_upper)
    np.testing.assert_allclose(env.control(np.zeros(4)), 0.5 * env.task.control_upper)


def test_episodes_repeat_with_their_seed_and_take_a_given_instance(environments):
    env = environments["pendulum"]
    first, other = env.reset(seed=5)[1]["x"], env.reset()[1]["x"]
    assert np.array_equal(env.reset(seed=5)[1]["x"], first) and not np.array_equal(first, other)
    given = Instance(np.array([0.3, 0.0]), env.task.upright)
    assert env.reset(options={"instance": given})[1]["x"].tolist() == [0.3, 0.0]


def test_a_diverging_episode_ends_with_its_reason(environments):
    env = environments["lqr"]
    env.reset(options={"instance": Instance(np.full(4, 9999.0), np.zeros(3))})
    _, reward, terminated, truncated, info = env.step(np.zeros(2))
    assert terminated and not truncated and "step 1: the state reaches" in info["diverged"]
    assert reward == -PENALTY * env.task.horizon
    with pytest.raises(ConfigError, match="call reset first"):
        env.step(np.zeros(2))


@pytest.mark.parametrize("action", [np.zeros(3), np.array([np.nan, 0.0]), 0.5])
def test_an_action_that_does_not_fit_is_refused(environments, action):
    environments["lqr"].reset(seed=0)
    with pytest.raises(ConfigError, match="needs 2 finite numbers"):
        environments["lqr"].step(action)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"start": 1}, "unknown option start of reset"),
        ({"instance": Instance(np.zeros(3), np.zeros(3))}, "needs a finite state"),
        ({"instance": Instance(np.full(4, np.inf), np.zeros(3))}, "needs a finite state"),
    ],
)
def test_options_that_do_not_fit_are_refused(environments, options, reason):
    with pytest.raises(ConfigError, match=reason):
        environments["lqr"].reset(options=options)


def test_an_agent_goes_on_where_it_was_stopped(tmp_path):
    task, options = load_task("lqr"), ReferenceOptions("sac", calls=120, every=60, hidden=(8,))
    seen = []

    def measure(act):
        controls = act(np.zeros((2, 4)), np.zeros((2, 3)), 0)
        assert controls.shape == (2, 2) and np.all(np.abs(controls) <= task.control_upper)
        seen.append(controls)
        if len(seen) == 2:
            raise SoboError("stopped")
        return {"cost": float(len(seen)), "failed": 0, "reason": ""}

    with pytest.raises(SoboError, match="stopped"):
        learn(task, tmp_path, options, measure, {})
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "failed"
    again = Reference(task, tmp_path, options)
    again.resume()
    assert again.agent.num_timesteps == 120 and again.agent.replay_buffer.size() == 120
    np.testing.assert_array_equal(again.act(np.zeros((2, 4)), np.zeros((2, 3)), 0), seen[1])
    status = learn(task, tmp_path, options, measure, {})
    assert [(each["cost"], each["calls"]) for each in status["iterations"]] == [(1.0, 60), (3.0, 120)]
    assert status["iterations"][0]["seconds"]["learning"] > 0.0
    assert status["state"] == "finished"
    with pytest.raises(ConfigError, match="another run: calls: the folder has 120, this call asks for 180"):
        learn(task, tmp_path, ReferenceOptions("sac", calls=180, every=60, hidden=(8,)), measure, {})
    (tmp_path / "agent.zip").write_bytes(b"")
    with pytest.raises(ConfigError, match="damaged"):
        again.resume()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "trpo"}, "unknown method 'trpo'; known: ppo, sac"),
        ({"calls": 0}, "calls must be at least 1"),
        ({"gamma": 1.5}, "gamma must lie in"),
        ({"hidden": ()}, "at least one layer"),
        ({"seed": -1}, "seed must not be negative"),
    ],
)
def test_bad_options_are_refused(changes, reason):
    with pytest.raises(ConfigError, match=reason):
        ReferenceOptions(**changes)
