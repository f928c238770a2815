// Distances of spheres and capsules from each other and from boxes in closed form.
#pragma once

#include <coal/collision_data.h>
#include <coal/collision_object.h>
#include <pinocchio/spatial/se3.hpp>

namespace sobo {

/// Signed distance, nearest points and normal, as coal::distance has them; false where there is no closed form: for other
/// shapes, and where the axis of one meets the other.
bool round_distance(const coal::CollisionGeometry &first, const pinocchio::SE3 &first_place,
                    const coal::CollisionGeometry &second, const pinocchio::SE3 &second_place,
                    coal::DistanceResult &found);

} // namespace sobo
