// The collision bodies of a robot and of what surrounds it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <coal/collision_data.h>
#include <pinocchio/geometry.hpp>
#include <pinocchio/multibody.hpp>

namespace sobo {

/// Bodies, the pairs of them that must not touch, and bounds on their distances and motions. Never changes.
///
/// The first pairs are those of the robot's own links. Where the second body of a pair is an obstacle, a margin is to
/// be kept from it.
class Bodies {
public:
  using Vector3d = Eigen::Vector3d;
  using Model = pinocchio::Model;
  using GeometryModel = pinocchio::GeometryModel;

  /// `names` are those of the links or objects that the bodies belong to, `own_pairs` and `own_bodies` how many are the
  /// robot's own.
  Bodies(std::shared_ptr<const Model> model, std::shared_ptr<const GeometryModel> geometry,
         std::vector<std::string> names, std::size_t own_bodies, std::size_t own_pairs, double margin);

  /// Where the bodies are: memory of one computation.
  struct Places {
    std::vector<pinocchio::SE3> bodies;
    std::vector<Vector3d> balls; // centres of the balls that cover each body
  };
  /// Those of bodies that do not move are set already.
  Places places() const;
  void place(const pinocchio::Data &data, Places &places) const;

  std::size_t pairs() const { return geometry_->collisionPairs.size(); }
  std::size_t own_pairs() const { return own_pairs_; }
  std::size_t own_bodies() const { return own_bodies_; }
  const GeometryModel &geometry() const { return *geometry_; }
  const pinocchio::CollisionPair &pair(std::size_t k) const { return geometry_->collisionPairs[k]; }
  const std::string &name(std::size_t body) const { return names_[body]; }
  const std::vector<std::string> &names() const { return names_; }
  pinocchio::JointIndex joint(std::size_t body) const { return geometry_->geometryObjects[body].parentJoint; }
  bool with_object(std::size_t k) const { return k >= own_pairs_; }
  /// Whether the second body is an obstacle, and not a link or attached to one.
  bool with_obstacle(std::size_t k) const { return pair(k).second >= own_bodies_ && joint(pair(k).second) == 0; }
  /// Distance at which a pair touches [m].
  double kept(std::size_t k) const { return with_obstacle(k) ? margin_ : 0.0; }

  /// Whether a pair is certainly no nearer than a gap of 0 or more [m]; most pairs that are far apart need no more than
  /// this.
  bool apart(std::size_t k, const Places &places, double gap) const;
  /// Signed distance, nearest points and normal.
  coal::DistanceResult distance(std::size_t k, const Places &places) const;
  /// How far a pair's distance may change at most [m] while each joint moves by as much (nv) [rad or m].
  double change(std::size_t k, const Eigen::VectorXd &moved) const;

private:
  struct Ball {
    Vector3d centre; // in the frame of the joint
    double radius;
  };
  struct Body {
    Vector3d centre, half; // of the box around it along the axes of its own frame
    double radius;         // of a ball around it
    bool plane = false;    // a half-space, which none of these hold
    Vector3d normal = Vector3d::Zero();
    double offset = 0.0;
    std::size_t first = 0; // of its balls: the one around it, then those that cover it
    std::vector<Ball> balls;
    Eigen::VectorXd reach; // largest distance of its points from the axis of each joint that carries it, else 0
  };

  Body bounded(std::size_t index, std::size_t first, const std::vector<Eigen::Matrix<double, 6, 1>> &axes) const;
  Eigen::VectorXd reach(std::size_t index, const Body &body, const std::vector<Eigen::Matrix<double, 6, 1>> &axes) const;

  std::shared_ptr<const Model> model_;
  std::shared_ptr<const GeometryModel> geometry_;
  std::vector<std::string> names_;
  std::size_t own_bodies_, own_pairs_;
  double margin_;
  std::vector<Body> bodies_;
  std::size_t balls_ = 0;
};

} // namespace sobo
