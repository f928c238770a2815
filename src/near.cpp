#include "near.hpp"

#include <pinocchio/algorithm/jacobian.hpp>

#include "direction.hpp"
#include "errors.hpp"
#include "robot_impl.hpp"

namespace sobo {
namespace {

/// d distance / d q of a pair: the velocities of the nearest points along the line between them. `data` holds the joint
/// Jacobians. Joints that carry both bodies cancel.
VectorXd slope(const RobotImpl &robot, std::size_t k, const coal::DistanceResult &found, const pinocchio::Data &data) {
  const auto &model = *robot.model;
  const Bodies &bodies = *robot.bodies;
  const Vector3d normal = direction(found);
  Eigen::Matrix<double, 6, 1> line;
  line << normal, found.nearest_points[1].cross(normal);
  VectorXd out = VectorXd::Zero(model.nv);
  const auto add = [&](std::size_t body, double sign) {
    for (const auto joint : model.supports[bodies.joint(body)])
      if (joint > 0)
        out[model.idx_vs[joint]] += sign * data.J.col(model.idx_vs[joint]).dot(line);
  };
  if (!normal.isZero(0.0)) {
    add(bodies.pair(k).second, 1.0);
    add(bodies.pair(k).first, -1.0);
  }
  return out;
}

} // namespace

std::vector<NearBodies> near_bodies(const RobotImpl &robot, const VectorXd &q, double within) {
  if (q.size() != robot.model->nq)
    throw RobotError("q has " + std::to_string(q.size()) + " entries, expected " + std::to_string(robot.model->nq));
  const Bodies &bodies = *robot.bodies;
  const auto scratch = robot.borrow();
  pinocchio::computeJointJacobians(*robot.model, scratch->data, q);
  bodies.place(scratch->data, scratch->places);
  std::vector<NearBodies> near;
  for (std::size_t k = 0; k < bodies.pairs(); ++k) {
    if (bodies.apart(k, scratch->places, std::max(bodies.kept(k) + within, 0.0)))
      continue;
    const auto found = bodies.distance(k, scratch->places);
    const double gap = found.min_distance - bodies.kept(k);
    if (gap >= within)
      continue;
    const auto &pair = bodies.pair(k);
    near.push_back({{0.0, bodies.name(pair.first), bodies.name(pair.second), found.min_distance, bodies.with_object(k)},
                    gap,
                    slope(robot, k, found, scratch->data)});
  }
  return near;
}

} // namespace sobo
