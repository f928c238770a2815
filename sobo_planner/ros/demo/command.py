"""What the demo does, and its arguments."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic as clock
from types import FrameType
from typing import Any, Literal

import numpy as np
import rclpy
import tyro

import sobo_planner.ros.demo
from sobo_planner.files import check_output
from sobo_planner.ros.demo.client import DemoClient
from sobo_planner.ros.demo.plots import PLOTS, plot_all
from sobo_planner.ros.demo.processes import Processes
from sobo_planner.ros.demo.results import GoalResult, Trial, goal_table, trial_table, write_summary
from sobo_planner.ros.demo.scenario import DISTURBANCE, compare_gains, reach_goals
from sobo_planner.ros.simulator.plants import make_plant
from sobo_planner.ros.support import domain
from sobo_planner.tasks import load_arm
from sobo_planner.view.picture import draw_cell
from sobo_planner.world import read_world

SUMMARY, CELL = "summary.json", "cell.png"


@dataclass(frozen=True)
class DemoConfig:
    """Drives a simulated arm to random goals over ROS 2, and compares feedback gains on and off."""

    goals: int = 10
    """Goals to send."""
    seed: int = 0
    """Seed of the random goals."""
    out: Path = Path("out/demo")
    """Folder of summary.json, the plots and the logs."""
    task: str = "ur5"
    """Task name, or path of a task YAML file."""
    policy: str = ""
    """Folder of a policy artifact; empty: the shipped one; none: plan from interpolation."""
    disturbed_goals: int = 3
    """Goals of the comparison under a mass error and a push."""
    record: str = ""
    """Folder in which the planner node records bags; empty: none."""
    world: str = ""
    """World file of obstacles, such as config/worlds/shelf.yaml; empty: none. Goals then lie near objects, cell.png
    shows the motions, and the arm is not disturbed."""
    plant: Literal["model", "mujoco"] = "model"
    """What the simulated arm is: the planner's own model of it, or MuJoCo's (extra `sim`)."""

    def __post_init__(self) -> None:
        if self.goals < 1 or self.disturbed_goals < 0:
            raise SystemExit(f"goals must be at least 1 and disturbed_goals at least 0, got {self}")


def run(config: DemoConfig) -> None:
    """Runs the whole demo, prints its results and writes them under `config.out`."""
    for name in (SUMMARY, *PLOTS, *([CELL] if config.world else [])):
        check_output(config.out / name)
    log_folder = config.out.resolve() / "log"
    environment = domain.isolated_environment(str(log_folder / "ros"))
    domain.apply(environment)
    task = load_arm(config.task)
    if config.world:
        task = task.with_world(read_world(Path(config.world), task.robot.root_link))
    make_plant(config.plant, task.robot, 0.0)  # what stands against it is better said here than in a log
    began = clock()
    with Processes(log_folder, environment) as processes:
        common = ["--ros-args", "-p", f"task:={config.task}"]
        policy = ["-p", f"policy:={config.policy}"] if config.policy else []
        record = ["-p", f"record:={Path(config.record).resolve()}"] if config.record else []
        world = ["-p", f"world:={Path(config.world).resolve()}"] if config.world else []
        processes.start("planner", "sobo_planner.ros.planner_node", common + policy + record + world)
        plant = ["-p", f"plant:={config.plant}"]
        processes.start("arm_simulator", "sobo_planner.ros.arm_simulator_node", common + plant + world)
        rclpy.init()
        client = DemoClient(task.robot.joint_names, task.robot.root_link, processes.check)
        try:
            planner = client.wait_until_connected()
            if planner["policy_error"]:
                print(f"planning without a policy: {planner['policy_error']}", file=sys.stderr)
            goals, curves, ways = reach_goals(client, task, config.goals, np.random.default_rng(config.seed))
            rng = np.random.default_rng([config.seed, 1])
            trials = [] if config.world else compare_gains(client, task, config.disturbed_goals, rng)
        finally:
            client.destroy_node()
            rclpy.try_shutdown()
    extra = {
        "seed": config.seed,
        "plant": config.plant,
        "policy": planner["policy"],
        "world": config.world,
        "seconds": clock() - began,
    }
    try:
        print_results(goals, trials)
    finally:
        write_summary(config.out / SUMMARY, goals, trials, DISTURBANCE, **extra)
        plots = plot_all(config.out, goals, curves)
        if config.world:
            targets = [goal.target for goal in goals if not goal.refused]
            plots.append(draw_cell(config.out / CELL, task.robot, ways, targets))
    print("\nwritten: " + ", ".join(str(path) for path in [config.out / SUMMARY, *plots]))


def print_results(goals: list[GoalResult], trials: list[Trial]) -> None:
    """Prints the tables."""
    print("\nGoals, nominal model (cold: solver from the naive start)\n\n" + goal_table(goals))
    for i, goal in enumerate(goals):
        if goal.refused:
            print(f"goal {i + 1} was refused: {goal.refused}")
    if trials:
        mass, force = DISTURBANCE["mass_error"], np.linalg.norm(DISTURBANCE["push_force"])
        print(
            f"\nArm {100 * mass:.0f} % heavier than its model, pushed with {force:.0f} N for "
            f"{DISTURBANCE['push_duration']} s: feedback gains on and off\n\n" + trial_table(trials)
        )


def _on_terminate(number: int, frame: FrameType | None) -> Any:
    raise SystemExit(128 + number)  # so that the child processes are ended on the way out


def command(arguments: list[str] | None = None) -> int:
    """Reads the command line (that of the process if None) and runs the demo. Returns the exit status.

    Raises:
        SoboError: It cannot run, or not write its results.
    """
    config = tyro.cli(DemoConfig, args=arguments, prog="demo", description=sobo_planner.ros.demo.__doc__)
    signal.signal(signal.SIGTERM, _on_terminate)
    run(config)
    return 0
