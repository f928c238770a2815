"""What is in a bag, as far as it is used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sobo_training.bags.files import Bag
from sobo_training.bags.goals import Goal
from sobo_training.bags.joint_states import Array
from sobo_training.bags.motions import Motion
from sobo_training.bags.plans import LoggedPlan, Refusal
from sobo_training.bags.records import Damage
from sobo_training.bags.topics import Names
from sobo_training.bags.worlds import LoggedWorlds


@dataclass
class Contents:
    """What is in a bag.

    Attributes:
        bag: The bag.
        names: How it names things.
        motions: What the arm did from rest to rest.
        plans: Plans of this package.
        refusals: Goals that its node refused.
        goals: Goals that were sent, refused or not.
        trajectories: What others commanded.
        history: Where the arm was, now and then: time of the recording [ns] and positions.
        uses: What became of the messages of each topic.
        totals: Messages of each topic.
        types: Type of each topic.
        damages: Parts of the files that cannot be read.
        unused_motions, unused_plans: By cause.
        worlds: The worlds that plans were made in.
        notes: What else is to be known.
        first, last: When the first and the last message were recorded [ns]; None without any.
    """

    bag: Bag
    names: Names
    motions: list[Motion] = field(default_factory=list)
    plans: list[LoggedPlan] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    trajectories: list[Motion] = field(default_factory=list)
    history: list[tuple[int, Array]] = field(default_factory=list)
    uses: dict[str, Counter[str]] = field(default_factory=dict)
    totals: Counter[str] = field(default_factory=Counter)
    types: dict[str, str] = field(default_factory=dict)
    damages: list[Damage] = field(default_factory=list)
    unused_motions: Counter[str] = field(default_factory=Counter)
    unused_plans: Counter[str] = field(default_factory=Counter)
    worlds: LoggedWorlds = field(default_factory=lambda: LoggedWorlds(""))
    notes: list[str] = field(default_factory=list)
    first: int | None = None
    last: int | None = None
