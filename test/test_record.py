"""What a search has taken."""

from __future__ import annotations

import time

import pytest

from sobo_planner.errors import DeadlineError
from sobo_planner.planning.record import Account


def test_the_time_of_a_phase_adds_up_however_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    monkeypatch.setattr(time, "monotonic", iter([70.0, 70.5, 80.0, 81.0]).__next__)
    with account.phase("start"):
        pass
    with pytest.raises(DeadlineError), account.phase("start"):
        raise DeadlineError("late")
    monkeypatch.undo()
    assert account.seconds == {"policy": 0.0, "start": 1.5, "refine": 0.0}
