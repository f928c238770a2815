#include "bodies.hpp"

#include <cmath>

#include <coal/distance.h>
#include <coal/shape/geometric_shapes.h>
#include <pinocchio/algorithm/jacobian.hpp>
#include <pinocchio/algorithm/joint-configuration.hpp>
#include <pinocchio/collision/coal-pinocchio-conversions.hpp>

#include "round_distance.hpp"

namespace sobo {
namespace {

using Eigen::Vector3d;
using Eigen::VectorXd;
using Axis = Eigen::Matrix<double, 6, 1>; // linear above angular part of a joint's motion, in its own frame
using pinocchio::JointIndex;

// Balls that cover a long body; more of them are tighter and take longer.
constexpr int most_balls = 8;
// How far a joint that slides without a limit is taken to go [m].
constexpr double farthest_slide = 10.0;

bool is_round(const coal::CollisionGeometry &shape) {
  const auto type = shape.getNodeType();
  return type == coal::GEOM_CAPSULE || type == coal::GEOM_CYLINDER || type == coal::GEOM_CONE ||
         type == coal::GEOM_SPHERE;
}

std::vector<Axis> axes_of(const pinocchio::Model &model) {
  pinocchio::Data data(model);
  pinocchio::computeJointJacobians(model, data, pinocchio::neutral(model));
  std::vector<Axis> axes(model.njoints, Axis::Zero());
  for (JointIndex j = 1; j < static_cast<JointIndex>(model.njoints); ++j)
    axes[j] = data.oMi[j].actInv(pinocchio::Motion(data.J.col(model.idx_vs[j]))).toVector();
  return axes;
}

/// Distance of a point from a joint's axis.
double from_axis(const Axis &axis, const Vector3d &point) {
  const Vector3d along = axis.tail<3>();
  return (point - along * along.dot(point)).norm();
}

bool slides(const Axis &axis) { return axis.tail<3>().isZero(1e-9); }

} // namespace

Bodies::Bodies(std::shared_ptr<const Model> model, std::shared_ptr<const GeometryModel> geometry,
               std::vector<std::string> names, std::size_t own_bodies, std::size_t own_pairs, double margin)
    : model_(std::move(model)), geometry_(std::move(geometry)), names_(std::move(names)), own_bodies_(own_bodies),
      own_pairs_(own_pairs), margin_(margin) {
  const auto axes = axes_of(*model_);
  for (std::size_t i = 0; i < geometry_->ngeoms; ++i) {
    bodies_.push_back(bounded(i, balls_, axes));
    balls_ += bodies_.back().balls.size();
  }
}

Bodies::Body Bodies::bounded(std::size_t index, std::size_t first, const std::vector<Axis> &axes) const {
  const auto &object = geometry_->geometryObjects[index];
  const auto &shape = *object.geometry;
  Body body;
  body.first = first;
  body.centre = shape.aabb_center;
  body.half = 0.5 * (shape.aabb_local.max_ - shape.aabb_local.min_);
  body.radius = shape.aabb_radius;
  if (shape.getNodeType() == coal::GEOM_HALFSPACE) {
    const auto &half_space = static_cast<const coal::Halfspace &>(shape);
    body.plane = true;
    body.normal = half_space.n;
    body.offset = half_space.d;
    return body;
  }
  body.balls.push_back({object.placement.act(body.centre), body.radius});
  if (object.parentJoint > 0) {
    Eigen::Index longest;
    const double half = body.half.maxCoeff(&longest);
    const double other = body.half[(longest + 1) % 3], another = body.half[(longest + 2) % 3];
    const double across = is_round(shape) ? std::max(other, another) : std::hypot(other, another);
    const int count = std::clamp(static_cast<int>(std::ceil(half / std::max(across, 1e-3))), 1, most_balls);
    for (int k = 0; count > 1 && k < count; ++k) {
      Vector3d centre = body.centre;
      centre[longest] += half * ((2.0 * k + 1.0) / count - 1.0);
      body.balls.push_back({object.placement.act(centre), std::hypot(half / count, across)});
    }
  }
  body.reach = reach(index, body, axes);
  return body;
}

VectorXd Bodies::reach(std::size_t index, const Body &body, const std::vector<Axis> &axes) const {
  VectorXd out = VectorXd::Zero(model_->nv);
  JointIndex joint = this->joint(index);
  // The points of the body, seen from the joint that carries it: within `within` of `place`.
  Vector3d place = body.balls.front().centre;
  double within = body.balls.front().radius;
  while (joint > 0) {
    const int v = model_->idx_vs[joint];
    out[v] = slides(axes[joint]) ? 1.0 : from_axis(axes[joint], place) + within;
    within += place.norm();
    place = model_->jointPlacements[joint].translation();
    if (slides(axes[joint])) {
      const double farthest = std::max(-model_->lowerPositionLimit[v], model_->upperPositionLimit[v]);
      within += std::min(std::abs(farthest), farthest_slide);
    }
    joint = model_->parents[joint];
  }
  return out;
}

Bodies::Places Bodies::places() const {
  Places out;
  out.balls.resize(balls_);
  for (std::size_t i = 0; i < bodies_.size(); ++i) {
    out.bodies.push_back(geometry_->geometryObjects[i].placement);
    for (std::size_t b = 0; b < bodies_[i].balls.size(); ++b)
      out.balls[bodies_[i].first + b] = bodies_[i].balls[b].centre;
  }
  return out;
}

void Bodies::place(const pinocchio::Data &data, Places &places) const {
  for (std::size_t i = 0; i < bodies_.size(); ++i) {
    const auto &object = geometry_->geometryObjects[i];
    if (object.parentJoint == 0)
      continue;
    const auto &joint = data.oMi[object.parentJoint];
    places.bodies[i] = joint * object.placement;
    for (std::size_t b = 0; b < bodies_[i].balls.size(); ++b)
      places.balls[bodies_[i].first + b] = joint.act(bodies_[i].balls[b].centre);
  }
}

bool Bodies::apart(std::size_t k, const Places &places, double gap) const {
  const auto &indices = pair(k);
  const Body &first = bodies_[indices.first], &second = bodies_[indices.second];
  const auto &place = places.bodies[indices.second];
  if (second.plane) {
    const Vector3d normal = place.rotation() * second.normal;
    const double offset = second.offset + normal.dot(place.translation());
    for (std::size_t b = first.balls.size() > 1 ? 1 : 0; b < first.balls.size(); ++b)
      if (normal.dot(places.balls[first.first + b]) - offset - first.balls[b].radius < gap)
        return false;
    return true;
  }
  const double reach = first.radius + second.radius + gap;
  if ((places.balls[second.first] - places.balls[first.first]).squaredNorm() >= reach * reach)
    return true;
  for (std::size_t b = first.balls.size() > 1 ? 1 : 0; b < first.balls.size(); ++b) {
    const Vector3d local = place.actInv(places.balls[first.first + b]) - second.centre;
    const Vector3d beyond = (local.cwiseAbs() - second.half).cwiseMax(0.0);
    const double least = gap + first.balls[b].radius;
    if (beyond.squaredNorm() < least * least)
      return false;
  }
  return true;
}

coal::DistanceResult Bodies::distance(std::size_t k, const Places &places) const {
  const auto &indices = pair(k);
  const auto &first = *geometry_->geometryObjects[indices.first].geometry;
  const auto &second = *geometry_->geometryObjects[indices.second].geometry;
  const auto &first_place = places.bodies[indices.first], &second_place = places.bodies[indices.second];
  coal::DistanceResult result;
  if (!round_distance(first, first_place, second, second_place, result))
    coal::distance(&first, pinocchio::toCoalTransform3s(first_place), &second, pinocchio::toCoalTransform3s(second_place),
                   coal::DistanceRequest(true), result);
  return result;
}

double Bodies::change(std::size_t k, const VectorXd &moved) const {
  const Body &first = bodies_[pair(k).first], &second = bodies_[pair(k).second];
  if (second.plane || second.reach.isZero(0.0))
    return first.reach.dot(moved);
  double sum = 0.0;
  for (Eigen::Index v = 0; v < moved.size(); ++v)
    if (first.reach[v] == 0.0 || second.reach[v] == 0.0) // a joint that carries both changes nothing
      sum += moved[v] * (first.reach[v] + second.reach[v]);
  return sum;
}

} // namespace sobo
