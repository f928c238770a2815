"""The solutions of a run of the interplay loop: what each iteration solves, and what it learns from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sobo_training.data.collect import collect
from sobo_training.data.collection import CollectOptions, CollectSummary
from sobo_training.data.dataset import Dataset, load
from sobo_training.data.logged import improve, recombine
from sobo_training.interplay.options import seed_of
from sobo_training.interplay.setup import Setup
from sobo_training.learning.chunks import Part

#: Instances to try for each solution wanted, before giving up.
ATTEMPTS = 20


class Solutions:
    """Solutions by iteration, which count from 0.

    Args:
        setup: What all iterations share.
        place: Where an iteration keeps something, by its name.
        progress: Show progress bars.
    """

    def __init__(self, setup: Setup, place: Callable[[int, str], Path], progress: bool) -> None:
        self.setup, self.place, self.progress = setup, place, progress

    def collect(self, iteration: int) -> CollectSummary:
        """Solves new instances from the task's starts and from the policy's rollout, and keeps the cheaper solution; an
        instance that cannot be solved is replaced by another. Logged solutions are replaced by cheaper ones, and as
        many new pairs of their starts and goals are solved as new instances, or instead of these for a policy that
        keeps what it can do elsewhere."""
        setup, task, settings = self.setup, self.setup.task, self.setup.settings
        has_policy = iteration > 0 or setup.given is not None
        policy = self.place(iteration - 1, "policy") if has_policy else None
        seed, threads = seed_of(setup.options.seed, iteration), setup.options.threads
        wanted = settings.trajectories_of(iteration)
        options = CollectOptions(
            count=ATTEMPTS * wanted,
            wanted=wanted,
            seed=seed,
            starts=settings.starts_of(iteration + (setup.given is not None)),
            threads=threads,
            shard_size=2 * threads,
        )
        if setup.logged is not None:
            known = load(self.place(iteration - 1, "logged"), task) if iteration else setup.logged
            improve(known, task, self.place(iteration, "logged"), policy, seed, threads, self.progress)
            pairs = recombine(known, task, self.place(iteration, "recombined"), options, policy, self.progress)
            if setup.keeps:
                return pairs
        return collect(task, self.place(iteration, "data"), options, policy, self.progress, setup.options.executor)

    def buffer(self, iteration: int) -> tuple[Dataset, tuple[Part, ...]]:
        """The solutions to learn from, the logged and recombined ones first, and how much of each batch is drawn from
        these, and from sampled ones where there are any."""
        setup, task = self.setup, self.setup.task
        kept = range(iteration if setup.settings.reset else 0, iteration + 1)
        sampled = [self.place(i, "data") for i in kept]
        if setup.logged is None:
            return load(sampled, task), ()
        used = [self.place(iteration, "logged"), *(self.place(i, "recombined") for i in kept)]
        if setup.keeps:
            return load(used, task), ()
        data, count = load([*used, *sampled], task), len(load(used, task))
        share = setup.options.logged_share
        return data, ((count, share), (len(data) - count, 1.0 - share))
