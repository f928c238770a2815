// Aligator problems from plain numbers.
#pragma once

#include <functional>
#include <memory>

#include <aligator/core/traj-opt-problem.hpp>

#include "reach_parts.hpp"
#include "robot.hpp"
#include "sensitivity.hpp"
#include "spec.hpp"
#include "stage_terms.hpp"
#include "torque_controls.hpp"

namespace sobo {

using TrajOptProblem = aligator::TrajOptProblemTpl<double>;

/// An aligator problem and the target that all its stages share.
struct Problem {
  std::unique_ptr<TrajOptProblem> ocp;
  std::shared_ptr<Vector3d> target; // null for problems without one
  int nx = 0, nu = 0, horizon = 0;
  std::shared_ptr<Eigen::Matrix3d> rotation = nullptr; // of the target; null where no orientation is asked for
  std::shared_ptr<const TorqueControls> torques = nullptr; // where the controls inside are accelerations
  std::shared_ptr<ReachParts> parts = nullptr;             // of the costs; null for problems in matrices
  std::function<void(const Robot &, const ReachSpec &)> adapt = nullptr; // see Worker::adapt; null where nothing changes
  std::shared_ptr<TermsSlot> terms = nullptr;              // see make_room_for_terms

  /// Throws SolverError unless `value` is a position, a pose [x, y, z, qx, qy, qz, qw] where orientation counts, or has
  /// one finite number for each joint where those are the goal.
  void check_target(const VectorXd &value) const;
  void set_target(const VectorXd &value) const;
  /// Throws SolverError unless these can be the weights of the problem's costs.
  void check_weights(const RowMatrixXd &value) const;
  /// Of running stages and of the end, 2 x (6 + nx + nu), see flat_weights. Throws SolverError where costs have none.
  RowMatrixXd weights() const;
  void set_weights(const RowMatrixXd &value) const;
  /// Throws SolverError unless there is a term for every stage, over state and control, and one or none for the end.
  void check_terms(const StageTerms &value) const;
};

Problem make_reach_problem(const Robot &robot, const ReachSpec &spec);
/// Throws SolverError on parameters, weights, bounds or columns that cannot be meant.
Problem make_quadrotor_problem(const QuadrotorSpec &spec);
Problem make_linear_problem(const LinearSpec &spec);

} // namespace sobo
