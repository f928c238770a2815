// The LQ step of ProxDDP with its bounds respected.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <vector>

#include <aligator/gar/proximal-riccati.hpp>
#include <aligator/solvers/proxddp/solver-proxddp.hpp>

#include "bound_rows.hpp"
#include "condensed_riccati.hpp"
#include "curvature.hpp"
#include "interior_point.hpp"
#include "robot.hpp"

namespace sobo {

/// Riccati solver whose step minimises the augmented Lagrangian of the LQ subproblem with all of its bounds.
///
/// ProxDDP takes for active what exceeds a bound at the current iterate. From a feasible guess its first step therefore
/// knows no bound at all, exceeds them, and is cut short again and again. Here a sweep with the bounds that the
/// multipliers mark is tried, and where there are gaps up to three more with the bounds that the step before exceeds. Where
/// their steps disagree with the marks, an interior-point method solves the subproblem, however many bounds are active.
///
/// The Hessian is exact where the subproblem is then convex, which makes the steps near a solution Newton steps;
/// elsewhere it has a smaller share of the curvature that Gauss-Newton leaves out, or none.
class BoundedRiccati final : public aligator::gar::RiccatiSolverBase<double> {
public:
  using Solver = aligator::SolverProxDDPTpl<double>;
  using Problem = aligator::TrajOptProblemTpl<double>;
  using Vectors = std::vector<VectorXd>;

  /// Refers to the problem and to the solver, which must have been set up for it and owns this object.
  /// Throws SolverError where a constraint of the problem is no box. `closed`: the guesses have no gaps and the dynamics
  /// are linear, so that there never are any.
  BoundedRiccati(Solver &solver, const Problem &problem, bool closed);

  bool backward(double mu) override;
  bool forward(std::vector<VectorXs> &xs, std::vector<VectorXs> &us, std::vector<VectorXs> &vs,
               std::vector<VectorXs> &lams, const std::optional<ConstVectorRef> &theta) const override;
  /// Slopes of the Lagrangian by states and controls at these costates and multipliers, for double integrators; what the
  /// initial condition contributes is left out.
  void find_slopes(const std::vector<VectorXd> &costates, const std::vector<VectorXd> &multipliers,
                   std::vector<VectorXd> &by_state, std::vector<VectorXd> &by_control) const;
  /// Ends the solver's run before a Newton step from a feasible iterate that would change the cost by less than this
  /// share of it; 0 = never.
  void stop_below(double share_of_cost);
  /// Whether sweeps use all of the curvature, for exact gains, or what matters for steps.
  void use_fine_curvature(bool fine) { fine_ = fine; }
  /// Whether every step is followed by gains at the iterate, for nonlinear rollouts and for callers that read them.
  void keep_gains(bool keep) { with_gains_ = keep; }
  /// Takes bounds that have changed.
  void read_bounds() { rows_.read_bounds(); }
  /// Whether the last sweep had the exact Hessian; `linear` tells that dynamics and cost have no curvature.
  bool exact(bool linear) const { return missing_.empty() ? linear : share_ == 1.0 && exact_; }
  /// Makes ready for the steps that the subproblem takes for other gradients, with its active rows held at zero, see
  /// adjoint.cpp; null where there are none. The last sweep must have been exact and followed by nothing.
  InteriorPoint *prepare_responses();
  bool stopped() const { return stopped_; }
  /// Change of the cost that the model predicted for the last step.
  double promised() const { return promised_; }
  /// Called after a step was taken: brings the costates that a step without gaps left as they were to their new values.
  /// ProxDDP's merit function punishes large costates, which must not change along a step that has no gaps to close.
  /// False if it had gaps.
  bool take_costates();
  /// Whether a sweep has succeeded since `stop_below`.
  bool swept() const { return swept_; }
  /// Called once, before the next sweep at an iterate that the solver has evaluated.
  void before_first_sweep(std::function<void()> f) { before_first_sweep_ = std::move(f); }

  void cycleAppend(const LqrKnot &knot) override { inner_.cycleAppend(knot); }
  VectorRef getFeedforward(std::size_t t) override { return inner_.getFeedforward(t); }
  RowMatrixRef getFeedback(std::size_t t) override { return inner_.getFeedback(t); }

private:
  std::array<double, 3>::const_iterator first_share() const;
  bool bounded_step(double mu);
  bool find_interior(const BoundRows::Sides &guessed);
  double cost_change() const;
  void pose();
  bool sweep();
  bool sweep_for_gains();
  bool hold(Vectors &dxs, Vectors &dus);
  void begin_step(Vectors &dxs, Vectors &dus) const;
  bool store_gains(const Vectors &dxs, const Vectors &dus);
  void choose_line_search();
  bool close_gaps();
  bool has_gaps() const;
  bool begins_far_away() const;
  double step_gap() const;
  void find_costates();
  void load_knots();
  void load_hessians();

  bool closed_;
  bool in_kernel_ = false; // whether sweeps are those of interior_, which are faster
  Solver &solver_;
  const Problem &problem_;
  CondensedRiccati inner_;
  Curvature missing_;               // from the Gauss-Newton Hessian
  InteriorPoint interior_;
  BoundRows rows_;
  double share_ = 0.0;              // of the missing curvature that is in the subproblem
  bool exact_ = true;               // whether no direction was taken from it
  double tolerance_ = 0.0;
  double promised_ = 0.0;           // change of the cost that the model predicted for the last step
  bool stopped_ = false, swept_ = false, fine_ = false;
  std::function<void()> before_first_sweep_;
  bool convex_ = false;             // whether the subproblem with the guessed bounds is known to be
  bool with_gains_ = false;         // whether gains are needed after every step
  bool hard_factors_ = false;       // whether the factors are those of responses
  bool marks_agree_ = true;         // whether the multipliers marked the active bounds rightly the last time
  double mu_ = 0.0;
  Vectors dxs_, dus_, dvs_, dlams_; // the LQ step so far
  Vectors other_xs_, other_us_;     // a step that is not taken
  VectorXd without_, slope_, control_slope_; // of a stage
  Vectors costates_;                // after the step, where its forward pass leaves them as they are; else empty
};

} // namespace sobo
