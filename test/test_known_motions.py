"""Which motions count as the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scripted_planning import solution

from sobo_planner.planning.attempts import CAPPED
from sobo_planner.planning.known_motions import SAME, KnownMotions
from sobo_planner.solver import Refinement

QUICK = Refinement(iterations=CAPPED)


@given(st.floats(-3.0, 3.0), st.floats(0.0, 0.9), st.floats(1.1, 10.0))
def test_a_motion_is_new_until_one_near_it_was_found_by_the_same_refinement(at: float, near: float, far: float) -> None:
    known = KnownMotions()
    X, moved, away = solution(at).X, solution(at + near * SAME).X, solution(at + far * SAME).X
    moved[:, 1:] += 10.0  # velocities follow from positions
    assert known.add(QUICK, X) and not known.add(QUICK, moved) and not known.add(Refinement(), X)
    assert known.add(QUICK, away) and not known.add(QUICK, away)
    assert known.add(Refinement(clearance=1.0), X) and known.add(Refinement(position_limits=True), X)


def test_motions_a_degree_apart_are_one_and_two_degrees_apart_are_two() -> None:
    known = KnownMotions()
    assert known.add(QUICK, solution(0.0).X) and not known.add(QUICK, solution(0.018).X)
    assert known.add(QUICK, solution(0.035).X)


def test_one_knot_makes_another_motion() -> None:
    known, X = KnownMotions(), solution(0.0).X
    other = X.copy()
    other[2, 0] += 2 * SAME
    assert known.add(QUICK, X) and known.add(QUICK, other)


def test_what_is_not_finite_is_always_new() -> None:
    known, X = KnownMotions(), np.full((3, 4), np.nan)
    assert known.add(QUICK, X) and known.add(QUICK, X)
