"""Solvers and threads: one thread at a time for each, and batches where no more threads can be started."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sobo_planner import _native
from sobo_planner.errors import SolverError
from sobo_planner.solver import SolverOptions
from sobo_planner.tasks import load_task

GIB = 1024**3


@pytest.mark.parametrize("second", ["solve", "cost", "restart", "solve_batch"])
def test_a_solver_serves_one_thread_at_a_time(task, second) -> None:
    """While one thread solves, another gets an error and not the first one's memory."""
    instance = task.sample(np.random.default_rng(1))
    guess = task.gravity_rollout(instance)
    start = _native.Start(instance.x0, instance.target, guess.X, guess.U)
    endless, quick = SolverOptions(tol=1e-15, early_stop=0.0, max_iterations=10**6).native(), SolverOptions().native()
    endless.interrupt = _native.Interrupt()
    worker = task.make_worker()
    calls = {
        "solve": lambda: worker.solve(start, quick),
        "cost": lambda: worker.cost(start),
        "restart": worker.restart,
        "solve_batch": lambda: _native.solve_batch([worker], [start], quick),
    }
    expected = worker.cost(start)  # holds the interpreter, so that the other thread cannot begin meanwhile
    thread = threading.Thread(target=worker.solve, args=(start, endless))
    thread.start()
    try:
        with pytest.raises(SolverError, match="at work in another thread"):
            for _ in range(1000):  # until the thread has begun
                time.sleep(0.01)
                worker.cost(start)
        with pytest.raises(SolverError, match="at work in another thread"):
            calls[second]()
    finally:
        endless.interrupt.set()
        thread.join()
    calls[second]()
    assert worker.cost(start) == expected


def test_one_solver_twice_in_a_batch_is_refused_or_serves_both() -> None:
    """Which of the two depends on the threads; the process lives on."""
    task = load_task("lqr")
    instance = task.sample(np.random.default_rng(0))
    guess = task.gravity_rollout(instance)
    start, worker = _native.Start(instance.x0, instance.target, guess.X, guess.U), task.make_worker()
    try:
        assert len(_native.solve_batch([worker, worker], [start] * 50, SolverOptions().native())) == 50
    except SolverError as error:
        assert "at work in another thread" in str(error)


BATCH = """
import numpy as np
from sobo_planner.solver import Solver
from sobo_planner.tasks import load_task
task = load_task("lqr")
rng = np.random.default_rng(0)
instances = [task.sample(rng) for _ in range(6)]
guesses = [task.gravity_rollout(each) for each in instances]
print([solution.cost for solution in Solver(task).solve_batch(instances, guesses, threads=5)])
"""


def costs(limits: dict[int, int]) -> str:
    """What the batch prints in a process with such limits."""

    def limit() -> None:
        for kind, size in limits.items():
            resource.setrlimit(kind, (size, resource.getrlimit(kind)[1]))

    one = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    command = [sys.executable, "-c", BATCH]
    done = subprocess.run(command, env=os.environ | one, preexec_fn=limit, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.returncode} {done.stderr}"
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="limits of the address space are Linux's")
def test_a_batch_where_no_thread_can_be_started() -> None:
    """A thread's stack is as large as this limit says, and does not fit: the calling thread does all."""
    if resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
        pytest.skip("the stack cannot be enlarged here")
    assert costs({resource.RLIMIT_STACK: 16 * GIB, resource.RLIMIT_AS: 8 * GIB}) == costs({})


def test_threads_share_a_robot(task) -> None:
    """Rollouts, kinematics and collision checks of several threads at once give what one thread gives."""
    rng = np.random.default_rng(3)
    robot, dt, how = task.robot.native, task.dt, "constant_acceleration"
    states = [np.concatenate([task.sample(rng).x0[:6], rng.normal(size=6)]) for _ in range(4)]
    torques = rng.normal(size=(300, 6))

    def results(x: np.ndarray) -> list[np.ndarray]:
        X = _native.simulate(robot, x, torques, dt, how)
        return [X, robot.tool_pose(X[-1, :6]), robot.tool_pose_jacobian(X[-1, :6])]

    expected, found = [results(x) for x in states], {}
    ways = [each[0][:, :6] for each in expected]
    hits = [robot.first_collision(way) for way in ways]
    assert any(hit is not None for hit in hits)

    def work(number: int) -> None:
        found[number] = [(results(states[number]), robot.first_collision(ways[number])) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(states))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(len(states)):
        for arrays, hit in found[number]:
            assert hit == hits[number]
            for array, right in zip(arrays, expected[number], strict=True):
                np.testing.assert_array_equal(array, right)
