// The LQ step of ProxDDP with its bounds respected: a semismooth Newton method around Aligator's Riccati solver.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include <aligator/gar/proximal-riccati.hpp>
#include <aligator/solvers/proxddp/solver-proxddp.hpp>

#include "condensed_riccati.hpp"
#include "curvature.hpp"
#include "robot.hpp"

namespace sobo {

/// Riccati solver whose step minimises the augmented Lagrangian of the LQ subproblem with all of its bounds.
///
/// ProxDDP takes for active what exceeds a bound at the current iterate. From a feasible guess its first step therefore
/// knows no bound at all, exceeds them, and is cut short again and again. Here the sweep is repeated with the bounds
/// that the step itself exceeds until their set stays: semismooth Newton steps on the augmented Lagrangian of the
/// subproblem, which is convex, with an exact line search. Where many bounds are active the first sets overshoot; then
/// the penalty starts small and grows from sweep to sweep. If the set keeps changing, ProxDDP's own set is used.
///
/// The Hessian is exact where the subproblem is then convex, which makes the steps near a solution Newton steps;
/// elsewhere it has a smaller share of the curvature that Gauss-Newton leaves out, or none.
class BoundedRiccati final : public aligator::gar::RiccatiSolverBase<double> {
public:
  using Solver = aligator::SolverProxDDPTpl<double>;
  using Problem = aligator::TrajOptProblemTpl<double>;

  /// Refers to the problem and to the solver, which must have been set up for it and owns this object.
  /// Throws SolverError where a constraint of the problem is no box.
  BoundedRiccati(Solver &solver, const Problem &problem);

  bool backward(double mu) override;
  bool forward(std::vector<VectorXs> &xs, std::vector<VectorXs> &us, std::vector<VectorXs> &vs,
               std::vector<VectorXs> &lams, const std::optional<ConstVectorRef> &theta) const override;
  /// Ends the solver's run before a Newton step from a feasible iterate that would change the cost by less than this
  /// share of it; 0 = never.
  void stop_below(double share_of_cost);
  bool stopped() const { return stopped_; }
  /// Whether a sweep has succeeded since `stop_below`.
  bool swept() const { return swept_; }
  /// Called once, before the next sweep at an iterate that the solver has evaluated.
  void before_first_sweep(std::function<void()> f) { before_first_sweep_ = std::move(f); }
  /// After this time [s of the steady clock] a set of active bounds that still changes is abandoned; 0 = never.
  void settle_until(double deadline) { deadline_ = deadline; }

  void cycleAppend(const LqrKnot &knot) override { inner_.cycleAppend(knot); }
  VectorRef getFeedforward(std::size_t t) override { return inner_.getFeedforward(t); }
  RowMatrixRef getFeedback(std::size_t t) override { return inner_.getFeedback(t); }

private:
  using Vectors = std::vector<VectorXd>;

  bool bounded_step(double mu);
  double cost_change() const;
  void read_values();
  void mark_from(const Vectors &rows, double reach);
  int mark();
  void pose();
  bool sweep(Vectors &dxs, Vectors &dus, Vectors &dvs, Vectors &dlams);
  bool settle();
  bool newton_step();
  double curvature() const;
  double slope(double step) const;
  void change_rows(const Vectors &dxs, const Vectors &dus);
  void estimate_multipliers();

  Solver &solver_;
  const Problem &problem_;
  CondensedRiccati inner_;
  Curvature missing_;                     // from the Gauss-Newton Hessian
  double share_ = 0.0;                    // of it that is in the subproblem
  double tolerance_ = 0.0;
  double promised_ = 0.0;                 // change of the cost that the model predicted for the last step
  bool stopped_ = false, swept_ = false;
  std::function<void()> before_first_sweep_;
  double deadline_ = 0.0;                 // s of the steady clock, 0 = none
  double mu_ = 0.0, step_ = 1.0, curvature_ = 0.0;
  Vectors lower_, upper_;                 // bounds of all rows, a vector a stage
  Vectors value_, row_, change_;          // rows at the iterate, after the LQ step so far, along the Newton direction
  std::vector<Eigen::VectorXi> side_;     // bound taken for active: 1 = upper, -1 = lower, 0 = none
  Vectors dxs_, dus_, dvs_, dlams_;       // the LQ step so far
};

} // namespace sobo
