// An arm's cost at one point, for inspection and tests.
#pragma once

#include "robot.hpp"
#include "spec.hpp"

namespace sobo {

struct CostTerms {
  double value = 0.0;
  VectorXd gradient;    // by the state
  RowMatrixXd hessian;  // by the state, with the curvature of the forward kinematics
};

/// ReachCost at the state x under no control, for a target position, or pose where orientation has a weight.
CostTerms reach_cost(const Robot &robot, const ReachWeights &weights, const VectorXd &target, const VectorXd &x);

} // namespace sobo
