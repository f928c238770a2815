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

  /// Refers to the problem, whose dynamics must have been evaluated once before anything is solved, and whose stages all have
  /// the same sizes.
  explicit InteriorPoint(const Problem &problem);

  /// Takes a stage's Hessian, and its dynamics from the problem.
  void load(std::size_t t, const StageHessian &hessian);
  /// A stage's Hessian times its [dx, du].
  const VectorXd &multiply(std::size_t t, const VectorXd &dx, const VectorXd *du);
  /// Forgets the rows of the last solve.
  void clear();
  /// Appends a bound on a variable of a stage's [dx, du], at most one for each; a bound may be infinite. `value` is that at
  /// dx, du = 0.
  void add_bound(std::size_t stage, Eigen::Index variable, double value, double lower, double upper, double multiplier);
  /// Appends any other row. Those of former stages come first.
  void add_row(std::size_t stage, const RowOfMatrix &by_state, const RowOfMatrix &by_control, double value, double lower,
               double upper, double multiplier);

  /// Whether the problem is convex if the active rows are held at their bounds, by a penalty 1 / (2 mu).
  bool is_convex(double mu, const std::vector<int> &sides);
  /// From a step that satisfies the dynamics to the minimum with these rows held at their bounds; false where there is none.
  /// `sides`: 1 = upper, -1 = lower, 0 = not.
  bool hold(double mu, const std::vector<int> &sides, Vectors &dxs, Vectors &dus);
  /// Forgets all rows, of which `hold_variable` and `hold_row` then hold some at zero by a penalty of weight / 2; as
  /// `add_row` otherwise.
  void begin_holding();
  void hold_variable(std::size_t stage, Eigen::Index variable, double weight) { weights_[place(stage, variable)] = weight; }
  void hold_row(std::size_t stage, const RowOfMatrix &by_state, const RowOfMatrix &by_control, double weight);
  /// Factors the problem with these; false where it is not convex. After stage `last`, nothing may be held, or have been held
  /// when the problem was factored before.
  bool factor_held(int last) { return recursive().factor(general(), weights_.data(), last); }
  /// The gradient of `respond`, to be written by the caller: by [x, u] of all stages, then by x of the last one.
  double *gradient() { return gradient_.data(); }
  /// The minimum for that gradient with the factors of `factor_held`: [x, u], ..., x; writes the slope of its value by the
  /// first state.
  const double *respond(double *slope_at_start);
  /// Writes the costates at that minimum, nx of each stage.
  void write_costates(double *out);
  /// The gains of that minimum.
  const WeightedRiccati &recursion() { return recursive(); }
  /// From a step (dxs, dus) that satisfies the dynamics to the minimum, except for this much of the cost (the duality gap);
  /// false where the problem is not convex, or is not solved within 50 iterations. The rows count in the order in which
  /// they were added.
  bool solve(double mu, double gap, Vectors &dxs, Vectors &dus);
  /// Whether a row's bound is active: 1 = upper, -1 = lower, 0 = none.
  int side(std::size_t row) const;
  /// Multiplier of a row, positive at its upper bound.
  double multiplier(std::size_t row) const;

private:
  /// Numbers of all variables, then of general rows, then of nothing: filled up to whole vectors.
  class Numbers {
  public:
    void resize(std::size_t size);
    double *data() { return numbers_.data() + offset_; }
    const double *data() const { return numbers_.data() + offset_; }
    double &operator[](std::size_t i) { return data()[i]; }
    double operator[](std::size_t i) const { return data()[i]; }

  private:
    std::vector<double> numbers_;
    std::size_t offset_ = 0; // to an address that suits vectors
  };
  struct Side {
    Numbers bound, present, slack, inverse, multiplier, slack_step, multiplier_step, residual, offset;
    Barrier::Side view(double sign);
  };

  WeightedRiccati &recursive();
  std::size_t place(std::size_t stage, std::size_t variable) const { return (nx_ + nu_) * stage + variable; }
  int steps() const { return static_cast<int>(problem_.stages.size()) - 1; }
  void append(std::size_t stage, const RowOfMatrix &by_state, const RowOfMatrix &by_control);
  void set_row(std::size_t place, double value, double lower, double upper, double multiplier);
  GeneralRows general() const;
  void begin_at(const Vectors &dxs, const Vectors &dus);
  void begin();
  bool iterate();
  BarrierStep direction(double target, bool corrector);
  void step_to(double *z, double *slope_at_start = nullptr);
  void add_step(Vectors &dxs, Vectors &dus) const;
  Barrier barrier();

  const Problem &problem_;
  const LqKernel &kernel_ = *find_lq_kernel();
  std::unique_ptr<WeightedRiccati> riccati_;
  std::size_t nx_, nu_, variables_, room_ = 0; // room: for general rows
  std::vector<std::size_t> place_;             // of each row in the arrays below
  std::vector<int> stage_;                     // of each general row
  std::vector<double> coefficients_;           // of general rows, one after the other
  double mu_ = 0.0, count_ = 0.0, gap_ = 0.0, residual_ = 0.0;
  Numbers value_, before_;            // of rows: values without a step, multipliers of the solver's last step
  Numbers gradient_, slope_, start_;  // at the step that solve() was given; with the barrier's; rows at that step
  Numbers z_, next_;                  // what is added to that step: now, and after a whole iteration
  Numbers elastic_, weights_;         // see Barrier
  Side upper_, lower_;
  VectorXd point_, product_; // of a stage
};

} // namespace sobo
