"""Crocoddyl's side of `sobo bench`: solves the exported problem with BoxFDDP in an environment of its own.

    python crocoddyl_side.py PROBLEM.npz

`sobo_training.bench.crocoddyl_client` writes the problem file and talks to this process: one JSON object a
line, commands on standard input, answers on standard output. The first line out says how this side sees the
problem (costs of given trajectories, one dynamics step, torque limits), so that the other side can compare
before anything is timed.

    {"solve": i, "max_iterations": n}  -> iterations, cost, converged, wall_ms, cpu_ms, X, U
    {"trace": i, "max_iterations": n}  -> costs and gaps after each iteration (not timed)
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO

import crocoddyl
import numpy as np
import pinocchio


class Reach:
    """The exported problem as a shooting problem, with state, target and guess replaced for each instance."""

    def __init__(self, arrays: dict[str, np.ndarray], info: dict[str, Any]) -> None:
        self.arrays = arrays
        self.info = info
        self.model = self._model()
        self.state = crocoddyl.StateMultibody(self.model)
        self.actuation = crocoddyl.ActuationModelFull(self.state)
        self.references: list[Any] = []  # the position residuals, whose targets move
        dt = info["dt"]
        running = crocoddyl.IntegratedActionModelEuler(self._differential("running"), dt, False)
        terminal = crocoddyl.IntegratedActionModelEuler(self._differential("terminal"), 0.0, False)
        running.u_lb, running.u_ub = -arrays["torque_limit"], arrays["torque_limit"]
        self.running = running
        x0 = np.zeros(self.state.nx)
        self.problem = crocoddyl.ShootingProblem(x0, [running] * info["horizon"], terminal)
        self.problem.nthreads = 1

    def _model(self) -> pinocchio.Model:
        model = pinocchio.buildModelFromXML(self.info["urdf"])
        locked = self.info["locked_joints"]
        if locked:
            q = pinocchio.neutral(model)
            for name, value in locked.items():
                q[model.joints[model.getJointId(name)].idx_q] = value
            model = pinocchio.buildReducedModel(model, [model.getJointId(name) for name in locked], q)
        if len(self.arrays["armature"]):
            model.armature = self.arrays["armature"]
        return model

    def _differential(self, section: str) -> Any:
        """Weighted squares; Crocoddyl halves them, the task does not."""
        weights, nv = self.info["weights"][section], self.model.nv
        costs = crocoddyl.CostModelSum(self.state)
        frame = self.model.getFrameId(self.info["tool_frame"])
        position = crocoddyl.ResidualModelFrameTranslation(self.state, frame, np.zeros(3))
        self.references.append(position)
        costs.addCost("position", crocoddyl.CostModelResidual(self.state, position), 2 * weights["position"])
        velocity = crocoddyl.ActivationModelWeightedQuad(np.concatenate([np.zeros(nv), np.ones(nv)]))
        residual = crocoddyl.ResidualModelState(self.state, np.zeros(2 * nv))
        costs.addCost("velocity", crocoddyl.CostModelResidual(self.state, velocity, residual), 2 * weights["velocity"])
        if weights["torque"]:
            torque = crocoddyl.ResidualModelControl(self.state, np.zeros(nv))
            costs.addCost("torque", crocoddyl.CostModelResidual(self.state, torque), 2 * weights["torque"])
        return crocoddyl.DifferentialActionModelFreeFwdDynamics(self.state, self.actuation, costs)

    def _move_target(self, target: np.ndarray) -> None:
        for residual in self.references:
            residual.reference = target

    def cost(self, X: np.ndarray, U: np.ndarray, target: np.ndarray) -> float:
        """Cost of a trajectory (T+1, nx), (T, nu), consistent with the dynamics or not."""
        self._move_target(target)
        return float(self.problem.calc(list(X), list(U)))

    def step(self, x: np.ndarray, u: np.ndarray) -> np.ndarray:
        """The state after one step."""
        data = self.running.createData()
        self.running.calc(data, x, u)
        return data.xnext.copy()

    def check(self) -> dict[str, Any]:
        """How this side sees the problem."""
        a = self.arrays
        probes = zip(a["probe_X"], a["probe_U"], a["probe_target"], strict=True)
        points = zip(a["probe_X"][:, 0], a["probe_U"][:, 0], strict=True)
        return {
            "costs": [self.cost(*probe) for probe in probes],
            "next_states": [self.step(*point).tolist() for point in points],
            "torque_lower": self.running.u_lb.tolist(),
            "torque_upper": self.running.u_ub.tolist(),
            "joint_names": list(self.model.names)[1:],
            "versions": {"crocoddyl": crocoddyl.__version__, "pinocchio": pinocchio.__version__},
        }

    def prepare(self, index: int) -> tuple[Any, list[np.ndarray], list[np.ndarray]]:
        """A fresh solver and the guess of an instance."""
        a = self.arrays
        self._move_target(a["target"][index])
        self.problem.x0 = a["x0"][index]
        return crocoddyl.SolverBoxFDDP(self.problem), list(a["guess_X"][index]), list(a["guess_U"][index])

    def solve(self, index: int, max_iterations: int) -> dict[str, Any]:
        """Solves an instance on the clock; what is allocated once is made before."""
        solver, X, U = self.prepare(index)
        wall, cpu = time.perf_counter(), time.thread_time()
        converged = solver.solve(X, U, max_iterations, False)
        cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
        return {
            "iterations": min(int(solver.iter) + 1, max_iterations),
            "cost": float(solver.cost),
            "converged": bool(converged),
            "wall_ms": 1e3 * wall,
            "cpu_ms": 1e3 * cpu,
            "X": np.array(solver.xs).tolist(),
            "U": np.array(solver.us).tolist(),
        }

    def trace(self, index: int, max_iterations: int) -> dict[str, Any]:
        """Solves an instance and records every iteration."""
        solver, X, U = self.prepare(index)
        log = crocoddyl.CallbackLogger()
        solver.setCallbacks([log])
        solver.solve(X, U, max_iterations, False)
        return {"costs": [float(c) for c in log.costs], "gaps": [float(g) for g in log.ffeass]}


def serve(problem: Reach, commands: TextIO, answers: TextIO) -> None:
    """Answers commands until standard input ends."""

    def answer(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=answers, flush=True)

    answer(problem.check())
    for line in commands:
        command = json.loads(line)
        action = problem.solve if "solve" in command else problem.trace
        index = command["solve"] if "solve" in command else command["trace"]
        answer(action(index, command["max_iterations"]))


def main() -> None:
    """Command line."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the libraries print must not mix with the answers
    with np.load(sys.argv[1]) as file:
        arrays = dict(file)
    info = json.loads(str(arrays.pop("info")))
    serve(Reach(arrays, info), sys.stdin, answers)


if __name__ == "__main__":
    main()
