"""Collection spread over the processes of a Ray cluster, with the same solutions as on threads.

Each worker process builds its own task, solver and policy, once. When a worker dies, Ray
gives its instances to another one; instances that kill their workers repeatedly are reported as rejected.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sobo_planner.errors import ConfigError, SoboError
from sobo_planner.solver import Solver
from sobo_planner.terminal import orderly_end
from sobo_training.data.collection import CollectOptions
from sobo_training.data.collector import Collector, Outcome
from sobo_training.data.instances import Stream, draw

if TYPE_CHECKING:
    from sobo_planner.tasks import Task

logger = logging.getLogger(__name__)

#: Times that Ray gives a batch to another worker after its own has died.
RETRIES = 3
#: Longest wait for the machine at RAY_ADDRESS [s].
CONNECT_SECONDS = 5.0
#: What an instance is rejected for when its workers die.
WORKER_LOST = "worker_lost"


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        hint = 'install it with: pip install "sobo_planner[ray]"'
        raise ConfigError(f"cannot import {error.name}: the executor ray needs Ray; {hint}") from error
    return ray


@contextmanager
def cluster() -> Iterator[Any]:
    """Connects to the cluster that Ray finds (RAY_ADDRESS, or one that runs on this machine), or starts a local one.

    Nothing happens where the process is connected already.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at RAY_ADDRESS.
    """
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.rpartition(":")
    try:
        if host and port.isdigit() and "/" not in host:
            socket.create_connection((host, int(port)), CONNECT_SECONDS).close()  # Ray itself tries for minutes
        ray.init(logging_level=logging.WARNING, log_to_driver=False, include_dashboard=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot connect to a Ray cluster (RAY_ADDRESS: {address or 'not set'}): {error}") from error
    with orderly_end():
        try:
            yield ray
        finally:
            ray.shutdown()


@dataclass(frozen=True)
class Job:
    """What a worker needs to know, in one message; policies are sent as bytes, for workers on other machines."""

    task: Task
    task_hash: str
    options: CollectOptions
    policy: dict[str, bytes] | None

    def collector(self) -> Collector:
        """Builds task, solver and policy.

        Raises:
            ConfigError: The worker's installation makes another task of the same configuration.
        """
        if self.task.hash != self.task_hash:
            raise ConfigError(f"a worker has another version of the task {self.task.name}: {self.task.hash}")
        policy = None
        if self.policy is not None:
            from sobo_planner.policy import Policy

            with tempfile.TemporaryDirectory(prefix="sobo-policy-") as folder:
                for name, content in self.policy.items():
                    (Path(folder) / name).write_bytes(content)
                policy = Policy.load(folder, self.task)
        return Collector(self.task, Solver(self.task), self.options, policy)


_collectors: dict[str, Collector] = {}
"""The worker's one collector, by the key of its job."""


def _solve(key: str, job: bytes, numbers: list[int]) -> list[Outcome]:
    if key not in _collectors:
        _collectors.clear()
        _collectors[key] = pickle.loads(job).collector()
    return _collectors[key].solve(numbers)


class RayCollector:
    """Solves instances in the worker processes of a cluster.

    Args:
        task: The task.
        options: What to collect; each worker solves on one thread.
        policy_folder: Policy whose rollout is one more start.
    """

    def __init__(self, task: Task, options: CollectOptions, policy_folder: str | Path | None) -> None:
        files = (
            None if policy_folder is None else {each.name: each.read_bytes() for each in Path(policy_folder).iterdir()}
        )
        self.task, self.options = task, options
        self.job = pickle.dumps(Job(task, task.hash, replace(options, threads=1), files))
        self.key = uuid.uuid4().hex

    def solve_shards(self, shards: list[list[int]], advance: Callable[[int], Any]) -> Iterator[list[Outcome]]:
        """Solves the instances of several shards, one task a shard, and yields them in the order they are done."""
        with cluster() as ray:
            job = ray.put(self.job)
            remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_solve)
            waiting = list(reversed(shards))
            running: dict[Any, list[int]] = {}
            while waiting or running:
                while waiting and len(running) < 2 * max(1, int(ray.cluster_resources().get("CPU", 1))):
                    numbers = waiting.pop()
                    running[remote.remote(self.key, job, numbers)] = numbers
                done, _ = ray.wait(list(running), num_returns=1)
                numbers = running.pop(done[0])
                outcomes = self._outcomes(ray, done[0], numbers)
                if outcomes is None:
                    waiting += [[number] for number in reversed(numbers)]  # one by one, to find the one that kills
                    continue
                advance(len(outcomes))
                yield outcomes

    def _outcomes(self, ray: Any, reference: Any, numbers: list[int]) -> list[Outcome] | None:
        """A task's result; None for a batch whose workers died, rejection for a single instance whose did."""
        try:
            outcomes: list[Outcome] = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SoboError):
                raise error.cause from error
            raise SoboError(f"a worker of the Ray cluster failed: {error.cause!r}") from error
        except ray.exceptions.RayError as error:
            logger.warning("instances %s: their workers were lost: %s", numbers, str(error).splitlines()[0])
            if len(numbers) > 1:
                return None
            instance, _ = draw(self.task, Stream.COLLECT, self.options.seed, numbers[0])
            return [Outcome(numbers[0], instance, None, None, (WORKER_LOST,))]
        return outcomes
