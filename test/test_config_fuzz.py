"""Whatever stands in a task file or a URDF: used, or refused with a SoboError that says where."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from fuzz import damaged, fuzz, loads_or, scalars, values
from hypothesis import given, settings
from hypothesis import strategies as st

from sobo_planner.errors import ConfigError, PolicyError, RobotError, SoboError
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.robot import Robot
from sobo_planner.tasks import KINDS, load_task
from sobo_planner.tasks.config import MOST_STEPS
from sobo_planner.tasks.config_reader import leaf_keys

pytestmark = pytest.mark.filterwarnings("error")

TASKS = {path.stem: path for path in share_path("config").glob("*.yaml") if not path.stem.endswith(".params")}
SHIPPED = {name: yaml.safe_load(path.read_text()) for name, path in TASKS.items()}
POLICIES = sorted(path.name for path in share_path("config/policies").iterdir())


def changed(shipped: Any) -> st.SearchStrategy[Any]:
    """What stands there now with something wrong in it, or anything at all."""
    if isinstance(shipped, bool) or not isinstance(shipped, (int, float, list)) or shipped == []:
        return values
    if isinstance(shipped, list):
        at = st.integers(0, len(shipped) - 1)
        replaced = st.builds(lambda i, new: [*shipped[:i], new, *shipped[i + 1 :]], at, scalars)
        return values | replaced | st.builds(lambda i: shipped[:i], at) | st.just([*shipped, shipped[0]])
    return values | st.floats(-1e3, 1e3).map(lambda factor: factor * shipped)


def task_keys() -> list[tuple[str, str]]:
    """Every key of every task file, those that the file leaves out among them, and every section."""
    keys = []
    for name, data in SHIPPED.items():
        leaves = leaf_keys(KINDS[data["kind"]][0])
        sections = {key.rsplit(".", 1)[0] for key in leaves if "." in key}
        keys += [(name, key) for key in (*leaves, *sorted(sections))]
    return keys


def with_value(data: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(data)
    *sections, leaf = key.split(".")
    inner = data
    for section in sections:
        inner = inner.setdefault(section, {})
    inner[leaf] = value
    return data


def shipped_value(data: Any, key: str) -> Any:
    for word in key.split("."):
        data = data.get(word) if isinstance(data, dict) else None
    return data


def is_named(key: str, message: str) -> bool:
    """Whether a message names the key, or another of its section where two do not fit each other."""
    section, _, leaf = key.rpartition(".")
    return leaf in message or (section != "" and section.split(".")[0] in message)


def check_task(path: Path, key: str) -> None:
    """Loads a task file, and has the task make its problem and an instance."""
    try:
        task = load_task(path)
        if task.horizon <= 1000:
            task.make_worker()
        instance = task.sample(np.random.default_rng(0))
    except SoboError as error:
        assert is_named(key, str(error)), error
        assert len(str(error)) < 2000
    else:
        assert np.isfinite(instance.x0).all() and np.isfinite(instance.target).all()


@pytest.mark.parametrize(("name", "key"), task_keys(), ids=lambda value: str(value))
@fuzz
@given(data=st.data())
def test_any_value_of_a_task_files_key(tmp_path: Path, name: str, key: str, data: st.DataObject) -> None:
    value = data.draw(changed(shipped_value(SHIPPED[name], key)))
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(with_value(SHIPPED[name], key, value), allow_unicode=False))
    check_task(path, key)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("horizon", [0, -1, MOST_STEPS + 1, 10**12])
def test_a_horizon_that_does_not_fit_is_refused(name: str, horizon: int) -> None:
    with pytest.raises(ConfigError, match=f"horizon must lie in 1 ... {MOST_STEPS}, got {horizon}"):
        load_task(name, horizon=horizon)


@pytest.mark.parametrize("key", [field.name for field in dataclasses.fields(KINDS["arm_reach"][0])])
def test_a_key_that_is_missing_is_named_or_has_a_default(tmp_path: Path, key: str) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in SHIPPED["ur5"].items() if name != key}))
    if key in ("name", "robot", "problem", "distribution"):
        with pytest.raises(ConfigError, match=f"the key {key} is missing"):
            load_task(path)
    elif key != "kind":
        load_task(path)
    else:
        with pytest.raises(ConfigError, match="unknown kind of task None"):
            load_task(path)


TEXT = TASKS["ur5"].read_bytes()
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % ((i + 1, i + 1, *[i] * 9)) for i in range(97, 121)
)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"{" * 10_000,
        b"- 1\n- 2",
        b"2020-13-45",
        b"kind: arm_reach\nname: 2020-13-45",
        b"kind: arm_reach\nname: !!int x",
        b"kind: arm_reach\nname: !!timestamp x",
        b"kind: !!python/object/apply:os.system [exit]",
        b"kind: arm_reach\nname: " + b"9" * 10_000,
        b"kind: arm_reach\n? [a, b]\n: c",
        b"kind: arm_reach\n1: 2\nx: 3",
        b"&a [*a]",
        b"kind: &a [*a]",
        b"kind: arm_reach\nproblem: &a {horizon: *a}",
        BOMB,
        BOMB + b"kind: *y",
        BOMB + b"kind: arm_reach\nname: *y",
        BOMB.replace(b"a: &a", b"kind: arm_reach\na: &a") + b"robot: {home: *y}",
    ],
    ids=range(20),
)
def test_a_file_that_is_no_task_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)) as refused:
        load_task(path)
    assert len(str(refused.value)) < 2000


@settings(fuzz, max_examples=100)
@given(content=st.binary(max_size=200) | damaged(TEXT))
def test_a_task_file_that_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "task.yaml"
    path.write_bytes(content)
    loads_or(SoboError, lambda: load_task(path))


@pytest.mark.parametrize("value", ["[1", "2020-13-45", "{" * 5000, "!!int x"])
def test_an_override_that_is_not_yaml(value: str) -> None:
    with pytest.raises(ConfigError, match="the value of distribution.r_init is not YAML"):
        load_task("ur5", r_init=value)


def test_an_override_within_what_is_no_section(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(SHIPPED["ur5"] | {"solver": 5}))
    with pytest.raises(ConfigError, match="solver must be a mapping, got 5"):
        load_task(path, tol=1e-3)


def test_a_device_is_no_file() -> None:
    """Reading /dev/zero would never end."""
    with pytest.raises(SoboError, match="/dev/zero"):
        load_task("ur5", urdf="/dev/zero")
    with pytest.raises(PolicyError, match="config.json"):
        Policy.load("/dev")


URDF = share_path("urdf/ur5.urdf").read_bytes()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"<robot/>", b"<robot>", b"<robot name='r'><link/></robot>", b"<a>" * 100_000, b"\xff"]
)
def test_a_file_that_is_no_urdf(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture) -> None:
    path = tmp_path / "robot.urdf"
    path.write_bytes(content)
    with pytest.raises(RobotError, match=str(path)):
        Robot.from_urdf(path, "tool0")


@settings(fuzz, max_examples=200)
@given(content=damaged(URDF))
def test_a_urdf_that_is_damaged(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture) -> None:
    path = tmp_path / "robot.urdf"
    path.write_bytes(content)
    loads_or(RobotError, lambda: Robot.from_urdf(path, "tool0"))
