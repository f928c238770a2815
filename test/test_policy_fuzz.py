"""Whatever stands in a policy's folder: it is used, or refused with a PolicyError that says where."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from fuzz import damaged, fuzz, loads_or, values
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner.errors import PolicyError
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy

POLICIES = sorted(path.name for path in share_path("config/policies").iterdir())
WEIGHTS = share_path("config/policies/ur5/model.safetensors").read_bytes()
NETWORK = share_path("config/policies/ur5/step.onnx").read_bytes()
CONFIG = share_path("config/policies/ur5/config.json").read_bytes()


def numeric_places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key of a JSON document, and the first entry of every list."""
    items = data.items() if isinstance(data, dict) else list(enumerate(data))[:1] if isinstance(data, list) else []
    return [place for key, value in items for place in ((*path, key), *numeric_places(value, (*path, key)))]


def policy_keys() -> list[tuple[str, tuple[Any, ...]]]:
    return [(name, place) for name in POLICIES for place in numeric_places(policy_config(name))]


def policy_config(name: str) -> dict[str, Any]:
    return json.loads(share_path(f"config/policies/{name}/config.json").read_text())


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Copies of the shipped policies whose weights are links, so that only config.json is rewritten."""
    made = {}
    for name in POLICIES:
        folder = made[name] = tmp_path_factory.mktemp(name)
        for file in ("model.safetensors", "step.onnx"):
            (folder / file).symlink_to(share_path(f"config/policies/{name}/{file}"))
    return made


@pytest.mark.parametrize(("name", "place"), policy_keys(), ids=lambda value: str(value))
@settings(max_examples=4)
@given(value=values)
def test_any_value_of_a_policys_key(folders: dict[str, Path], name: str, place: tuple[Any, ...], value: Any) -> None:
    config = policy_config(name)
    inner = config
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (folders[name] / "config.json").write_text(json.dumps(config, default=str))
    try:
        Policy.load(folders[name], engines=("native",))
    except PolicyError as error:
        assert any(key in str(error) for key in place if isinstance(key, str)), error


@settings(fuzz, max_examples=50)
@given(content=damaged(CONFIG) | st.binary(max_size=100))
def test_a_config_that_is_damaged(folders: dict[str, Path], content: bytes) -> None:
    (folders["ur5"] / "config.json").write_bytes(content)
    loads_or(PolicyError, lambda: Policy.load(folders["ur5"], engines=("native",)))


def load_with(folder: Path, name: str, content: bytes, engine: str) -> None:
    """Loads a policy with another file whose checksum is right: what was damaged before it was copied."""
    config = json.loads(CONFIG)
    config["files"][name] = hashlib.sha256(content).hexdigest()
    for file, data in (("model.safetensors", WEIGHTS), ("step.onnx", NETWORK), (name, content)):
        (folder / file).write_bytes(data)
    (folder / "config.json").write_text(json.dumps(config))
    Policy.load(folder, engines=(engine,))


@settings(fuzz, max_examples=25)
@given(header=damaged(WEIGHTS[:2000]), end=st.sampled_from([0, 2000, len(WEIGHTS)]))
def test_weights_that_are_damaged(tmp_path: Path, header: bytes, end: int) -> None:
    content = header + WEIGHTS[2000:end]
    loads_or(PolicyError, lambda: load_with(tmp_path, "model.safetensors", content, "native"))


@settings(fuzz, max_examples=10)
@given(end=st.integers(0, len(NETWORK) - 1))
def test_a_network_that_is_cut_short(tmp_path: Path, end: int) -> None:
    with pytest.raises(PolicyError, match=r"step\.onnx"):
        load_with(tmp_path, "step.onnx", NETWORK[:end], "onnxruntime")
