// Derivatives of a loss on a solution by the weights and the target of its cost.
#pragma once

#include <aligator/core/cost-abstract.hpp>

#include "robot.hpp"

namespace sobo {

struct ReachWeights;

/// Weights of a stage's squared errors in a row: position (3), orientation (3), state, control.
VectorXd flat_weights(const ReachWeights &weights);
void set_flat_weights(const VectorXd &flat, ReachWeights &weights);

/// A stage of an adjoint trajectory beside the solution's.
struct AdjointStage {
  using Part = Eigen::Map<const VectorXd>;
  Part u, dx, du; // the control that callers see, and what the adjoint changes; u is empty at the end
};

/// Costs whose weights and target are parameters.
struct WeightedCost {
  virtual ~WeightedCost() = default;
  /// Adds dz' d2l/dz dp, with l at the point where `data` holds the gradient, for weights p (see flat_weights) and for the
  /// target: (3) position, (6) position and rotation about the target's own axes, or (nv) joints.
  virtual void add_sensitivity(const aligator::CostDataAbstractTpl<double> &data, const AdjointStage &stage,
                               Eigen::Ref<VectorXd> by_weights, Eigen::Ref<VectorXd> by_target) const = 0;
};

/// What adjoint solves yield: of losses L(X, U) on solutions of one problem, whose slopes by X and U are their linear terms.
/// A row is of one solution, step by step.
struct Adjoints {
  Eigen::Index steps, nx, nu;
  RowMatrixXd X, U;         // the adjoint trajectories, in the controls that callers see
  RowMatrixXd x0;           // dL/dx0
  RowMatrixXd costates;     // of the adjoint trajectories, steps + 1, and of the solutions; empty where not asked for
  RowMatrixXd own_costates;
  RowMatrixXd weights;      // dL/dweights, 2 x (6 + nx + nu): of running stages and of the end; empty without such
  RowMatrixXd target;       // dL/dtarget, likewise
};

} // namespace sobo
