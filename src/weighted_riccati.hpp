// Riccati recursion of an LQ problem whose Hessian has extra terms for weighted rows of [x, u].
#pragma once

#include <memory>
#include <vector>

#include <aligator/gar/lqr-problem.hpp>

#include "lq_kernel.hpp"
#include "robot.hpp"

namespace sobo {

/// Solves min sum 1/2 z'Hz + g'z + 1/2 sum w_i (c_i z)^2 with x' = A x + B u from x = 0, for the matrices of Aligator's LQ
/// problem and weights w of all variables, then of general rows c. Variables of all stages lie one after the other: [x, u],
/// ..., [x, u], [x]. The offsets of the problem's dynamics are not used.
class WeightedRiccati {
public:
  using Problem = aligator::gar::LqrProblemTpl<double>;

  virtual ~WeightedRiccati() = default;
  /// Takes a stage's Hessian, and its dynamics from the problem.
  virtual void load(std::size_t t, const StageHessian &hessian) = 0;
  /// A stage's Hessian times z = [x, u], or x at the end.
  virtual void multiply(std::size_t t, const double *z, double *out) const = 0;
  /// False where the problem is not convex in the controls of some stage, or not finite. The rows must stay. After stage
  /// `last`, Hessians, weights and rows must be those of the call before: such factors may be taken over.
  virtual bool factor(const GeneralRows &rows, const double *weights, int last) = 0;
  /// Writes the minimum to z, and may write kLqUnit entries beyond it; and the slope of its value by the first state, unless
  /// null.
  virtual void solve(const double *gradient, double *z, double *slope_at_start) = 0;
  /// Costates at z, of all stages one after the other: slopes by the states, with what the states after them contribute.
  virtual void costates(const double *weights, const double *gradient, const double *z, double *out) const = 0;
  /// What depends on the stage's state in its optimal control, and what does not, of the last solve.
  virtual void gains(std::size_t t, Eigen::Ref<RowMatrixXd> by_state, Eigen::Ref<VectorXd> constant) const = 0;
};

/// For the sizes and the structure of this problem, which it refers to.
std::unique_ptr<WeightedRiccati> make_weighted_riccati(const WeightedRiccati::Problem &problem);

} // namespace sobo
