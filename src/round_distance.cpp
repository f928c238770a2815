#include "round_distance.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <coal/shape/geometric_shapes.h>

namespace sobo {
namespace {

using Eigen::Vector3d;
using pinocchio::SE3;

// Nearer than this [m] the direction between two axes is not known well.
constexpr double least_distance = 1e-6;

/// All points within a radius of a line between two points; a sphere's line is one point.
struct Round {
  Vector3d middle, half; // half: from the middle to one end
  double radius;
};

std::optional<Round> round(const coal::CollisionGeometry &shape, const SE3 &place) {
  if (shape.getNodeType() == coal::GEOM_SPHERE)
    return Round{place.translation(), Vector3d::Zero(), static_cast<const coal::Sphere &>(shape).radius};
  if (shape.getNodeType() == coal::GEOM_CAPSULE) {
    const auto &capsule = static_cast<const coal::Capsule &>(shape);
    return Round{place.translation(), capsule.halfLength * place.rotation().col(2), capsule.radius};
  }
  return std::nullopt;
}

/// The nearest points of two lines (Ericson 2005, Real-Time Collision Detection, section 5.1.9).
std::array<Vector3d, 2> nearest(const Round &first, const Round &second) {
  const Vector3d way = first.middle - second.middle;
  const double a = first.half.squaredNorm(), e = second.half.squaredNorm(), b = first.half.dot(second.half);
  const double c = first.half.dot(way), f = second.half.dot(way);
  const double denominator = a * e - b * b;
  double s = denominator > 1e-12 * a * e ? std::clamp((b * f - c * e) / denominator, -1.0, 1.0) : 0.0;
  double t = e > 0.0 ? std::clamp((b * s + f) / e, -1.0, 1.0) : 0.0;
  s = a > 0.0 ? std::clamp((b * t - c) / a, -1.0, 1.0) : 0.0;
  t = e > 0.0 ? std::clamp((b * s + f) / e, -1.0, 1.0) : 0.0;
  return {first.middle + s * first.half, second.middle + t * second.half};
}

/// Where a line middle + t half, -1 <= t <= 1, is nearest to a box around the origin; the middle of such points.
///
/// The squared distance is convex in t, and its slope is linear between the planes of the sides.
double nearest_to_box(const Vector3d &middle, const Vector3d &half, const Vector3d &sides) {
  std::array<double, 8> places{-1.0, 1.0};
  std::size_t count = 2;
  for (int i = 0; i < 3; ++i)
    for (const double side : {-sides[i], sides[i]})
      if (const double t = (side - middle[i]) / half[i]; t > -1.0 && t < 1.0)
        places[count++] = t;
  std::sort(places.begin(), places.begin() + count);
  const auto slope = [&](double t) {
    const Vector3d point = middle + t * half;
    return (point - point.cwiseMax(-sides).cwiseMin(sides)).dot(half);
  };
  double before = places[0], lower = places[0], slope_before = slope(before);
  if (slope_before > 0.0)
    return before;
  for (std::size_t k = 1; k < count; ++k) {
    const double here = places[k], slope_here = slope(here);
    if (slope_before < 0.0)
      lower = slope_here > 0.0 ? before - slope_before * (here - before) / (slope_here - slope_before) : here;
    if (slope_here > 0.0)
      return 0.5 * (lower + (slope_before < 0.0 ? lower : before));
    before = here;
    slope_before = slope_here;
  }
  return 0.5 * (lower + 1.0);
}

std::array<Vector3d, 2> nearest(const Round &round, const coal::Box &box, const SE3 &place) {
  const Vector3d middle = place.actInv(round.middle), half = place.rotation().transpose() * round.half;
  const Vector3d point = middle + nearest_to_box(middle, half, box.halfSide) * half;
  return {place.act(point), place.act(Vector3d(point.cwiseMax(-box.halfSide).cwiseMin(box.halfSide)))};
}

bool fill(const std::array<Vector3d, 2> &points, double first_radius, double second_radius, coal::DistanceResult &found) {
  const Vector3d way = points[1] - points[0];
  const double length = way.norm();
  if (!(length > least_distance))
    return false;
  found.normal = way / length;
  found.min_distance = length - first_radius - second_radius;
  found.nearest_points[0] = points[0] + first_radius * found.normal;
  found.nearest_points[1] = points[1] - second_radius * found.normal;
  return true;
}

} // namespace

bool round_distance(const coal::CollisionGeometry &first, const SE3 &first_place, const coal::CollisionGeometry &second,
                    const SE3 &second_place, coal::DistanceResult &found) {
  const auto one = round(first, first_place), other = round(second, second_place);
  if (one && other)
    return fill(nearest(*one, *other), one->radius, other->radius, found);
  if (one && second.getNodeType() == coal::GEOM_BOX)
    return fill(nearest(*one, static_cast<const coal::Box &>(second), second_place), one->radius, 0.0, found);
  if (other && first.getNodeType() == coal::GEOM_BOX) {
    const auto points = nearest(*other, static_cast<const coal::Box &>(first), first_place);
    return fill({points[1], points[0]}, 0.0, other->radius, found);
  }
  return false;
}

} // namespace sobo
