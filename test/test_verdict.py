"""Verdicts: words that follow from paired figures, and how often they are wrong by chance."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from sobo_training.evaluation.attempts import Attempt
from sobo_training.evaluation.statistics import interval_of_ratio, sign_test
from sobo_training.evaluation.verdict import Effort, change, compare, effort, render

BEFORE = [Effort(True, True, float(n), 10.0 * n, 1.0 + 0.01 * n) for n in range(5, 25)]


def scaled(factor: float, cost: float = 1.0, rng: np.random.Generator | None = None) -> list[Effort]:
    """The efforts with other iterations and costs, scattered by 2 %."""
    noise = np.ones(len(BEFORE)) if rng is None else rng.normal(1.0, 0.02, len(BEFORE))
    return [
        dataclasses.replace(each, iterations=each.iterations * factor * s, cost=each.cost * cost * s)
        for each, s in zip(BEFORE, noise, strict=True)
    ]


@pytest.mark.parametrize(
    ("factor", "cost", "words", "whole"),
    [
        (0.6, 1.0, ("better", "same"), "better"),
        (1.9, 1.0, ("worse", "same"), "worse"),
        (1.0, 1.0, ("same", "same"), "same"),
        (0.6, 1.2, ("better", "worse"), "mixed"),
        (1.0, 0.9, ("same", "better"), "better"),
        (1.0, 1.004, ("same", "same"), "same"),
    ],
)
def test_words_follow_from_the_ratios(factor, cost, words, whole):
    found = compare(BEFORE, scaled(factor, cost))
    assert (found["iterations"]["found"], found["cost"]["found"], found["overall"]) == (*words, whole)
    assert found["iterations"]["ratio"] == pytest.approx(factor)
    assert found["cost"]["before"] == pytest.approx(np.mean([each.cost for each in BEFORE]))


def test_what_scatters_too_much_is_unclear():
    swapped = [dataclasses.replace(each, cost=BEFORE[-1 - i].cost) for i, each in enumerate(BEFORE[::-1])]
    found = compare(BEFORE, swapped)
    assert found["iterations"]["found"] == "unclear" and found["overall"] == "unclear"
    assert "not sure" in render(found, "the policy", "no policy")


def test_few_instances_prove_nothing():
    found = compare(BEFORE[:5], scaled(0.5)[:5])
    assert found["iterations"]["ratio"] == pytest.approx(0.5) and found["overall"] == "unclear"
    alone = compare(BEFORE[:1], scaled(0.5)[:1])
    assert alone["iterations"]["ratio"] is None and "fewer than two instances" in render(alone, "a", "b")


def test_goals_that_are_lost_outweigh_iterations():
    lost = [dataclasses.replace(each, reached=i >= 6) for i, each in enumerate(scaled(0.6))]
    found = compare(BEFORE, lost)
    assert found["success"] == {
        "before": 1.0, "after": 0.7, "gained": 0, "lost": 6, "chance": pytest.approx(2 / 64), "found": "worse"
    }  # fmt: skip
    assert found["overall"] == "worse"
    text = render(found, "the policy", "no policy")
    assert "WORSE than no policy" in text and "100 % -> 70 %, 0 gained, 6 lost" in text
    one = compare(BEFORE, [dataclasses.replace(each, reached=i > 0) for i, each in enumerate(scaled(0.6))])
    assert (one["success"]["found"], one["overall"]) == ("unclear", "better")


def test_a_failed_solve_is_no_advantage():
    """It counts as the most iterations and the longest time of all, and its cost does not count."""
    failed = [dataclasses.replace(each, good=i > 1, cost=math.nan) if i < 2 else each for i, each in enumerate(BEFORE)]
    found = compare(BEFORE, failed)
    iterations = [24.0, 24.0, *(each.iterations for each in BEFORE[2:])]
    assert found["iterations"]["after"] == pytest.approx(np.mean(iterations))
    assert found["time_ms"]["after"] == pytest.approx(10.0 * np.mean(iterations))
    assert found["cost"]["ratio"] == pytest.approx(1.0)
    assert found["cost"]["after"] == pytest.approx(np.mean([each.cost for each in BEFORE[2:]]))


def test_times_hold_what_makes_the_start():
    solved = Attempt("converged", 1.0, 4, 20.0, 3.0, 0.005)
    assert effort(solved, 0.01).time_ms == 23.0
    rolled = effort(solved, 0.01, rollout=Attempt("valid", 2.0, 0, 7.0))
    assert rolled.time_ms == 27.0 and rolled.reached and not effort(solved, 0.001).reached
    assert not effort(Attempt("failed"), 0.01).good


def test_a_slower_policy_is_named_so_where_times_are_comparable():
    slower = [dataclasses.replace(each, time_ms=1.5 * each.time_ms) for each in scaled(0.6)]
    found = compare(BEFORE, slower)
    assert "better than no policy, but takes longer" in render(found, "the policy", "no policy")
    text = render(found, "the policy", "no policy", times=False)
    assert "longer" not in text and "time" not in text


def test_two_policies_are_compared_by_their_refined_rollouts():
    def report(iterations: int) -> dict:
        rollout, refined = Attempt("valid", 2.0, 0, 5.0), Attempt("converged", 1.0, iterations, 9.0, 0.0, 0.001)
        rows = [{"policy": vars(rollout), "refined": vars(refined)} for _ in range(8)]
        return {"success_distance": 0.01, "rows": rows}

    found = change(report(6), report(3))
    assert found["iterations"]["ratio"] == 0.5 and found["overall"] == "better"
    assert found["time_ms"]["before"] == 14.0


@pytest.mark.parametrize("n", [6, 20])
def test_intervals_hold_the_ratio_as_often_as_they_say(n):
    """Iterations with a heavy tail on both sides, the true ratio of their means 1."""
    rng, missed = np.random.default_rng(0), 0
    for _ in range(300):
        a, b = (2.0 + rng.geometric(0.4, n) for _ in range(2))
        low, high = interval_of_ratio(a, b)
        missed += not low < 1 < high
    assert 2 < missed < 30  # 15 are expected


def test_sign_test_is_the_binomial_one():
    for wins, losses in ((0, 0), (6, 0), (1, 9), (4, 4)):
        expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        assert sign_test(wins, losses) == pytest.approx(expected)
