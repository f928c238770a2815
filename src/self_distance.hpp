// Links of one robot that come near each other or an object.
#pragma once

#include <memory>
#include <vector>

#include <pinocchio/multibody/data.hpp>

#include "robot.hpp"

namespace sobo {

/// Penalty sum (margin - d)^2 over the pairs of collision bodies whose signed distance d is below the margin, which may be
/// another one for pairs with an object; d is what is left beyond the distance to be kept from objects. Bodies that
/// overlap have a negative one. Where two axes cross, or the direction of least penetration changes sides, d is not differentiable.
///
/// The pairs are those of Robot::colliding_pair. Used by one thread at a time: the stages of a problem share one.
class SelfDistance {
public:
  SelfDistance(const Robot &robot, double margin, double object_margin);
  ~SelfDistance();

  /// Two bodies closer than the margin.
  struct NearPair {
    double lack;                         // margin - d [m]
    pinocchio::JointIndex first, second; // that carry them
    Eigen::Matrix<double, 6, 1> line;   // unit force on the second along the line between their nearest points
  };

  /// The pairs that cause the penalty at some joint positions, and what spares work at the next ones.
  struct Near {
    std::vector<NearPair> pairs;
    double penalty = 0.0;
    VectorXd at; // joint positions
    std::vector<std::size_t> candidates; // all others keep their distance while the joints stay near these positions
    VectorXd around;
    std::shared_ptr<const void> owner; // whose pairs they are

    void clear();
  };

  /// Whether it is about the bodies of this robot, in its present world.
  bool made_for(const Robot &robot) const;
  /// The penalty at joint positions q with their placements in `data`, and the pairs that cause it.
  double evaluate(const pinocchio::Data &data, const Eigen::Ref<const VectorXd> &q, Near &near) const;
  /// Derivatives of the penalty by the joints, the second one without the curvature of d (Gauss-Newton). `data` holds the
  /// joint Jacobians.
  void differentiate(const pinocchio::Data &data, const std::vector<NearPair> &near, VectorXd &gradient,
                     MatrixXd &hessian) const;

private:
  struct Impl; // Pinocchio's geometry
  std::unique_ptr<Impl> impl_;
};

} // namespace sobo
