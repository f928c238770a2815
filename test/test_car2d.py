"""The car that a demonstration leads out of a U-shaped wall, and the table of `benchmarks/sampling.py`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sobo_planner.sampling.chain import ChainSettings

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_a_bad_demonstration_solves_what_sampling_alone_does_not() -> None:
    """The demonstration turns on the spot and skids sideways, which the car cannot."""
    car2d = load("car2d")
    settings = ChainSettings(samples=256, steps=60, noise=0.63)
    assert car2d.measure(settings, 0, None)["reward"] == pytest.approx(0.0, abs=1e-6)
    assert car2d.measure(settings, 0, car2d.demonstration())["reward"] > 0.1


def test_the_car_stops_at_the_wall_and_obeys_its_equations() -> None:
    car2d = load("car2d")
    U = np.zeros((1, 50, 2))
    U[:, :, 1] = -1.0  # to the right, into the wall
    X = car2d.Car().drive(U.reshape(1, -1))[0]
    assert X[0, 0] == -0.5  # a step of 0.3 m would end in it
    assert np.linalg.norm(X[-1, :2] - car2d.WALL, axis=1).min() >= car2d.RADIUS
    U[:, :, :] = [0.5, 0.2]  # an arc: its radius is speed over turning rate
    X = car2d.Car().drive(U.reshape(1, -1))[0]
    radius = 0.2 * car2d.SPEED / (0.5 * car2d.TURN)
    chord = np.linalg.norm(X[1, :2] - X[0, :2])
    assert chord == pytest.approx(2 * radius * np.sin(0.05 * 0.5 * car2d.TURN), rel=1e-4)


def test_the_table_of_sampling(tmp_path, monkeypatch, capsys) -> None:
    """A section that the file holds is not measured again."""
    sampling = load("sampling")
    path = tmp_path / "sampling.json"
    monkeypatch.setattr(sys, "argv", ["sampling.py", "--only", "pendulum", "--instances", "2", "--json", str(path)])
    sampling.main()
    assert "pendulum: own cost 3" in capsys.readouterr().out
    stored = json.loads(path.read_text())
    monkeypatch.setitem(sampling.SECTIONS, "pendulum", lambda count: pytest.fail("measured again"))
    sampling.main()
    assert json.loads(path.read_text()) == stored
