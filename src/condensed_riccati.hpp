// The Riccati recursion of an LQ subproblem, faster than Aligator's where few constraints are active.
#pragma once

#include <aligator/gar/proximal-riccati.hpp>

namespace sobo {

/// Solves the same proximal LQ problem, but eliminates the multipliers v = (C x + D u + d) / mu before the controls, so that
/// each stage factorises a matrix of the size of its controls, by Cholesky instead of Bunch-Kaufman.
class CondensedRiccati : public aligator::gar::ProximalRiccatiSolver<double> {
public:
  using ProximalRiccatiSolver::ProximalRiccatiSolver;

  /// False where the problem is not convex in the controls of some stage, or not finite; the factors are then incomplete.
  bool backward(double mu) override;
};

} // namespace sobo
