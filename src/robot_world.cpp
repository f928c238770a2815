// What a Robot says about contacts, and the objects around it.
#include <algorithm>
#include <set>

#include <pinocchio/algorithm/kinematics.hpp>

#include "errors.hpp"
#include "robot_builder.hpp"
#include "shape.hpp"
#include "sweep.hpp"

namespace sobo {
namespace {

using pinocchio::GeometryModel;
using pinocchio::Model;
using Names = std::set<std::pair<std::string, std::string>>;

pinocchio::SE3 placement_of(const VectorXd &pose) {
  if (pose.size() != 7 || !pose.allFinite() || !(pose.tail<4>().norm() > 0.5))
    throw RobotError("the pose of a shape needs 7 finite numbers, the last four those of a unit quaternion");
  return {rotation_of(pose), pose.head<3>()};
}

pinocchio::FrameIndex frame_of(const Model &model, const std::string &link, const std::string &what) {
  const auto frame = find_frame(model, link);
  if (!frame)
    throw RobotError(what + " is fixed to '" + link + "', which is not in the URDF");
  return *frame;
}

/// Objects and attached shapes join a robot's own bodies.
class Gathered {
public:
  Gathered(const Model &model, const Bodies &own, const Names &allowed) : model_(model), allowed_(allowed) {
    for (std::size_t i = 0; i < own.own_bodies(); ++i) {
      geometry.addGeometryObject(own.geometry().geometryObjects[i]);
      names.push_back(own.name(i));
    }
    for (std::size_t k = 0; k < own.own_pairs(); ++k)
      geometry.addCollisionPair(own.pair(k));
    own_ = own.own_bodies();
  }

  /// Attached shapes come before objects.
  void add(const PlacedShape &placed, std::size_t number) {
    const bool attached = !placed.link.empty();
    const auto frame = attached ? frame_of(model_, placed.link, "'" + placed.name + "'") : 0;
    const auto joint = attached ? model_.frames[frame].parentJoint : 0;
    const pinocchio::SE3 place = placement_of(placed.pose);
    const auto index = geometry.addGeometryObject(pinocchio::GeometryObject(
        "object" + std::to_string(number), joint, frame,
        attached ? model_.frames[frame].placement * place : place, placed.shape->geometry()));
    names.push_back(placed.name);
    for (std::size_t other = 0; other < index; ++other) {
      const auto &body = geometry.geometryObjects[other];
      if (body.parentJoint == joint || allowed_.count(std::minmax(names[other], placed.name)))
        continue;
      const bool first = joint > 0 && (other < own_ || body.parentJoint == 0); // what moves comes first
      geometry.addCollisionPair(first ? pinocchio::CollisionPair(index, other) : pinocchio::CollisionPair(other, index));
    }
  }

  GeometryModel geometry;
  std::vector<std::string> names;

private:
  const Model &model_;
  const Names &allowed_;
  std::size_t own_ = 0;
};

} // namespace

Robot Robot::with_world(const std::vector<PlacedShape> &shapes, const std::vector<Load> &loads,
                        const std::vector<std::pair<std::string, std::string>> &allowed, double margin) const {
  if (!(margin >= 0.0) || !std::isfinite(margin))
    throw RobotError("the distance to keep from objects must be a number of 0 or more, got " + std::to_string(margin));
  Names names;
  for (const auto &[first, second] : allowed)
    names.insert(std::minmax(first, second));
  std::shared_ptr<const Model> model = impl_->model;
  if (!loads.empty()) {
    Model loaded = *model;
    for (const Load &load : loads) {
      const auto &frame = loaded.frames[frame_of(loaded, load.link, "a load")];
      const pinocchio::Inertia point(load.mass, load.centre, Eigen::Matrix3d::Zero());
      loaded.inertias[frame.parentJoint] += frame.placement.act(point);
    }
    model = std::make_shared<const Model>(loaded);
  }
  Gathered gathered(*model, *impl_->bodies, names);
  for (const bool attached : {true, false})
    for (std::size_t i = 0; i < shapes.size(); ++i)
      if (shapes[i].link.empty() != attached)
        gathered.add(shapes[i], i);
  const auto bodies = std::make_shared<const Bodies>(
      model, std::make_shared<const GeometryModel>(gathered.geometry), gathered.names, impl_->bodies->own_bodies(),
      impl_->bodies->own_pairs(), margin);
  return Robot(std::make_shared<RobotImpl>(model, bodies, impl_->tool));
}

bool Robot::has_collision_geometry() const { return impl_->bodies->pairs() > 0; }

std::optional<Contact> Robot::contact(const VectorXd &q) const {
  if (q.size() != impl_->model->nq)
    throw RobotError("q has " + std::to_string(q.size()) + " entries, expected " + std::to_string(impl_->model->nq));
  const Bodies &bodies = *impl_->bodies;
  if (bodies.pairs() == 0)
    return std::nullopt;
  const auto scratch = impl_->borrow();
  pinocchio::forwardKinematics(*impl_->model, scratch->data, q);
  bodies.place(scratch->data, scratch->places);
  for (std::size_t k = 0; k < bodies.pairs(); ++k) {
    if (bodies.apart(k, scratch->places, bodies.kept(k)))
      continue;
    const double distance = bodies.distance(k, scratch->places).min_distance;
    if (distance <= bodies.kept(k))
      return Contact{0.0, bodies.name(bodies.pair(k).first), bodies.name(bodies.pair(k).second), distance,
                     bodies.with_object(k)};
  }
  return std::nullopt;
}

std::optional<std::pair<std::string, std::string>> Robot::colliding_pair(const VectorXd &q) const {
  const auto found = contact(q);
  return found ? std::make_optional(std::make_pair(found->first, found->second)) : std::nullopt;
}

namespace {

// What distances may be wrong by [m].
constexpr double distance_rounding = 1e-6;
// A pair that is certainly this far apart [m] needs no distance.
constexpr double certain = 0.2;

} // namespace

std::optional<std::tuple<int, std::string, std::string>> Robot::first_collision(const RowMatrixXd &Q) const {
  if (Q.cols() != impl_->model->nq)
    throw RobotError("Q has " + std::to_string(Q.cols()) + " columns, expected " + std::to_string(impl_->model->nq));
  const Bodies &bodies = *impl_->bodies;
  const auto scratch = impl_->borrow();
  // What the distance of each pair may shrink by until it has to be looked at again.
  std::vector<double> left(bodies.pairs(), 0.0);
  VectorXd moved = VectorXd::Zero(Q.cols());
  for (int row = 0; row < Q.rows(); ++row) {
    if (row > 0)
      moved = (Q.row(row) - Q.row(row - 1)).cwiseAbs().transpose();
    bool placed = false;
    for (std::size_t k = 0; k < bodies.pairs(); ++k) {
      if ((left[k] -= bodies.change(k, moved)) > 0.0)
        continue;
      if (!std::exchange(placed, true)) {
        pinocchio::forwardKinematics(*impl_->model, scratch->data, VectorXd(Q.row(row).transpose()));
        bodies.place(scratch->data, scratch->places);
      }
      if (bodies.apart(k, scratch->places, bodies.kept(k) + certain)) {
        left[k] = certain;
        continue;
      }
      const double distance = bodies.distance(k, scratch->places).min_distance;
      if (distance <= bodies.kept(k))
        return std::make_tuple(row, bodies.name(bodies.pair(k).first), bodies.name(bodies.pair(k).second));
      left[k] = distance - bodies.kept(k) - distance_rounding;
    }
  }
  return std::nullopt;
}

std::optional<Contact> Robot::first_contact(const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V,
                                            bool leaving) const {
  return sobo::first_contact(*impl_, times, Q, V, leaving);
}

std::optional<Contact> Robot::nearest_object(const RowMatrixXd &Q) const {
  if (Q.cols() != impl_->model->nq)
    throw RobotError("Q has " + std::to_string(Q.cols()) + " columns, expected " + std::to_string(impl_->model->nq));
  const Bodies &bodies = *impl_->bodies;
  const auto scratch = impl_->borrow();
  std::optional<Contact> nearest;
  for (Eigen::Index row = 0; row < Q.rows(); ++row) {
    pinocchio::forwardKinematics(*impl_->model, scratch->data, VectorXd(Q.row(row).transpose()));
    bodies.place(scratch->data, scratch->places);
    for (std::size_t k = bodies.own_pairs(); k < bodies.pairs(); ++k) {
      if (!bodies.with_obstacle(k))
        continue;
      if (nearest && bodies.apart(k, scratch->places, std::max(nearest->distance, 0.0)))
        continue;
      const double distance = bodies.distance(k, scratch->places).min_distance;
      if (!nearest || distance < nearest->distance)
        nearest = Contact{static_cast<double>(row), bodies.name(bodies.pair(k).first),
                          bodies.name(bodies.pair(k).second), distance, true};
    }
  }
  return nearest;
}

} // namespace sobo
