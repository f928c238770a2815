"""Policies that predict nonsense on the running node, over real DDS."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs rclpy: the extra `ros` or a ROS distribution")

from node_tools import MODES, StiffArm, ask, count, is_at, planned, plans, serving
from ros_harness import ros_system
from safetensors.numpy import load_file, save_file

from sobo_planner.paths import share_path
from sobo_planner.tasks import Task

both_modes = pytest.mark.parametrize("mode", MODES)


@pytest.fixture(scope="module")
def target(task: Task, home: np.ndarray) -> np.ndarray:
    return task.robot.tool_position(home + 0.3)


def changed_policy(folder: Path, layer: str, factor: float) -> Path:
    """The shipped policy with one layer's weights multiplied, and a checksum that says that this is so."""
    shutil.copytree(share_path("config/policies/ur5"), folder)
    weights = load_file(folder / "model.safetensors")
    with np.errstate(over="ignore"):
        weights[layer] = weights[layer] * np.float32(factor)
    save_file(weights, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["files"]["model.safetensors"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@both_modes
def test_a_policy_that_is_not_finite(
    task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path, mode: str
) -> None:
    """Finite for the zeros that it is tried with when it is loaded, and not for any observation."""
    folder = changed_policy(tmp_path / "policy", "observation_encoder.0.weight", 1e36)
    with serving(tmp_path, task, home, mode, f"policy:={folder}") as (probe, arm):
        report = ask(probe, arm, target)
        assert planned(report) and report["source"] != "policy"
        arm.wait(lambda: count(probe, "POLICY_FAILED") > 0)
        arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - target) < 0.05)
        assert not any(report["source"] == "policy" for report in plans(probe))


@both_modes
def test_a_policy_that_is_absurd(task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path, mode: str) -> None:
    """Joint positions of thousands of rad: what the arm can follow of them costs more than other starts."""
    folder = changed_policy(tmp_path / "policy", "final_conv.weight", 1e8)
    with serving(tmp_path, task, home, mode, f"policy:={folder}") as (probe, arm):
        report = ask(probe, arm, target)
        assert planned(report) and report["source"] != "policy"
        arm.wait(lambda: np.linalg.norm(task.robot.tool_position(arm.state()[:6]) - target) < 0.05)


def test_weights_that_overflow_leave_the_other_engine(
    task: Task, home: np.ndarray, target: np.ndarray, tmp_path: Path
) -> None:
    """The network that takes its weights from this file is passed over at once, and that is said."""
    pytest.importorskip("onnxruntime")
    folder = changed_policy(tmp_path / "policy", "final_conv.weight", 1e39)
    with ros_system(tmp_path, task.robot.joint_names) as system:
        process, probe = system.start_planner(f"policy:={folder}"), system.probe
        arm = StiffArm(probe, home)
        arm.wait(lambda: is_at(probe, "READY"))
        assert planned(ask(probe, arm, target))
        assert process.text().count("trying the next: native") == 1
