// In which direction two bodies lie from each other.
#pragma once

#include <cmath>

#include <coal/collision_data.h>

namespace sobo {

/// From the first body to the second. Coal gives none for meshes: there it is that of the nearest points, and zero, as
/// nothing is known, once they overlap.
inline Eigen::Vector3d direction(const coal::DistanceResult &found) {
  if (std::abs(found.normal.norm() - 1.0) < 1e-3)
    return found.normal;
  const Eigen::Vector3d way = found.nearest_points[1] - found.nearest_points[0];
  return found.min_distance > 0.0 && way.allFinite() ? way.stableNormalized() : Eigen::Vector3d(Eigen::Vector3d::Zero());
}

} // namespace sobo
