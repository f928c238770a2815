"""The settings of a task that policies and datasets depend on, and which of them differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

#: Sections of a task file that a policy depends on (`Task.policy_hash`); a dataset depends on the distribution too.
POLICY_SECTIONS = ("robot", "problem")
DATA_SECTIONS = (*POLICY_SECTIONS, "distribution")


def settings_of(task: Any, sections: tuple[str, ...] = POLICY_SECTIONS) -> dict[str, Any]:
    """Sections of a task's configuration as JSON values; empty for a task that is made from no task file."""
    to_dict = getattr(task.config, "to_dict", None)
    every = {} if to_dict is None else to_dict()
    return {name: every[name] for name in sections if name in every}


def changes(there: Any, here: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The keys in which two configurations differ, with both values; None where a key is missing."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in sorted(set(there) | set(here)):
            yield from changes(there.get(key), here.get(key), f"{prefix}{key}.")
    elif there != here:
        yield prefix.rstrip("."), there, here


def explain(there: Mapping[str, Any], task: Any, robot_hash: str, sections: tuple[str, ...] = POLICY_SECTIONS) -> str:
    """Why something that was made with other settings does not belong to a task.

    Args:
        there: Its settings; empty where they were not recorded.
        task: The task.
        robot_hash: Its robot.
        sections: Those that count.

    Returns:
        The settings that differ, such as `problem.dt was 0.02, is 0.05 here`; empty if none is known to.
    """
    here = settings_of(task, sections)
    if not there or not here:
        return ""
    there = {name: there.get(name) for name in here}
    if robot_hash == task.robot_hash:  # the robot is the same, however its file is called
        there, here = ({name: each[name] for name in each if name != "robot"} for each in (there, here))
    # A setting that did not exist then, and is empty here, is none.
    differing = [(key, old, new) for key, old, new in changes(there, here) if new or old is not None]
    found = [f"{key} was {_short(old)}, is {_short(new)} here" for key, old, new in differing]
    has_urdf = getattr(task, "robot", None) is not None
    if has_urdf and robot_hash != task.robot_hash and not any(each.startswith("robot.") for each in found):
        found.append(f"the robot's URDF has other contents (hash {robot_hash[:12]}, here {task.robot_hash[:12]})")
    return "; ".join(found)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
