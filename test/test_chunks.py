import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_task import ToyTask

from sobo_planner.errors import DatasetError
from sobo_training import memory
from sobo_training.learning.chunks import SCALE_FLOOR, TrainingSet, build, floored_scale
from sobo_training.learning.losses import Batch


@pytest.fixture(scope="module")
def task() -> ToyTask:
    return ToyTask()


@pytest.fixture(scope="module")
def solutions(task: ToyTask) -> SimpleNamespace:
    return task.solutions(3)


@pytest.fixture(scope="module")
def data(task: ToyTask, solutions: SimpleNamespace) -> TrainingSet:
    return build(solutions, task, 8)


def test_one_chunk_from_each_step(data: TrainingSet) -> None:
    assert len(data) == 3 * 20
    shapes = [tuple(t.shape[1:]) for t in vars(data.samples).values()]
    assert shapes == [(4,), (4, 4), (8, 4), (8, 4, 4)]
    assert all(t.dtype == torch.float32 for t in vars(data.samples).values())


def test_chunks_hold_the_end_of_their_trajectory(task: ToyTask, solutions: SimpleNamespace, data: TrainingSet) -> None:
    whole = data.normaliser.restore_action(data.samples.chunk[13].double().numpy())
    expected = task.actions("state").encode(solutions.X[0], solutions.U[0], 8)
    np.testing.assert_allclose(whole, expected[13], atol=1e-6)
    last = data.normaliser.restore_action(data.samples.chunk[19].double().numpy())
    np.testing.assert_allclose(last, expected[19], atol=1e-6)
    np.testing.assert_allclose(last[2:, 2:], 0.0, atol=1e-6)
    J = data.samples.chunk_jacobian[19].numpy()
    np.testing.assert_array_equal(J[2:, 2:], 0.0)
    np.testing.assert_allclose(J[2:, :2], np.repeat(J[1:2, :2], 6, axis=0), atol=1e-6)


def test_normalised_jacobians_predict_normalised_perturbations(
    task: ToyTask, solutions: SimpleNamespace, data: TrainingSet
) -> None:
    """Everything is linear here: moving the start by s_x dx moves outputs by exactly J_n dx and O_n dx."""
    n, t, dx = data.normaliser, 5, np.array([0.3, -0.2, 0.5, 0.1])
    x = solutions.X[1, t] + n.state_scale * dx
    moved, controls = task.roll(x, solutions.target[1], 7)
    index = 20 + t
    chunk = n.action(task.actions("state").encode(moved, controls, 8)[0]) - data.samples.chunk[index].numpy()
    np.testing.assert_allclose(data.samples.chunk_jacobian[index].numpy() @ dx, chunk, atol=1e-5)
    seen = n.observation(task.observation(x, solutions.target[1])) - data.samples.observation[index].numpy()
    np.testing.assert_allclose(data.samples.observation_jacobian[index].numpy() @ dx, seen, atol=1e-5)


def test_normalised_values_have_unit_spread(data: TrainingSet) -> None:
    observation = data.samples.observation
    torch.testing.assert_close(observation.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(observation.std(0, correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_given_scaling_is_used(task: ToyTask, solutions: SimpleNamespace, data: TrainingSet) -> None:
    again = build(task.solutions(2, seed=9), task, 8, normaliser=data.normaliser)
    assert again.normaliser is data.normaliser


def test_scale_has_a_floor_within_its_group() -> None:
    values = np.random.default_rng(0).normal(size=(4000, 5)) * [1.0, 0.001, 10.0, 10.0, 0.0]
    scale = floored_scale(values, (slice(0, 2), slice(2, 4), slice(4, 5)))
    np.testing.assert_allclose(scale, [1.0, SCALE_FLOOR, 10.0, 10.0, 1.0], rtol=0.05)


def test_columns_outside_all_groups_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"columns \[2\] belong to no group"):
        floored_scale(np.ones((3, 3)), (slice(0, 2),))


@pytest.mark.parametrize("field", ["X", "K"])
def test_values_that_are_not_finite_are_refused(task: ToyTask, field: str) -> None:
    solutions = task.solutions(2)
    broken = np.array(getattr(solutions, field))
    broken[1, 10] = np.nan
    with pytest.raises(DatasetError, match="not finite"):
        build(SimpleNamespace(**(vars(solutions) | {field: broken})), task, 8)


def test_trajectories_shorter_than_a_chunk_are_refused(task: ToyTask, solutions: SimpleNamespace) -> None:
    with pytest.raises(DatasetError, match="trajectories of 21 states are shorter than a chunk of 22"):
        build(solutions, task, 22)


def test_no_trajectories(task: ToyTask, solutions: SimpleNamespace) -> None:
    with pytest.raises(DatasetError, match="no trajectories"):
        build(SimpleNamespace(**{k: v[:0] for k, v in vars(solutions).items()}), task, 8)


def test_trust_is_a_mean_over_the_elements_of_a_chunk(data: TrainingSet) -> None:
    """1 / sqrt(1 + |J|_F^2 / n): a chunk twice as long with the same derivatives is trusted as much."""
    size = torch.tensor([0.0, 1.0, 2.0])[:, None, None, None]
    for slots in (4, 8):  # |J|_F^2 / n is 5 times the square of the size, whatever n
        chunk, jacobian = torch.zeros(3, slots, 2), size * torch.ones(3, slots, 2, 5)
        samples = Batch(torch.zeros(3, 1), torch.zeros(3, 1, 5), chunk, jacobian)
        trust = dataclasses.replace(data, samples=samples).trust()
        torch.testing.assert_close(trust, torch.tensor([1.0, 6.0**-0.5, 21.0**-0.5]))


def test_trajectories_that_do_not_fit_into_memory_are_refused(
    task: ToyTask, solutions: SimpleNamespace, data: TrainingSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any chunk is cut: what is asked for is what the chunks take."""
    taken = sum(each.nbytes for each in vars(data.samples).values())
    monkeypatch.setattr(memory, "available", lambda: taken)
    build(solutions, task, 8)
    monkeypatch.setattr(memory, "available", lambda: taken - 1)
    with pytest.raises(DatasetError, match=f"{len(solutions.X)} trajectories to train on take"):
        build(solutions, task, 8)
