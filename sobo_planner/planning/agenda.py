"""What one search is to try: attempts that wait, and starters that are asked for more when their turn comes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress

from sobo_planner.errors import DeadlineError
from sobo_planner.planning.attempts import (
    Attempt,
    Queue,
    Stage,
    alternative_attempts,
    first_attempts,
    last_attempts,
)
from sobo_planner.planning.mending import is_free
from sobo_planner.planning.proposals import Proposal
from sobo_planner.planning.record import Record
from sobo_planner.planning.refiner import Refiner
from sobo_planner.planning.starters import Starter
from sobo_planner.solver import Budget, Instance
from sobo_planner.tasks import ArmReach
from sobo_planner.tasks.arm.problem import AMONG_WEIGHT

# Depth [m] to which policies' ways may lie in objects for no way round these to be searched for at first: the solver
# leads them out.
GRAZING = 0.02


@dataclass(frozen=True)
class Starters:
    """Who proposes the starts of a search.

    Attributes:
        first: Propose the first starts.
        alternatives: Proposes other ones where those lead nowhere.
        last: Proposes starts where none of them has reached the goal; it knows no objects.
        around: Propose ways past objects: the first one where no other start is free of contact, each of the rest
            where what was tried before leads nowhere. Without objects each where that leads nowhere, for goals of the
            joints on whose ways links touch.
    """

    first: Sequence[Starter]
    alternatives: Starter
    last: Starter | None = None
    around: Sequence[Starter] = ()


class Agenda:
    """The attempts of one search that wait.

    Args:
        starters: Who proposes starts.
        task: The task.
        instance: What is searched for.
        budget: Time, and who may interrupt.
        refiner: Knows how much time starters have to leave.
        record: What the attempts have brought.

    Attributes:
        queue: The attempts.
    """

    def __init__(
        self, starters: Starters, task: ArmReach, instance: Instance, budget: Budget, refiner: Refiner, record: Record
    ) -> None:
        self._starters, self._task, self._instance, self._budget = starters, task, instance, budget
        self._refiner, self._record = refiner, record
        self._around = list(starters.around)  # those not asked yet
        self._clearance = task.least_clearance
        self._among, self._to_joints = bool(starters.around) and self._clearance > 0.0, task.goal_type == "joints"
        # What is asked in turn, and the stage before which no attempt may wait then.
        self._turns: list[tuple[Stage, Callable[[], list[Attempt]]]] = []
        self._touching: list[Proposal] = []  # starts that have their turn once all others have led nowhere
        self.queue = Queue(self._first())
        self._turns.append((Stage.ALTERNATIVE, self._alternatives))
        if starters.last is not None and self._clearance == 0.0:
            self._turns.append((Stage.SAMPLED, functools.partial(self._last, starters.last)))

    def add_more(self) -> bool:
        """Adds the attempts of the starters whose turn it is, if it is anyone's. Returns whether they were asked."""
        if not self._turns or self.queue.holds_before(self._turns[0][0]):
            return False
        _, more = self._turns.pop(0)
        self.queue.add(more())
        return True

    def _first(self) -> list[Attempt]:
        proposals = [proposal for starter in self._starters.first for proposal in self._ask(starter)]
        if not self._among:
            return first_attempts(proposals, self._clearance)
        are_free = [_is_free(self._task, each) for each in proposals]
        free = list(compress(proposals, are_free))
        ways = [] if free else self._way_past()
        if free or ways:  # what touches seldom comes free
            self._touching = [each for each, is_free in zip(proposals, are_free, strict=True) if not is_free]
            proposals = free or ways
        if all(each.in_cell for each in free):
            self._turns += [(Stage.LIMITS, self._another_way)] * (3 if free else 2)
        return first_attempts(proposals, self._clearance)

    def _another_way(self) -> list[Attempt]:
        return first_attempts(self._way_past(), self._clearance)

    def _way_past(self) -> list[Proposal]:
        """The ways of the next one of `Starters.around`; none where all were asked."""
        return self._ask(self._around.pop(0)) if self._around else []

    def _alternatives(self) -> list[Attempt]:
        proposals = self._ask(self._starters.alternatives)
        links_touch = self._to_joints and self._record.collided
        if self._among or links_touch:
            proposals = self._with_ways_past(proposals)
        if self._touching:
            self._turns.append((Stage.SAMPLED, lambda: first_attempts(self._touching, self._clearance)))
        clearance = AMONG_WEIGHT if links_touch else self._clearance
        return alternative_attempts(proposals, self._record.collided, self._rank, clearance)

    def _with_ways_past(self, proposals: list[Proposal]) -> list[Proposal]:
        """The next way past objects beside other starts that are free; further ways have their turns later.

        What touches something comes after all ways, and with a goal of the joints all other starts do: they go by way
        of anywhere.
        """
        free = [] if self._to_joints else [each for each in proposals if not self._rank(each)[0]]
        touching = [each for each in proposals if all(each is not other for other in free)]
        ways = self._way_past()
        for _ in self._around:
            self._turns.append((Stage.SAMPLED, lambda: self._detours(self._way_past())))
        if touching:
            self._turns.append((Stage.SAMPLED, functools.partial(self._detours, touching)))
        return [*free, *ways]

    def _detours(self, proposals: list[Proposal]) -> list[Attempt]:
        return alternative_attempts(proposals, True, self._rank, AMONG_WEIGHT)

    def _last(self, starter: Starter) -> list[Attempt]:
        return last_attempts(self._ask(starter), self._record.collided) if self._record.reaches_nothing else []

    def _ask(self, starter: Starter) -> list[Proposal]:
        """A starter's proposals; none if it takes so long that no time would be left to refine any."""
        with self._record.account.phase(starter.phase):
            try:
                return starter.propose(self._task, self._instance, self._budget.keeping(self._refiner.least))
            except DeadlineError:
                return []

    def _rank(self, proposal: Proposal) -> tuple[bool, float]:
        """Whether a proposal collides, and its cost."""
        guess, task = proposal.guess, self._task
        if proposal.duration is not None:
            task = task.lasting(proposal.duration)
        collides = task.robot.first_collision(guess.X[:, : task.nu]) is not None
        return collides, task.cost(guess.X, guess.U, self._instance.target)


def _is_free(task: ArmReach, proposal: Proposal) -> bool:
    """Whether a proposal touches nothing, or its way is so near to one that does that the solver finds that.

    The latter holds for policies' ways: whatever else touches, touches deep.
    """
    Q = proposal.guess.X[:, : task.nu] if proposal.way is None else proposal.way
    if is_free(task, Q):
        return True
    if not proposal.in_cell:
        return False
    contacts = [contact for q in Q if (contact := task.robot.contact(q)) is not None]
    return all(contact.object and contact.distance > -GRAZING for contact in contacts)
