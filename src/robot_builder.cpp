#include "robot_builder.hpp"

#include <sstream>

#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/algorithm/model.hpp>
#include <pinocchio/parsers/urdf.hpp>

#include "errors.hpp"

namespace sobo {
namespace {

using pinocchio::GeometryModel;
using pinocchio::JointIndex;
using pinocchio::Model;

Model parse_model(const std::string &urdf_xml) {
  Model model;
  try {
    pinocchio::urdf::buildModelFromXML(urdf_xml, model);
  } catch (const std::exception &e) {
    throw RobotError(std::string("the URDF cannot be parsed: ") + e.what());
  }
  return model;
}

GeometryModel parse_geometry(const Model &model, const std::string &urdf_xml,
                             const std::vector<std::string> &package_dirs) {
  GeometryModel geometry;
  std::istringstream stream(urdf_xml);
  try {
    pinocchio::urdf::buildGeom(model, stream, pinocchio::COLLISION, geometry, package_dirs);
  } catch (const std::exception &e) {
    throw RobotError(std::string("the collision geometry of the URDF cannot be read: ") + e.what());
  }
  return geometry;
}

void lock_joints(Model &model, GeometryModel &geometry, const std::map<std::string, double> &locked) {
  std::vector<JointIndex> ids;
  VectorXd reference = pinocchio::neutral(model);
  for (const auto &[name, position] : locked) {
    if (!model.existJointName(name))
      throw RobotError("the locked joint '" + name + "' is not in the URDF");
    const JointIndex id = model.getJointId(name);
    ids.push_back(id);
    reference[model.idx_qs[id]] = position;
  }
  if (ids.empty())
    return;
  Model reduced;
  GeometryModel reduced_geometry;
  pinocchio::buildReducedModel(model, geometry, ids, reference, reduced, reduced_geometry);
  model = reduced;
  geometry = reduced_geometry;
}

void check_joints(const Model &model) {
  if (model.nv == 0)
    throw RobotError("the URDF has no movable joint");
  for (JointIndex i = 1; i < static_cast<JointIndex>(model.njoints); ++i) {
    if (model.nqs[i] != 1 || model.nvs[i] != 1)
      throw RobotError("joint '" + model.names[i] + "' has " + std::to_string(model.nqs[i]) +
                       " position variables; only joints with one are supported");
  }
}

void set_armature(Model &model, const VectorXd &armature) {
  if (armature.size() == 0)
    return;
  if (armature.size() != model.nv || !(armature.minCoeff() >= 0.0))
    throw RobotError("the armature needs " + std::to_string(model.nv) + " non-negative entries, one for each joint");
  model.armature = armature;
}

// Links joined by one joint touch by construction, so such pairs are not checked.
void add_collision_pairs(const Model &model, GeometryModel &geometry) {
  for (std::size_t a = 0; a < geometry.ngeoms; ++a) {
    for (std::size_t b = a + 1; b < geometry.ngeoms; ++b) {
      const JointIndex ja = geometry.geometryObjects[a].parentJoint;
      const JointIndex jb = geometry.geometryObjects[b].parentJoint;
      if (ja != jb && model.parents[ja] != jb && model.parents[jb] != ja)
        geometry.addCollisionPair(pinocchio::CollisionPair(a, b));
    }
  }
}

pinocchio::FrameIndex moving_frame(const Model &model, const std::string &name) {
  const auto frame = find_frame(model, name);
  if (!frame) {
    std::string known;
    for (const auto &each : model.frames)
      if (each.type == pinocchio::BODY)
        known += (known.empty() ? "" : ", ") + each.name;
    throw RobotError("the frame '" + name + "' is not in the URDF; its links are: " + known);
  }
  if (model.frames[*frame].parentJoint == 0)
    throw RobotError("the frame '" + name + "' does not move: no joint that moves lies between the root and it");
  return *frame;
}

} // namespace

std::optional<pinocchio::FrameIndex> find_frame(const Model &model, const std::string &name) {
  // A joint has a frame of its name, too: with a link of that name, the link is meant.
  if (model.existFrame(name, pinocchio::BODY))
    return model.getFrameId(name, pinocchio::BODY);
  if (model.existFrame(name))
    return model.getFrameId(name);
  return std::nullopt;
}

std::shared_ptr<RobotImpl> build_robot(const std::string &urdf_xml, const std::string &tool_frame,
                                       const std::map<std::string, double> &locked, const VectorXd &armature,
                                       const std::vector<std::string> &package_dirs, bool collision) {
  Model model = parse_model(urdf_xml);
  GeometryModel geometry;
  if (collision)
    geometry = parse_geometry(model, urdf_xml, package_dirs);
  lock_joints(model, geometry, locked);
  check_joints(model);
  const auto tool = moving_frame(model, tool_frame);
  set_armature(model, armature);
  add_collision_pairs(model, geometry);
  // Here, not where they are used: problems of one robot share the shapes, and are solved in several threads.
  for (const auto &object : geometry.geometryObjects)
    object.geometry->computeLocalAABB();
  std::vector<std::string> names;
  for (const auto &object : geometry.geometryObjects)
    names.push_back(model.frames[object.parentFrame].name);
  const auto shared_model = std::make_shared<const Model>(model);
  const std::size_t own_bodies = geometry.ngeoms, own_pairs = geometry.collisionPairs.size();
  const auto bodies = std::make_shared<const Bodies>(shared_model, std::make_shared<const GeometryModel>(geometry),
                                                     names, own_bodies, own_pairs, 0.0);
  return std::make_shared<RobotImpl>(shared_model, bodies, tool);
}

} // namespace sobo
