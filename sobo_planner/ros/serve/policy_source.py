"""Opens the policy that a parameter names."""

from __future__ import annotations

from sobo_planner.errors import ConfigError, PolicyError
from sobo_planner.paths import share_path, user_path
from sobo_planner.policy import Policy
from sobo_planner.tasks import ArmReach

NONE = "none"


def open_policy(setting: str, task: ArmReach, engines: str) -> tuple[Policy | None, str, str]:
    """Loads the policy of a `policy` parameter.

    Args:
        setting: Folder of an artifact; empty for the one shipped with the task; `none` for no policy.
        task: The task that the policy must have been made for.
        engines: Engines of its network in the order in which they are tried, with commas between them.

    Returns:
        The policy or None, its name for reports, and why there is none: a task that no policy was shipped for is
        planned from interpolation, which is worth a warning. Empty when nothing is wrong.

    Raises:
        PolicyError: The policy is damaged or made for another robot or task, or its folder is not there, or no engine
            works.
    """
    if setting == NONE:
        return None, NONE, ""
    try:
        folder = user_path(setting) if setting else share_path(f"config/policies/{task.name}")
    except ConfigError as error:
        return None, NONE, f"no policy is shipped for the task {task.name}: {error}"
    if not folder.is_dir():
        raise PolicyError(f"the policy folder {folder} does not exist; `policy:=none` plans from interpolation")
    names = [name.strip() for name in engines.split(",")]
    return Policy.load(folder, task, names), str(folder), ""
