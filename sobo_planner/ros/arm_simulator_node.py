"""Runs the simulated arm: `python -m sobo_planner.ros.arm_simulator_node`."""

from __future__ import annotations

from sobo_planner.ros.simulator.node import ArmSimulatorNode, main

__all__ = ["ArmSimulatorNode", "main"]

if __name__ == "__main__":
    raise SystemExit(main())
