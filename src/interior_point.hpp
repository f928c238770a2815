// The LQ problem of a solver's step with bounds, by a primal-dual interior-point method.
#pragma once

#include <memory>
#include <vector>

#include "weighted_riccati.hpp"

namespace sobo {

/// Minimises the augmented Lagrangian of an LQ problem with bounds on rows of its stages:
///
///   sum 1/2 z'Hz + g'z + 1/(2 mu) dist^2(value + C z + mu v0, [lower, upper])    over z = [dx, du], dx' = A dx + B du
///
/// by Mehrotra's predictor-corrector method (1992), one Riccati factorisation and two solves an iteration. The number of
/// iterations hardly depends on how many bounds are active, which is what active-set methods cannot offer.
class InteriorPoint {
public:
  using Problem = WeightedRiccati::Problem;
  using Vectors = std::vector<VectorXd>;
  using RowOfMatrix = Eigen::Ref<const Eigen::RowVectorXd, 0, Eigen::InnerStride<>>; // without a copy

  /// Refers to the problem, whose dynamics must have been evaluated once.
  explicit InteriorPoint(const Problem &problem);

  /// Forgets the rows of the last solve.
  void clear();
  /// Appends a row over the stage's [dx, du], with bounds that may be infinite. `value` is that at dx, du = 0.
  void add_row(std::size_t stage, const RowOfMatrix &by_state, const RowOfMatrix &by_control, double value, double lower,
               double upper, double multiplier);

  /// Whether the problem is convex if the active rows are held at their bounds, by a penalty 1 / (2 mu).
  bool is_convex(double mu, const std::vector<bool> &active);
  /// From a step (dxs, dus) that satisfies the dynamics to the minimum, except for this much of the cost (the duality gap);
  /// false where the problem is not convex, or is not solved within 50 iterations. The rows count in the order in which they were added.
  bool solve(double mu, double gap, Vectors &dxs, Vectors &dus);
  /// Whether a row's bound is active: 1 = upper, -1 = lower, 0 = none.
  int side(std::size_t row) const;
  /// Multiplier of a row, positive at its upper bound.
  double multiplier(std::size_t row) const { return upper_.multiplier[place_[row]] - lower_.multiplier[place_[row]]; }

private:
  using Array = Eigen::ArrayXd;
  struct Side {
    double sign;            // of the rows in bound - row: 1 for upper bounds, -1 for lower ones
    Array bound, present;   // present: 1, or 0 where the bound is infinite
    Array slack, multiplier, slack_step, multiplier_step;
    Array residual, offset; // bound - row - slack (with the sign), and the multiplier's step where the row stays

    double gap(double step) const;
    double longest(const Array &values, const Array &steps) const;
  };
  struct Row {
    std::size_t stage;
    bool general;
    Eigen::Index index; // among the singles, or the general rows, of its stage
    double value, lower, upper, multiplier;
  };

  void find_places();
  void arrange(const Vectors &dxs, const Vectors &dus);
  void begin();
  bool iterate(double mu);
  void direction(double mu, const Array &upper_target, const Array &lower_target);
  Array rows_along(const Vectors &xs, const Vectors &us) const;

  const Problem &problem_;
  std::unique_ptr<WeightedRiccati> riccati_;
  std::vector<Row> rows_;
  std::vector<StageRows> stages_;
  std::vector<Eigen::Index> place_; // of each row in the arrays below
  double count_ = 0.0, gap_ = 0.0, residual_ = 0.0;
  Vectors gx_, gu_;                 // gradient at the step that solve() was given
  Vectors xs_, us_, next_xs_, next_us_; // what is added to that step: now, and after a whole iteration
  Array start_, row_, before_;      // rows at that step and now; multipliers before
  Array elastic_, weights_;         // 1 / (1 + mu d) with d = the barrier's weight of each row; d times that
  Side upper_{1.0, {}, {}, {}, {}, {}, {}, {}, {}}, lower_{-1.0, {}, {}, {}, {}, {}, {}, {}, {}};
};

} // namespace sobo
