// How the distance of two bodies changes with the joints.
#pragma once

#include <cmath>

#include <coal/collision_data.h>
#include <pinocchio/multibody.hpp>

namespace sobo {

/// A unit force on the second body along the line between the nearest points of two. Coal gives no normal for meshes: the
/// line is that of the nearest points there, and zero, as nothing is known, once they overlap.
inline Eigen::Matrix<double, 6, 1> line_between(const coal::DistanceResult &found) {
  using Eigen::Vector3d;
  Vector3d normal = found.normal;
  if (!(std::abs(normal.norm() - 1.0) < 1e-3)) {
    const Vector3d way = found.nearest_points[1] - found.nearest_points[0];
    if (!(found.min_distance > 0.0 && way.allFinite()))
      return Eigen::Matrix<double, 6, 1>::Zero();
    normal = way.stableNormalized();
  }
  Eigen::Matrix<double, 6, 1> line;
  line << normal, found.nearest_points[1].cross(normal);
  return line;
}

/// d distance / d q (nv) of bodies that two joints carry: the power of the line on the second body's motion less that on
/// the first's. Joints that carry both cancel. `data` holds the joint Jacobians.
inline void distance_slope(const pinocchio::Model &model, const pinocchio::Data &data,
                           const Eigen::Matrix<double, 6, 1> &line, pinocchio::JointIndex first,
                           pinocchio::JointIndex second, Eigen::VectorXd &slope) {
  slope.setZero(model.nv);
  const auto add = [&](pinocchio::JointIndex carrier, double sign) {
    for (const auto joint : model.supports[carrier])
      if (joint > 0)
        slope[model.idx_vs[joint]] += sign * data.J.col(model.idx_vs[joint]).dot(line);
  };
  add(second, 1.0);
  add(first, -1.0);
}

} // namespace sobo
