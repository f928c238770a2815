"""MuJoCo's model of an arm, from the URDF that `Robot` has checked."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np
from numpy.typing import NDArray

from sobo_planner.errors import PlantError
from sobo_planner.robot import Robot
from sobo_planner.robot.urdf import parse

Array = NDArray[np.float64]

# Dry friction is a constraint on the joint's velocity, softened by time constant and impedance. MuJoCo's defaults let a
# joint creep under less torque than its friction: 3 mrad a second for the UR5's shoulder, 3 mm at the tool. With these
# it is 0.1 urad.
FRICTION_TIME = 1e-3  # [s]
FRICTION_IMPEDANCE = 0.9999


def mujoco() -> Any:
    """The module.

    Raises:
        PlantError: It is not installed.
    """
    try:
        import mujoco as module
    except ImportError as error:
        raise PlantError("MuJoCo is not installed: pip install 'sobo_planner[sim]' (Python 3.11 or later)") from error
    return module


def build(robot: Robot, payload: float, centre: Array) -> tuple[Any, int]:
    """MuJoCo's model without contacts, position limits or actuators, and the number of the tool's body.

    Args:
        robot: The arm. Of it count URDF, locked joints, armature and gravity.
        payload: Point mass at the tool [kg].
        centre: Its place in the tool's frame, (3,) [m].

    Raises:
        PlantError: MuJoCo is not installed, or refuses the description.
    """
    module, root = mujoco(), parse(robot.description.text)
    try:
        spec = module.MjSpec.from_string(_text(root))
        for name, position in robot.description.locked.items():
            _lock(module, spec, name, position)
        for name, inertia in zip(robot.joint_names, robot.armature, strict=True):
            spec.joint(name).armature = inertia
        tool = spec.body(_tool_link(root, robot.tool_frame))
        if payload:
            load = tool.add_body(name="payload", mass=payload, ipos=centre, inertia=np.zeros(3))
            load.explicitinertial = True
        model = spec.compile()
    except ValueError as error:
        raise PlantError(f"MuJoCo refuses the description of {robot.name}: {' '.join(str(error).split())}") from error
    model.opt.gravity = robot.gravity_vector
    model.opt.integrator = module.mjtIntegrator.mjINT_IMPLICITFAST
    return model, model.body(tool.name).id


def _tool_link(root: Element, frame: str) -> str:
    """The link that a frame is: one of that name, else the child of a joint of that name."""
    children = {joint.get("name"): joint.find("child") for joint in root.iterfind("joint")}
    child = children.get(frame)
    named = any(link.get("name") == frame for link in root.iterfind("link"))
    return frame if named or child is None else child.get("link", frame)


def _text(root: Element) -> str:
    """The URDF without shapes, limits and friction, and how MuJoCo is to read it."""
    for part in root:
        for child in list(part):
            if child.tag in ("collision", "collision_checking", "limit", "dynamics"):
                part.remove(child)
    # Bodies that are fixed to others stay bodies, so that the tool is one.
    SubElement(SubElement(root, "mujoco"), "compiler", fusestatic="false", balanceinertia="false")
    return tostring(root, encoding="unicode")


def _lock(module: Any, spec: Any, name: str, position: float) -> None:
    """Replaces a joint by where its body is at a position [rad or m]."""
    joint = spec.joint(name)
    if joint is None:  # a fixed one
        return
    body, axis = joint.parent, np.asarray(joint.axis) / np.linalg.norm(joint.axis)
    moved, turned = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
    if joint.type == module.mjtJoint.mjJNT_SLIDE:
        module.mju_rotVecQuat(moved, position * axis, body.quat)
    else:
        module.mju_axisAngle2Quat(turned, axis, position)
    body.pos = body.pos + moved
    quaternion = np.zeros(4)
    module.mju_mulQuat(quaternion, body.quat, turned)
    body.quat = quaternion
    spec.delete(joint)
