// Riccati recursion of an LQ problem whose Hessian has extra terms for weighted rows of [x, u].
#pragma once

#include <memory>
#include <vector>

#include <aligator/gar/lqr-problem.hpp>

#include "robot.hpp"

namespace sobo {

/// Linear functions of a stage's [x, u], each with a weight: a bound on one entry, or a general row.
struct StageRows {
  struct Single {
    Eigen::Index variable; // index into [x, u]
    double coefficient;
  };
  std::vector<Single> singles; // the first rows
  RowMatrixXd general;         // the rows after these, over [x, u]
  Eigen::Index first = 0;      // of this stage among the rows of all

  Eigen::Index size() const { return static_cast<Eigen::Index>(singles.size()) + general.rows(); }
};

/// Solves min sum 1/2 z'Hz + g'z + 1/2 sum w_i (c_i z)^2 + sum l_i c_i z with x' = A x + B u from x = 0, for the matrices of
/// Aligator's LQ problem and weights w, linear terms l of the rows c. The offsets of its dynamics are not used.
class WeightedRiccati {
public:
  using Problem = aligator::gar::LqrProblemTpl<double>;
  using Vectors = std::vector<VectorXd>;

  virtual ~WeightedRiccati() = default;
  /// False where the problem is not convex in the controls of some stage, or not finite.
  virtual bool factor(const std::vector<StageRows> &rows, const Eigen::ArrayXd &weights) = 0;
  /// With g = (gx, gu); writes the minimum to `xs` and `us`.
  virtual void solve(const std::vector<StageRows> &rows, const Eigen::ArrayXd &linear, const Vectors &gx,
                     const Vectors &gu, Vectors &xs, Vectors &us) = 0;
};

/// For the sizes and the structure of this problem, which it refers to.
std::unique_ptr<WeightedRiccati> make_weighted_riccati(const WeightedRiccati::Problem &problem);

} // namespace sobo
