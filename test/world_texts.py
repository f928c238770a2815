"""World files and planning scenes as texts."""

from __future__ import annotations

from pathlib import Path

from sobo_planner.paths import share_path
from sobo_planner.world import World, read_world

SHELF = share_path("config/worlds/shelf.yaml").read_text()
# A dump of moveit_msgs/PlanningScene, without the fields that say nothing here.
DUMP = """
name: (noname)
robot_state:
  joint_state: {name: [elbow_joint], position: [0.5]}
  attached_collision_objects:
  - link_name: tool0
    object:
      header: {stamp: {sec: 0, nanosec: 0}, frame_id: tool0}
      id: held
      pose: {position: {x: 0.0, y: 0.0, z: 0.1}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}
      primitives: [{type: 2, dimensions: [0.03]}]
      primitive_poses: [{position: {x: 0.0, y: 0.0, z: 0.02}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}]
      operation: 0
    touch_links: [wrist_3_link]
    weight: 0.5
  is_diff: false
robot_model_name: ur5
fixed_frame_transforms: []
allowed_collision_matrix:
  entry_names: [can, table, tool0]
  entry_values:
  - enabled: [true, true, false]
  - enabled: [true, false, false]
  - enabled: [false, false, false]
  default_entry_names: [can]
  default_entry_values: [false]
link_padding: [{link_name: tool0, padding: 0.0}]
link_scale: [{link_name: tool0, scale: 1.0}]
world:
  collision_objects:
  - header: {frame_id: base_link}
    id: can
    pose: {position: {x: 0.8, y: 0.0, z: 0.5}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}
    primitives: [{type: 3, dimensions: [0.14, 0.03], polygon: {points: []}}]
    primitive_poses: []
    operation: 0
  - header: {frame_id: /base_link}
    id: table
    primitives: [{type: 1, dimensions: [1.0, 2.0, 0.05]}]
    primitive_poses: [{position: {x: 0.0, y: 0.0, z: -0.1}, orientation: {x: 0.0, y: 0.0, z: 0.0, w: 1.0}}]
  octomap: {header: {frame_id: ''}, octomap: {resolution: 0.0, data: []}}
is_diff: false
"""
SHORT = """
allowed_collision_matrix: {entry_names: [can, table], entry_values: [['false', 'true'], ['true', 'false']]}
world:
  collision_objects:
    - header:
        frame_id: base_link
      id: can
      primitives:
        - type: cylinder
          dimensions: [0.14, 0.03]
      primitive_poses:
        - position: [0.8, 0, 0.5]
          orientation: [0, 0.383, 0, 0.924]
"""


def read_text(folder: Path, text: str) -> World:
    """The world of a file with this text."""
    path = folder / "scene.yaml"
    path.write_text(text)
    return read_world(path)


def objects(text: str) -> str:
    """A planning scene with these lines as its collision objects, given in the base frame."""
    return "world:\n  collision_objects:\n  - header: {frame_id: base_link}\n    id: x\n    " + text
