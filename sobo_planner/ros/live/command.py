"""Shows a running planner node until Ctrl-C."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.exceptions import NameValidationException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter_client import AsyncParameterClient
from rclpy.signals import SignalHandlerOptions
from rclpy.validate_full_topic_name import validate_full_topic_name

from sobo_planner.errors import ConfigError
from sobo_planner.ros.live.listener import Followed, Listener
from sobo_planner.ros.support.process import provide_log_folder
from sobo_planner.tasks import load_arm
from sobo_planner.view.viewer import Viewer, check_free, require_viser

ASKED = ("task", "goal_type", "tf_prefix", "base_frame", "world_topics")
PATIENCE = 10.0  # for the node to answer [s]
PERIOD = 0.05  # between two looks at what has come in [s]


def show_node(name: str, host: str, port: int) -> None:
    """Shows a planner node in the browser until Ctrl-C.

    Args:
        name: Its name, such as `/planner`.
        host: Address to listen at.
        port: Port to listen at.

    Raises:
        ConfigError: It does not answer, its task is not found here, or nothing can listen there.
    """
    require_viser()
    check_free(host, port)
    provide_log_folder()
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node, followed = meet(name, context)
        viewer = Viewer(followed.task.robot, host, port)
        try:
            listener = Listener(node, followed, viewer)
            print(f"{followed.name}, task {followed.task.name}\nopen {viewer.address}; Ctrl-C ends", flush=True)
            while True:
                listener.update()
                time.sleep(PERIOD)
        finally:
            viewer.close()
            node.destroy_node()
    finally:
        context.try_shutdown()


def meet(name: str, context: Context, patience: float = PATIENCE) -> tuple[Node, Followed]:
    """A node in the namespace of a planner node, and what that one says of itself.

    Args:
        name: The planner's name, such as `/planner`.
        context: Of the node that is made.
        patience: For how long to wait for an answer [s].

    Raises:
        ConfigError: No node of that name can be, it does not answer, or its task is not found here.
    """
    full = name if name.startswith("/") else f"/{name}"
    try:
        validate_full_topic_name(full)
        namespace = full.rpartition("/")[0] or "/"
        node = Node(f"view_{os.getpid()}", namespace=namespace, context=context, enable_rosout=False)
    except NameValidationException as error:
        raise ConfigError(f"--node must be a node's name such as /planner, got {name!r}") from error
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        client = AsyncParameterClient(node, full)
        end = time.monotonic() + patience
        if not _spin(executor, client.services_are_ready, end):
            raise ConfigError(f"no node {full} answers within {patience:g} s; start it, or name another with --node")
        future = client.get_parameters(list(ASKED))
        if not _spin(executor, future.done, end) or len(future.result().values) != len(ASKED):
            raise ConfigError(f"the node {full} does not tell its parameters; is it a planner node?")
        answer: Any = future.result()
        values = dict(zip(ASKED, (value.string_value for value in answer.values), strict=True))
        return node, _followed(full, values)
    except ConfigError:
        node.destroy_node()
        raise
    finally:
        executor.remove_node(node)
        executor.shutdown()


def _followed(full: str, values: dict[str, str]) -> Followed:
    try:
        task = load_arm(values["task"])
    except ConfigError as error:
        hint = "start the viewer in the folder of the node" if "/" in values["task"] else "is it a planner node?"
        raise ConfigError(f"the task of {full} cannot be loaded here: {error}; {hint}") from error
    base = values["base_frame"] or task.config.robot.base_frame or task.robot.root_link
    sources = tuple(values["world_topics"].replace(",", " ").split())
    return Followed(full, task, values["goal_type"], values["tf_prefix"], base, sources)


def _spin(executor: SingleThreadedExecutor, condition: Callable[[], bool], end: float) -> bool:
    """Spins until a condition holds, or a monotonic time [s]. Returns whether it holds."""
    while not condition():
        if time.monotonic() > end:
            return False
        executor.spin_once(timeout_sec=0.05)
    return True
