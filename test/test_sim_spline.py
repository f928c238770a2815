"""Splines of the simulated arm, time after time: the same as for many times at once."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from sobo_planner.motion import splined
from sobo_planner.ros.simulator.spline import Spline


@pytest.mark.parametrize("knots", [[0.0, 0.3], [0.0, 0.02, 0.04, 0.06], [-1.0, 0.5, 0.6, 4.0, 4.001]])
def test_states_are_those_of_the_splines(knots: list[float], rng: np.random.Generator) -> None:
    """Between knots, on them, before and after all, forwards and to and fro."""
    time = np.array(knots)
    X = rng.normal(size=(len(time), 6))
    spline = Spline(time, X)
    times = np.concatenate([np.linspace(time[0] - 0.1, time[-1] + 0.1, 57), time, rng.uniform(time[0], time[-1], 20)])
    found = np.array([spline.state(float(t)) for t in times])
    np.testing.assert_allclose(found, splined(time, X, times), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(spline.state(-9.0), X[0], atol=1e-10)
    np.testing.assert_allclose(spline.state(9.0), X[-1], atol=1e-10)
