"""A task and its variants have one robot, which is read once: a URDF edited on disk afterwards changes nothing."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from robots import PANDA_FINGERS, PANDA_READY, PANDA_TOOL_FRAME, panda_urdf, ur5_urdf

from sobo_planner.paths import share_path
from sobo_planner.planner import Planner
from sobo_planner.robot import Robot
from sobo_planner.solver import Precision, Refinement
from sobo_planner.tasks import load_task


def own_task(folder: Path, name: str) -> Path:
    """A copy of a shipped task and of its URDF in a folder."""
    data = yaml.safe_load(share_path(f"config/{name}.yaml").read_text())
    urdf = folder / Path(data["robot"]["urdf"]).name
    shutil.copy(share_path(data["robot"]["urdf"]), urdf)
    data["robot"]["urdf"] = urdf.name
    path = folder / "own.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def edit(urdf: Path, how: str) -> None:
    """Makes another robot of the file, or none."""
    if how == "gone":
        urdf.unlink()
    elif how == "damaged":
        urdf.write_text("<robot>")
    else:
        text = urdf.read_text()
        assert 'mass value="' in text
        urdf.write_text(text.replace('mass value="', 'mass value="1'))


ALL = Refinement(position_limits=True, clearance=2e3, precision=Precision.THROUGHOUT)


@pytest.mark.parametrize("how", ["edited", "damaged", "gone"])
def test_variants_of_a_task_share_its_robot(tmp_path, how) -> None:
    task = load_task(own_task(tmp_path, "ur5"))
    edit(tmp_path / "ur5.urdf", how)
    pose = task.with_orientation()
    assert pose.robot is task.robot
    for each in (task, pose):
        assert each.make_worker(ALL).nx == 12  # read from memory


def test_an_edited_file_changes_no_plan(tmp_path) -> None:
    start, target = np.zeros(12), np.array([0.4, 0.3, 0.4])
    start[:6] = load_task("ur5").config.robot.home
    expected = Planner(load_task("ur5")).plan(start, target)
    planner = Planner(load_task(own_task(tmp_path, "ur5")))
    edit(tmp_path / "ur5.urdf", "edited")
    np.testing.assert_array_equal(planner.plan(start, target).U, expected.U)


@pytest.mark.parametrize("how", ["edited", "damaged", "gone"])
@pytest.mark.parametrize(("name", "urdf"), [("ur5", "ur5.urdf"), ("double_pendulum", "double_pendulum.urdf")])
def test_a_pickled_task_carries_its_robot(tmp_path, name, urdf, how) -> None:
    task = load_task(own_task(tmp_path, name))
    kept = pickle.dumps(task)
    edit(tmp_path / urdf, how)
    copy = pickle.loads(kept)
    assert (copy.hash, copy.policy_hash, copy.robot.hash) == (task.hash, task.policy_hash, task.robot.hash)
    n = task.nu
    q = np.linspace(-1.0, 1.0, n)
    np.testing.assert_array_equal(copy.robot.gravity(q), task.robot.gravity(q))
    again = pickle.loads(pickle.dumps(copy))
    assert again.hash == task.hash


def test_a_pickled_variant_is_the_same_variant(tmp_path) -> None:
    task = load_task(own_task(tmp_path, "ur5"))
    kept = pickle.dumps(task.with_orientation())
    edit(tmp_path / "ur5.urdf", "edited")
    copy = pickle.loads(kept)
    assert copy.hash == task.with_orientation().hash and copy.goal_type == "pose"
    np.testing.assert_array_equal(copy.robot.gravity(np.ones(6)), task.robot.gravity(np.ones(6)))


def test_a_pickled_robot_keeps_all_that_it_was_made_from() -> None:
    panda = Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, locked_joints=PANDA_FINGERS, armature=[0.1] * 7)
    copy = pickle.loads(pickle.dumps(panda))
    assert copy.hash == panda.hash and copy.joint_names == panda.joint_names
    assert copy.native.has_collision_geometry  # its meshes are read again
    q = np.array(PANDA_READY)
    state = (q, np.ones(7), np.ones(7))
    np.testing.assert_array_equal(copy.forward_dynamics(*state), panda.forward_dynamics(*state))


def test_a_pickled_heavier_robot_is_as_heavy(tmp_path) -> None:
    path = Path(shutil.copy(ur5_urdf(), tmp_path))
    heavier = Robot.from_urdf(path, "tool0").with_mass_scale(1.1).with_mass_scale(1.2)
    kept = pickle.dumps(heavier)
    edit(path, "edited")
    copy = pickle.loads(kept)
    assert copy.hash == heavier.hash
    np.testing.assert_array_equal(copy.gravity(np.ones(6)), heavier.gravity(np.ones(6)))
