#include "self_distance.hpp"

#include <pinocchio/algorithm/geometry.hpp>
#include <pinocchio/collision/distance.hpp>

#include "robot_impl.hpp"

namespace sobo {

using pinocchio::GeometryData;
using pinocchio::GeometryModel;
using pinocchio::JointIndex;
using pinocchio::Model;

namespace {

/// From the first body to the second. Coal gives none for meshes: there it is that of the nearest points, and nothing is
/// known once they overlap.
Vector3d direction(const coal::DistanceResult &found) {
  if (std::abs(found.normal.norm() - 1.0) < 1e-3)
    return found.normal;
  const Vector3d way = found.nearest_points[1] - found.nearest_points[0];
  return found.min_distance > 0.0 && way.allFinite() ? way.stableNormalized() : Vector3d(Vector3d::Zero());
}

} // namespace

struct SelfDistance::Impl {
  Impl(const RobotImpl &robot, double margin)
      : model(robot.model), geometry(robot.geometry), margin(margin), data(*geometry), centres(geometry->ngeoms) {
    for (const auto &object : geometry->geometryObjects) {
      local_centres.push_back(object.placement.act(Vector3d(object.geometry->aabb_center)));
      radii.push_back(object.geometry->aabb_radius);
    }
  }

  /// Whether spheres around two bodies are further apart than the margin: most pairs need no more than this.
  bool apart(const pinocchio::CollisionPair &pair) const {
    const double reach = radii[pair.first] + radii[pair.second] + margin;
    return (centres[pair.second] - centres[pair.first]).squaredNorm() >= reach * reach;
  }

  std::shared_ptr<const Model> model;
  std::shared_ptr<const GeometryModel> geometry;
  double margin;
  std::vector<Vector3d> local_centres; // of a sphere around each body, in the frame of its joint
  std::vector<double> radii;
  // Scratch memory
  GeometryData data;
  std::vector<Vector3d> centres;
};

SelfDistance::SelfDistance(const Robot &robot, double margin)
    : impl_(std::make_unique<Impl>(robot.impl(), margin)) {}

SelfDistance::~SelfDistance() = default;

double SelfDistance::evaluate(const pinocchio::Data &data, std::vector<NearPair> &near) const {
  auto &scratch = *impl_;
  const auto &bodies = scratch.geometry->geometryObjects;
  const auto &pairs = scratch.geometry->collisionPairs;
  near.clear();
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const auto &joint = data.oMi[bodies[i].parentJoint];
    scratch.data.oMg[i] = joint * bodies[i].placement;
    scratch.centres[i] = joint.act(scratch.local_centres[i]);
  }
  double sum = 0.0;
  for (std::size_t k = 0; k < pairs.size(); ++k) {
    if (scratch.apart(pairs[k]))
      continue;
    const auto &found = pinocchio::computeDistance(*scratch.geometry, scratch.data, k);
    const double lack = scratch.margin - found.min_distance;
    if (!(lack > 0.0))
      continue;
    NearPair pair{lack, bodies[pairs[k].first].parentJoint, bodies[pairs[k].second].parentJoint, {}};
    const Vector3d normal = direction(found);
    pair.line << normal, found.nearest_points[1].cross(normal);
    near.push_back(pair);
    sum += lack * lack;
  }
  return sum;
}

// d' = n' (v2 - v1) with the velocities of the nearest points: the power of the line on the second body's motion less that
// on the first's. Joints that carry both cancel.
void SelfDistance::differentiate(const pinocchio::Data &data, const std::vector<NearPair> &near, VectorXd &gradient,
                                 MatrixXd &hessian) const {
  const auto &model = *impl_->model;
  gradient.setZero(model.nv);
  hessian.setZero(model.nv, model.nv);
  VectorXd slope(model.nv);
  for (const auto &pair : near) {
    slope.setZero();
    for (const JointIndex joint : model.supports[pair.second])
      if (joint > 0)
        slope[model.idx_vs[joint]] += data.J.col(model.idx_vs[joint]).dot(pair.line);
    for (const JointIndex joint : model.supports[pair.first])
      if (joint > 0)
        slope[model.idx_vs[joint]] -= data.J.col(model.idx_vs[joint]).dot(pair.line);
    gradient -= 2.0 * pair.lack * slope;
    hessian.noalias() += 2.0 * slope * slope.transpose();
  }
}

} // namespace sobo
