"""Which files are mutated, which tests judge each, and which edits no test can notice."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

TARGETS = (
    "sobo_planner/planning/*.py",
    "sobo_planner/receding/*.py",
    "sobo_planner/safety/*.py",
    "sobo_planner/motion/*.py",
    "sobo_planner/tasks/arm/timing.py",
    "sobo_planner/tasks/arm/paces.py",
    "sobo_planner/tasks/arm/commands.py",
    "sobo_planner/ros/inputs/*.py",
    "sobo_planner/ros/outputs/*.py",
    "sobo_planner/ros/record/*.py",
    "sobo_planner/ros/serve/*.py",
    "sobo_planner/ros/simulator/pace.py",
    "sobo_planner/ros/demo/cell.py",
    "training/data/collect.py",
    "training/data/collector.py",
    "training/data/filling.py",
    "training/learning/kept.py",
)

SERVERS = (
    "test_serving test_plan_once test_receding_horizon test_receding_decisions test_health test_stopping test_watchdog "
    "test_core test_fault_log test_lead test_receding_goals test_cycle_report test_moving_world"
)
RECEDING = (
    "test_receding_solver test_receding_starters test_receding_planner test_receding_choice test_receding_handover"
)
# For the files that match: the tests that judge them, in seconds and without processes of their own. Of these only
# those run that execute an edited line. The first pattern that matches counts.
TESTS = {
    "*/simulator/pace.py": "test_pace",
    "*/demo/cell.py": "test_demo_cell",
    "*/learning/kept.py": "test_kept",
    "*/planning/starters.py": "test_starters",
    "*/planning/proposals.py": "test_starters test_policy_starter",
    "*/planning/policy_starter.py": "test_policy_starter",
    "*/planning/planner.py": "test_planner test_planner_decisions test_planner_paces",
    "*/planning/plan_maker.py": "test_planner test_planner_decisions test_planner_paces",
    "*/planning/setups.py": "test_planner test_planner_decisions test_planner_paces",
    "*/planning/global_start.py": "test_global_start test_world_plans",
    "*/planning/leaving.py": "test_leaving",
    "*/planning/*.py": (
        "test_attempts test_follow_ups test_known_motions test_agenda test_durations test_judge test_record "
        "test_search test_search_deadlines test_plan"
    ),
    "*/receding/proposer.py": "test_proposer",
    "*/receding/leaving.py": "test_receding_leaving",
    "*/receding/*.py": RECEDING,
    "*/safety/*.py": "test_safety test_safety_points test_points test_limits test_curve",
    "*/arm/timing.py": "test_timing",
    "*/arm/paces.py": "test_paces test_ways test_payload",
    "*/arm/commands.py": "test_commands",
    "*/motion/reference.py": "test_reference",
    "*/motion/*.py": "test_motion test_prediction test_brakes test_stopping",
    "*/inputs/frames.py": "test_frames test_ros_frames test_goals",
    "*/inputs/inbox.py": "test_inbox test_serving test_plan_once",
    "*/inputs/markers.py": "test_markers test_world_topics",
    "*/inputs/planning_scenes.py": "test_planning_scene_messages test_world_topics",
    "*/inputs/point_clouds.py": "test_point_clouds test_world_topics",
    "*/inputs/world*.py": "test_worlds test_world_topics",
    "*/inputs/*.py": (
        "test_goals test_frames test_intake test_joint_states test_joint_state_reader test_velocities test_arrivals"
    ),
    "*/outputs/conversions.py": "test_ros_conversions test_outputs test_points",
    "*/outputs/plan_*.py": "test_plan_outputs test_outputs test_serving test_plan_once test_receding_horizon",
    "*/outputs/torque_commands.py": "test_plan_outputs test_outputs",
    "*/outputs/scene_markers.py": "test_scene_markers",
    "*/outputs/*.py": "test_outputs test_diagnostics test_linear_feedback test_trajectory_rules test_ros_conversions",
    "*/record/writer.py": "test_record_writer",
    "*/record/bounded_queue.py": "test_record_writer",
    "*/record/recording.py": "test_recording",
    "*/record/plans.py": "test_recording test_record_types",
    "*/record/topics.py": "test_recording test_session",
    "*/record/types.py": "test_record_types",
    "*/record/fast_cdr.py": "test_record_types",
    "*/record/*.py": "test_record_files test_recording",
    "*/serve/clock_watch.py": "test_clock_watch",
    "*/serve/requests.py": "test_requests",
    "*/serve/session.py": "test_session",
    "*/serve/policy_source.py": "test_session",
    "*/serve/*.py": SERVERS,
    "training/data/collect.py": "test_collect test_collect_decisions",
    "training/data/collector.py": "test_collect test_collector test_filling",
    "training/data/filling.py": "test_collect test_filling",
    # not mutated, but among the bugs of `bugs.py`
    "*/arm/task.py": "test_self_distance test_tasks",
    "*/arm/problem.py": "test_self_distance test_tasks test_durations",
    "training/learning/chunks.py": "test_chunks test_losses",
}


def targets(root: Path, patterns: list[str]) -> list[str]:
    """Files to mutate, from the root of the tree; with patterns only those that contain or match one."""
    found = sorted({str(path.relative_to(root)) for target in TARGETS for path in root.glob(target)})
    found = [path for path in found if Path(path).name != "__init__.py"]
    return [path for path in found if not patterns or any(each in path or fnmatch(path, each) for each in patterns)]


def tests_of(root: Path, path: str) -> list[str]:
    """Test files that judge a file."""
    names = next((names for pattern, names in TESTS.items() if fnmatch(path, pattern)), "")
    files = {f"test/{file.name}" for name in names.split() for file in (root / "test").glob(f"{name}.py")}
    return sorted(files)


def equivalents(root: Path) -> dict[str, str]:
    """Identities of mutants that no test can notice, each with its reason, from `equivalent.txt`."""
    reasons: dict[str, str] = {}
    reason = ""
    for line in (root / "benchmarks" / "mutants" / "equivalent.txt").read_text().splitlines():
        if line.startswith("#"):
            reason = line.lstrip("# ")
        elif line.strip():
            reasons[line.strip()] = reason
    return reasons
