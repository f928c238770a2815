import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_policy import copy_to
from toy_task import ToyTask

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Policy, Sampler
from sobo_training.learning.diffusion import alphas_cumprod, make_scheduler


class LinearEngine:
    """Stands for a network; remembers what it saw."""

    name = "linear"

    def __init__(self) -> None:
        self.seen: list[tuple[np.ndarray, np.ndarray]] = []

    def denoise(self, sample, step, observation):
        self.seen.append((sample.copy(), step))
        return np.float32(0.7) * sample + observation[:, None, :3] + np.float32(0.1) * step[:, None, None]


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_sampling_equals_diffusers(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same noise through diffusers' scheduler, history written back before each step and at the end."""
    rng = np.random.default_rng(0)
    sampler, engine, scheduler = Sampler(alphas_cumprod(steps)), LinearEngine(), make_scheduler(steps)
    observation, history = rng.normal(size=(4, 3)).astype("f4"), rng.normal(size=(4, 2, 3)).astype("f4")
    noise = sampler.noise((4, 8, 3), rng)
    found = sampler.sample(engine, observation, history, noise)

    draws = iter(noise[1:])
    monkeypatch.setattr(
        "diffusers.schedulers.scheduling_ddpm.randn_tensor", lambda *a, **k: torch.from_numpy(next(draws))
    )
    chunk = torch.from_numpy(noise[0].copy())
    scheduler.set_timesteps(steps)
    for k in scheduler.timesteps:
        chunk[:, :2] = torch.from_numpy(history)
        prediction = LinearEngine().denoise(chunk.numpy(), np.full(4, int(k)), observation)
        chunk = scheduler.step(torch.from_numpy(prediction), int(k), chunk).prev_sample
    chunk[:, :2] = torch.from_numpy(history)
    np.testing.assert_allclose(found, chunk.numpy(), atol=1e-5)
    assert next(draws, None) is None


def test_history_is_known_at_every_step_and_in_the_result() -> None:
    sampler, engine = Sampler(alphas_cumprod(5)), LinearEngine()
    history = np.full((2, 1, 3), 7, np.float32)
    rng = np.random.default_rng(0)
    chunk = sampler.sample(engine, np.zeros((2, 3), "f4"), history, sampler.noise((2, 8, 3), rng))
    assert [step.tolist() for _, step in engine.seen] == [[k, k] for k in (4, 3, 2, 1, 0)]
    assert all((sample[:, :1] == 7).all() for sample, _ in engine.seen)
    assert (chunk[:, :1] == 7).all() and (chunk[:, 1:] != 7).all()


@given(st.integers(1, 50))
def test_posterior_of_the_forward_process(steps: int) -> None:
    """Eq. (4)-(5): a sample of tau_{k-1} from the posterior has the marginal of eq. (3) at k - 1."""
    bar = np.array(alphas_cumprod(steps))
    sampler = Sampler(bar)
    before = np.concatenate(([1.0], bar[:-1]))
    mean = sampler.clean_weight + sampler.noised_weight * np.sqrt(bar)
    variance = sampler.noised_weight**2 * (1 - bar) + sampler.deviation**2
    np.testing.assert_allclose(mean, np.sqrt(before), atol=1e-6)
    np.testing.assert_allclose(variance, 1 - before, atol=1e-6)
    assert sampler.deviation[0] == 0


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return Policy.load(copy_to(tmp_path_factory.mktemp("sampler")), ToyTask())


X, TARGET = np.array([0.3, -0.1, 0.2, 0.4]), np.array([0.5, 0.5, 0.0])


def test_policy_samples_in_physical_units(policy: Policy) -> None:
    actions = policy.sample(X, TARGET, np.random.default_rng(0), samples=3)
    assert actions.shape == (3, 8, 4) and actions.dtype == np.float64
    np.testing.assert_allclose(actions[:, 0], np.tile([0, 0, 0.2, 0.4], (3, 1)), atol=1e-6)
    assert not np.allclose(actions[0], actions[1])


def test_seed_fixes_the_result(policy: Policy) -> None:
    first, second = (policy.sample(X, TARGET, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_batches_of_states_equal_samples_of_one_state(policy: Policy) -> None:
    together = policy.sample(np.tile(X, (3, 1)), TARGET, np.random.default_rng(0))
    np.testing.assert_array_equal(together, policy.sample(X, TARGET, np.random.default_rng(0), samples=3))
    each = policy.sample(np.tile(X, (3, 1)), np.tile(TARGET, (3, 1)), np.random.default_rng(0))
    np.testing.assert_array_equal(together, each)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(policy: Policy, bad: float) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(PolicyError, match="must be finite"):
        policy.sample(np.array([0.0, bad, 0.0, 0.0]), TARGET, rng)
    with pytest.raises(PolicyError, match="must be finite"):
        policy.sample(X, np.array([0.0, bad, 0.0]), rng)
    with pytest.raises(PolicyError, match="observation is not finite"):
        policy.sample_chunk(np.full((1, 4), bad), np.zeros((1, 1, 4)), rng)


def test_predictions_that_are_not_finite_are_refused(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy.engine, "sample", lambda *arguments: arguments[3][0] * np.nan)
    with pytest.raises(PolicyError, match="predicts values that are not finite"):
        policy.sample(X, TARGET, np.random.default_rng(0))


def test_wrong_shapes_are_refused(policy: Policy) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(PolicyError, match=r"observation has shape \(1, 5\), the policy expects \(1, 4\)"):
        policy.sample_chunk(np.zeros((1, 5)), np.zeros((1, 1, 4)), rng)
    with pytest.raises(PolicyError, match=r"history has shape \(1, 2, 4\), the policy expects \(1, 1, 4\)"):
        policy.sample_chunk(np.zeros((1, 4)), np.zeros((1, 2, 4)), rng)
    with pytest.raises(PolicyError, match="x must be"):
        policy.sample(np.zeros((2, 4)), TARGET, rng, samples=2)
    with pytest.raises(PolicyError, match="without a task"):
        Policy(policy.artifact, policy.engine).sample(X, TARGET, rng)


@pytest.mark.parametrize(
    ("taken", "steps"), [(0, [0, 1, 2, 3, 4]), (1, [4]), (2, [2, 4]), (3, [1, 3, 4]), (9, [0, 1, 2, 3, 4])]
)
def test_the_noisiest_step_is_always_taken(taken: int, steps: list[int]) -> None:
    alphas = [0.9, 0.65, 0.34, 0.09, 1e-4]
    sampler = Sampler(alphas, taken)
    assert sampler.steps == steps
    same = Sampler([alphas[k] for k in steps])  # a process that has these steps only
    np.testing.assert_array_equal(sampler.weights, same.weights)
