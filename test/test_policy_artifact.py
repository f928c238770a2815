import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_policy import copy_to, result
from toy_task import ToyTask

from sobo_planner.errors import PolicyError
from sobo_planner.policy import Artifact, Normaliser, Policy, PolicySpec
from sobo_training.export import exporter as module
from sobo_training.learning.diffusion import alphas_cumprod

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return copy_to(tmp_path)


def edit(folder: Path, **changes: object) -> None:
    """Change fields of config.json; a value of `...` removes the field."""
    path = folder / "config.json"
    data = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in data.items() if v is not ...}))


def test_exported_policy_describes_itself(folder: Path) -> None:
    spec = Artifact.load(folder).spec
    assert (spec.task, spec.task_hash, spec.robot_hash) == ("toy", "toy-policy", "toy-robot")
    assert (spec.action_dim, spec.observation_dim, spec.state_dim) == (4, 4, 4)
    assert (spec.T_h, spec.T_o, spec.T_a, spec.K) == (8, 1, 4, 5)
    assert spec.alphas_cumprod == pytest.approx(alphas_cumprod(5))
    assert spec.training["steps"] == 0 and spec.training["config"]["loss"] == "sobolev"
    np.testing.assert_array_equal(spec.normaliser.action_scale, result().normaliser.action_scale)


def test_files_can_be_read_by_others(folder: Path) -> None:
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.iterdir())


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "step.onnx"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PolicyError, match=f"cannot read .*{name}"):
        Policy.load(folder)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot read .*nowhere"):
        Policy.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["model.safetensors", "step.onnx"])
@pytest.mark.parametrize("cut", [False, True])
def test_damaged_file(folder: Path, name: str, cut: bool) -> None:
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data[: len(data) // 2] if cut else data)
    with pytest.raises(PolicyError, match=f"{name} is damaged"):
        Policy.load(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": "other"}', "[" * 100_000])
def test_config_that_is_not_a_policy(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    with pytest.raises(PolicyError, match=r"config\.json"):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "format version 3; this program reads version 2"),
        ({"T_h": ...}, "fields missing.*T_h"),
        ({"colour": "red"}, "unknown.*colour"),
        ({"K": 0}, "K must be a positive integer, got 0"),
        ({"T_o": True}, "T_o must be a positive integer"),
        ({"T_a": 8}, "do not fit into T_h=8"),
        ({"K": 4}, "alphas_cumprod must be K=4 numbers"),
        ({"alphas_cumprod": [0.9, 0.9, 0.5, 0.2, 0.1]}, "fall strictly"),
        ({"alphas_cumprod": [float("nan")] * 5}, "fall strictly"),
        ({"action_dim": 5}, "action_dim is 5, but the normaliser has 4"),
        ({"task": 3}, "task must be text"),
        ({"files": []}, "files must be a mapping"),
        ({"files": {}}, "is damaged or of another policy"),
        ({"normaliser": {}}, "normaliser must hold"),
    ],
)
def test_bad_field_is_named(folder: Path, change: dict, message: str) -> None:
    edit(folder, **change)
    with pytest.raises(PolicyError, match=message):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, 0.0, 1.0, 1.0], "action_scale must be positive"),
        ([1.0, float("inf"), 1.0, 1.0], "must be a finite vector"),
        ([[1.0]], "must be a finite vector"),
        ([1.0], "mean has 4 entries, scale 1"),
        ("x", "other than numbers"),
        (["x"] * 4, "other than numbers"),
    ],
)
def test_bad_scaling_is_named(folder: Path, value: object, message: str) -> None:
    data = json.loads((folder / "config.json").read_text())["normaliser"]
    edit(folder, normaliser=data | {"action_scale": value})
    with pytest.raises(PolicyError, match=message):
        Policy.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "ur5"}, "trained for task toy, but here it is ur5"),
        ({"robot_hash": "other"}, "trained for robot toy-robot, but here it is other"),
        ({"policy_hash": "new"}, "trained for task settings toy-policy, but here it is new"),
        ({"obs_dim": 5}, "observation size 4, but here it is 5"),
        ({"ndx": 6}, "state size 4, but here it is 6"),
    ],
)
def test_policy_of_another_task_is_refused(folder: Path, change: dict, message: str) -> None:
    Policy.load(folder, ToyTask())
    with pytest.raises(PolicyError, match=message):
        Policy.load(folder, dataclasses.replace(ToyTask(), **change))


def test_onnx_of_other_sizes_is_found_at_load_time(folder: Path) -> None:
    normaliser = result().normaliser.to_dict()
    longer = {name: [1.0, *v] if name.startswith("observation") else v for name, v in normaliser.items()}
    edit(folder, observation_dim=5, normaliser=longer)
    with pytest.raises(PolicyError, match="does not run"):
        Policy.load(folder)


def test_disagreeing_engine_stops_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy_to(tmp_path)
    before = (folder / "config.json").read_text()
    denoise = module.TorchEngine.denoise
    monkeypatch.setattr(module.TorchEngine, "denoise", lambda *a: denoise(*a) + 0.01)
    with pytest.raises(PolicyError, match=r"native differs from torch by 1\.0.e-02"):
        module.export(result(), ToyTask(), folder)
    assert (folder / "config.json").read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]


def test_export_replaces_an_older_policy(tmp_path: Path) -> None:
    """What else is in its folder is somebody's."""
    folder = copy_to(tmp_path)
    edit(folder, task="older")
    (folder / "notes").touch()
    module.export(result(), ToyTask(), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "notes", "step.onnx"]
    assert Policy.load(folder).artifact.spec.task == "toy"


def test_run_time_needs_no_torch(folder: Path) -> None:
    code = f"""
import sys
from sobo_planner.policy import Policy
Policy.load({str(folder)!r})
assert not {{"torch", "diffusers", "onnx"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


vectors = st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3)
scales = st.lists(st.floats(1e-3, 1e3), min_size=3, max_size=3)


@given(mean=vectors, scale=scales, value=vectors)
def test_scaling_is_inverted(mean: list, scale: list, value: list) -> None:
    normaliser = Normaliser(*map(np.array, (mean, scale, mean, scale, scale)))
    again = Normaliser.from_dict(json.loads(json.dumps(normaliser.to_dict())))
    np.testing.assert_allclose(again.restore_action(normaliser.action(np.array(value))), value, atol=1e-9)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(field=st.sampled_from([f.name for f in dataclasses.fields(PolicySpec)]), value=json_values)
def test_any_json_is_accepted_or_refused_with_a_reason(field: str, value: object) -> None:
    good = json.loads(module._spec(result(), ToyTask(), {}).to_json())
    try:
        PolicySpec.from_json(json.dumps(good | {field: value}))
    except PolicyError as error:
        assert str(error)
