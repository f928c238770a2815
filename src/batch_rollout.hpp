// What many rollouts cost, for planners that sample.
#pragma once

#include <string>

#include "robot.hpp"
#include "spec.hpp"

namespace sobo {

/// One entry for each rollout; all infinite for one that diverges.
struct BatchCosts {
  explicit BatchCosts(Eigen::Index count)
      : cost(VectorXd::Zero(count)), excess(VectorXd::Zero(count)), away(VectorXd::Zero(count)) {}

  /// Replaces a rollout's entries by infinities unless all are finite.
  void settle(Eigen::Index i);

  VectorXd cost;   // as Worker::cost
  VectorXd excess; // sum over all steps of squared excesses over the bounds: relative to half their distance, or in metres
  VectorXd away;   // mean over the steps of min(|p - reference| / reach, 1)^2 of positions p; 0 without a reference
};

/// Positions to stay near, one for each step's end, and the distance [m] from which on it does not matter how far they are.
struct Reference {
  RowMatrixXd positions; // horizon x 3, or empty
  double reach = 1.0;

  /// Throws SolverError on another number of positions.
  void check(int horizon) const;
  const double *data() const { return positions.size() > 0 ? positions.data() : nullptr; }
};

/// What the rows of an arm's batch are: torques, or velocities at the ends of the steps. A motion costs the torques that
/// inverse dynamics finds for it, whether they are within their bounds or not.
enum class ArmInput { Torques, Velocities };

/// Rollouts of an arm from x0: `inputs` holds `count` row-major matrices of horizon x nv. The result does not depend on
/// `threads`. Throws SolverError on wrong sizes, the integrator rk2, another actuation than by one motor a joint, a cost on
/// the distance between links, and where there is no kernel of that name (rollout_kernel.hpp; the widest by default).
BatchCosts arm_batch(const Robot &robot, const ReachSpec &spec, const VectorXd &x0, const VectorXd &target, ArmInput input,
                     const double *inputs, Eigen::Index count, int threads, const Reference &reference,
                     const std::string &kernel);

/// The same for a quadrotor; `inputs` are thrusts, horizon x 4.
BatchCosts quadrotor_batch(const QuadrotorSpec &spec, const VectorXd &x0, const VectorXd &target, const double *inputs,
                           Eigen::Index count, int threads, const Reference &reference, const std::string &kernel);

} // namespace sobo
