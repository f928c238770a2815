"""Every shipped policy: made for the task as shipped, and its rollouts end at the target."""

from __future__ import annotations

import numpy as np
import pytest

from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.policy.rollout import rollouts
from sobo_planner.tasks import load_task
from sobo_training.data.instances import Stream, draw

POLICIES = sorted(path.parent for path in share_path("config/policies").glob("*/config.json"))
INSTANCES = 6


@pytest.mark.parametrize("folder", POLICIES, ids=lambda folder: folder.name)
def test_rollouts_end_near_the_target(folder):
    task = load_task(folder.name)
    policy, samples = Policy.load(folder, task), task.config.policy.samples
    errors = []
    for number in range(INSTANCES):
        instance, _ = draw(task, Stream.EVALUATE, 4, number)
        made = rollouts(task, policy, instance, rng=np.random.default_rng(number), samples=samples)
        errors.append(task.final_error(made.best.X, instance.target))
        stays = np.tile(instance.x0, (task.horizon + 1, 1))
        assert errors[-1] < 0.2 * task.final_error(stays, instance.target)
    assert np.median(errors) < task.success_distance


def test_there_are_policies():
    assert {"ur5", "double_pendulum", "quadrotor"} <= {folder.name for folder in POLICIES}
