"""Opens the policy that a parameter names, or says why the node has to do without."""

from __future__ import annotations

from pathlib import Path

from sobo_planner.errors import SoboError
from sobo_planner.paths import share_path
from sobo_planner.policy import Policy
from sobo_planner.tasks import ArmReach

NONE = "none"


def open_policy(setting: str, task: ArmReach) -> tuple[Policy | None, str, str]:
    """Loads the policy of a `policy` parameter.

    Args:
        setting: folder of an artifact; empty for the one shipped with the task; `none` for no policy.
        task: the task that the policy must have been made for.

    Returns:
        The policy or None, its name for reports, and why it is not there (empty when nothing is wrong). A
        policy that does not fit is a problem to report, not to die of: plans start from interpolation then.
    """
    if setting == NONE:
        return None, NONE, ""
    try:
        folder = Path(setting) if setting else share_path(f"config/policies/{task.name}")
        return Policy.load(folder, task), str(folder), ""
    except (SoboError, OSError) as error:
        return None, NONE, f"{type(error).__name__}: {error}"
