"""What links look like and where: beside Pinocchio's own reading of the same URDFs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pinocchio as pin
import pytest
from robots import (
    PANDA_FINGERS,
    PANDA_READY,
    PANDA_TOOL_FRAME,
    package_folders,
    panda_urdf,
    ur5_reference_urdf,
    ur5_urdf,
)

from sobo_planner.robot import Robot
from sobo_planner.view.links import PLAIN, Looks, carrier, looks_of, matrix, placements


def expected(robot: Robot, urdf: Path, kind: pin.GeometryType, q: np.ndarray) -> dict[str, np.ndarray]:
    """The bounding boxes (2, 3) of all bodies of each link in the root's frame, as Pinocchio and Coal have them."""
    model = pin.buildModelFromUrdf(str(urdf))
    geometry = pin.buildGeomFromUrdf(model, str(urdf), kind, package_dirs=package_folders(urdf))
    whole = pin.neutral(model)
    for name, value in zip(robot.joint_names, q, strict=True):
        whole[model.joints[model.getJointId(name)].idx_q] = value
    data, placed = model.createData(), geometry.createData()
    pin.updateGeometryPlacements(model, data, geometry, placed, whole)
    boxes: dict[str, list[np.ndarray]] = {}
    for each, pose in zip(geometry.geometryObjects, placed.oMg, strict=True):
        shape = each.geometry
        if hasattr(shape, "vertices"):
            corners = np.array(shape.vertices()) @ pose.rotation.T + pose.translation
            box = np.array([corners.min(0), corners.max(0)])
        else:
            bounds = shape.clone()
            bounds.computeLocalAABB()
            half = 0.5 * (bounds.aabb_local.max_ - bounds.aabb_local.min_)
            box = np.array([pose.translation, half])
        boxes.setdefault(model.frames[each.parentFrame].name, []).append(box)
    return {link: np.array(found) for link, found in boxes.items()}


def shown(robot: Robot, looks: Looks, q: np.ndarray) -> dict[str, list[np.ndarray]]:
    frames = placements(robot, q)
    out: dict[str, list[np.ndarray]] = {}
    for body in looks.bodies:
        out.setdefault(body.link, []).append(body.surface.moved(*frames[body.joint]).vertices)
    return out


@pytest.mark.parametrize("q", [PANDA_READY, (0.3, -0.5, 1.2, -1.5, 0.7, 2.0, -1.0)])
def test_meshes_of_a_panda_are_where_pinocchio_has_them(q: tuple[float, ...]) -> None:
    """Its visual meshes are Collada files; its fingers are locked."""
    robot = Robot.from_urdf(panda_urdf(), PANDA_TOOL_FRAME, locked_joints=PANDA_FINGERS)
    looks = looks_of(robot)
    assert looks.missing == {}
    meant = expected(robot, panda_urdf(), pin.GeometryType.VISUAL, np.array(q))
    found = shown(robot, looks, np.array(q))
    assert set(found) == set(meant) and len(found) > 9
    for link, boxes in meant.items():
        for vertices, (low, high) in zip(found[link], boxes, strict=True):
            np.testing.assert_allclose([vertices.min(0), vertices.max(0)], [low, high], atol=1e-6, err_msg=link)


@pytest.mark.parametrize("kind", ["visual", "collision"])
def test_shapes_of_the_ur5_are_where_pinocchio_has_them(home: np.ndarray, kind: str) -> None:
    robot = Robot.from_urdf(ur5_urdf(), "tool0")
    q = home + 0.3
    looks = looks_of(robot, (kind,))
    meant = expected(robot, ur5_urdf(), getattr(pin.GeometryType, kind.upper()), q)
    found = shown(robot, looks, q)
    assert set(found) == set(meant)
    for link, boxes in meant.items():
        for vertices, (middle, half) in zip(found[link], boxes, strict=True):
            np.testing.assert_allclose(0.5 * (vertices.min(0) + vertices.max(0)), middle, atol=1e-3, err_msg=link)
            radius = np.linalg.norm(vertices - middle, axis=1).max()
            assert half.max() * (1 - 1e-6) <= radius <= np.linalg.norm(half) * (1 + 1e-6), link


def test_colours_are_the_urdfs() -> None:
    robot = Robot.from_urdf(ur5_urdf(), "tool0")
    colours = {body.link: body.colour for body in looks_of(robot).bodies}
    assert colours["base_link"] == (0.42, 0.46, 0.50)
    assert {body.colour for body in looks_of(robot, ("collision",)).bodies} == {PLAIN}


def test_collision_bodies_stand_for_meshes_that_are_missing(tmp_path: Path) -> None:
    text = ur5_urdf().read_text()
    visual = '<geometry><cylinder radius="0.075" length="0.024"/></geometry>\n      <material name="joint"/>'
    assert visual in text
    for geometry, reason in (
        ('<geometry><mesh filename="package://none/base.dae"/></geometry>', "package://none/base.dae is not there"),
        ('<geometry><box size="1 2"/></geometry>', "its visual cannot be read"),
        ("", "it has no geometry"),
    ):
        path = tmp_path / "ur5.urdf"
        path.write_text(text.replace(visual, geometry))
        robot = Robot.from_urdf(path, "tool0")
        looks = looks_of(robot)
        assert list(looks.missing) == ["base_link"] and reason in looks.missing["base_link"]
        assert [body.link for body in looks.bodies].count("base_link") == 2, "both of its collision bodies"


def test_what_carries_links(home: np.ndarray) -> None:
    """tool0 is fixed to the last link, base to the root; another UR5 has its meshes beside it."""
    robot = Robot.from_urdf(ur5_reference_urdf(), "tool0")
    joint, placement = carrier(robot, "tool0")
    rotation, origin = robot.joint_placement(home, joint)
    assert joint == 5
    np.testing.assert_allclose(origin + rotation @ placement.position, robot.tool_position(home), atol=1e-12)
    pose = robot.tool_pose(home)
    np.testing.assert_allclose(rotation @ matrix(placement), pin.Quaternion(*pose[[6, 3, 4, 5]]).matrix(), atol=1e-9)
    assert carrier(robot, "base_link")[0] == -1
    assert looks_of(robot).missing == {}
