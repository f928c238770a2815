"""How a node runs as a process: start, spin, interrupt, one line for an error that the user can fix."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from sobo_planner.errors import ConfigError, SoboError

# What rclpy says of a list like [0, 1.5].
MIXED_LIST = "Sequence should be of same type"
# What making a node raises for arguments of the process.
OF_ARGUMENTS = (NameValidationException, ParameterException)


@runtime_checkable
class Autostarting(Protocol):
    """A lifecycle node that may bring itself up."""

    def autostart(self) -> None:
        """Configures and activates the node if it is to do so by itself."""
        ...


class WorkerThread(threading.Thread):
    """A daemon thread, so that a solver that hangs cannot keep a process from ending."""

    def __init__(self, name: str, target: Callable[[], None]) -> None:
        super().__init__(name=name, target=target, daemon=True)

    def join_within(self, timeout: float) -> None:
        """Waits for the end, if the thread ever began and is not the caller."""
        if self.is_alive() and self is not threading.current_thread():
            self.join(timeout)


def provide_log_folder() -> None:
    """Lets ROS write its log where it can: without a home folder that it can write to, `rclpy.init` fails."""
    if os.environ.get("ROS_LOG_DIR"):
        return
    try:
        home = os.environ.get("ROS_HOME") or os.path.join(os.environ["HOME"], ".ros")
        os.makedirs(os.path.join(os.path.expanduser(home), "log"), exist_ok=True)
    except (KeyError, OSError):
        folder = tempfile.mkdtemp(prefix="sobo_planner-log-")
        os.environ["ROS_LOG_DIR"] = folder
        print(f"the home folder cannot be written to; the log of ROS is in {folder}", file=sys.stderr)


def run_node(make_node: Callable[[], Node], args: list[str] | None = None) -> int:
    """Spins a node until SIGINT or SIGTERM. Returns 0, or 1 when it could not be made or failed.

    rclpy's own signal handlers would invalidate the context under threads that still publish; here the node
    goes first. The executor is single-threaded: callbacks only store, and it loses no samples where
    rclpy's multi-threaded one does.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        node = _started(make_node, args)
    except SoboError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    failures: list[BaseException] = []
    spinning = WorkerThread("executor", lambda: _spin(executor, stop, failures))
    spinning.start()
    stop.wait()  # in the main thread, which signals interrupt; a wait for messages they do not
    executor.shutdown(timeout_sec=1.0)
    spinning.join_within(1.0)
    node.destroy_node()
    rclpy.try_shutdown()
    return 1 if failures else 0


def _started(make_node: Callable[[], Node], args: list[str] | None) -> Node:
    """Makes a node, and starts it if it starts by itself.

    Raises:
        SoboError: It could not be made or started, or rclpy does not take the arguments of the process.
    """
    provide_log_folder()
    try:
        rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # of several types; all say that the arguments or a parameter file cannot be read
        text = " ".join(str(error).split())
        hint = "; write all numbers of a list with a decimal point, or none" if MIXED_LIST in text else ""
        raise ConfigError(f"the ROS arguments cannot be used: {text}{hint}") from error
    try:
        node = make_node()
    except OF_ARGUMENTS as error:  # a wrong value for a parameter of rclpy's own, a name that no node may have
        raise ConfigError(" ".join(str(error).split())) from error
    if isinstance(node, Autostarting):
        node.autostart()
    return node


def _spin(executor: SingleThreadedExecutor, stop: threading.Event, failures: list[BaseException]) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass
    except Exception as error:
        traceback.print_exc()
        failures.append(error)
    finally:
        stop.set()
