#include "bounded_riccati.hpp"

#include <algorithm>
#include <array>
#include <limits>

#include <aligator/core/cost-abstract.hpp>
#include <aligator/core/stage-data.hpp>

#include "errors.hpp"
#include "gaps.hpp"

namespace sobo {
namespace {

constexpr double no_gap = 1e-9; // between the steps of a trajectory that satisfies its dynamics
constexpr std::array<double, 3> shares{1.0, 0.5, 0.25}; // of the curvature beyond Gauss-Newton, tried in turn before 0
constexpr double nearly = 1e-2;     // relative change of the cost below which Newton steps pay for all of the curvature
constexpr double near = 0.05;       // the same below which all of the curvature is tried first
// The same below which Gauss-Newton steps would crawl along a direction of negative curvature: the curvature without such
// directions is tried before them. Where dynamics are nonlinear this leads a pendulum to other, worse optima.
constexpr double slow = 0.03;
constexpr int direct_sweeps = 4;     // with the bounds that the sweep before exceeds
constexpr double exactness = 1e-3;  // of a step, as a share of what the step before promised
constexpr double negligible = 1e-8; // relative change of the cost below which a prediction is rounding
constexpr double feasible = 5e-4; // primal residual of an iterate that may be returned

void add(std::vector<VectorXd> &to, const std::vector<VectorXd> &what, double factor) {
  for (std::size_t t = 0; t < to.size(); ++t)
    to[t] += factor * what[t];
}

} // namespace

BoundedRiccati::BoundedRiccati(Solver &solver, const Problem &problem, bool closed)
    : closed_(closed), solver_(solver), problem_(problem), inner_(solver.workspace_.lqr_problem), missing_(problem),
      interior_(solver.workspace_.lqr_problem), rows_(solver, problem), dxs_(solver.workspace_.dxs),
      dus_(solver.workspace_.dus), dvs_(solver.workspace_.dvs), dlams_(solver.workspace_.dlams),
      other_xs_(dxs_), other_us_(dus_) {}

void BoundedRiccati::stop_below(double share_of_cost) {
  // Never end for a vanishing slope: at an optimum the multipliers of the first iterate may still be missing.
  solver_.ls_params.dphi_thresh = -1.0;
  tolerance_ = share_of_cost;
  promised_ = std::numeric_limits<double>::infinity();
  stopped_ = swept_ = false;
  marks_agree_ = true; // results do not depend on former solves
}

bool BoundedRiccati::backward(double mu) {
  if (const auto begin = std::exchange(before_first_sweep_, nullptr))
    begin();
  rows_.read();
  hard_factors_ = false;
  in_kernel_ = closed_ || fine_;
  bool found = false;
  exact_ = true;
  if (!missing_.empty()) {
    missing_.compute(solver_, fine_ || promised_ < nearly * std::abs(solver_.results_.traj_cost_));
    const double small = std::max(tolerance_, negligible) * std::abs(solver_.results_.traj_cost_);
    for (auto share = first_share(); share != shares.end() && !found; ++share) {
      share_ = *share;
      // One that predicts more than the step before is barely convex, and the line search would truncate its long step.
      found = bounded_step(mu) && cost_change() <= std::max(promised_, small);
    }
  }
  if (!found && closed_ && !missing_.empty() && promised_ < slow * std::abs(solver_.results_.traj_cost_)) {
    missing_.make_convex(solver_);
    share_ = 1.0;
    exact_ = false;
    found = bounded_step(mu);
  }
  if (!found) {
    share_ = 0.0;
    found = bounded_step(mu);
  }
  if (!found) // Aligator would take the step before once more
    throw SolverError("the LQ subproblem has no minimum, or its numbers are not finite");
  swept_ = true;
  costates_.clear();
  if (closed_) {
    costates_ = solver_.results_.lams;
    add(costates_, dlams_, 1.0);
  }
  promised_ = cost_change();
  auto &results = solver_.results_;
  choose_line_search();
  if (share_ == 1.0 && exact_ && promised_ < tolerance_ * std::abs(results.traj_cost_) &&
      (close_gaps() || results.prim_infeas <= feasible)) {
    stopped_ = true;
    // The step's multipliers are the better ones, and the only ones at an optimum that needed no iteration.
    add(results.vs, dvs_, 1.0);
    add(results.lams, dlams_, 1.0);
    // This makes the solver return instead of taking the step.
    solver_.ls_params.dphi_thresh = std::numeric_limits<double>::infinity();
    solver_.max_iters = 0;
  }
  return true;
}

// A share twice as large as that of the step before, where that is all that a step's length depends on; all of it near a
// solution.
std::array<double, 3>::const_iterator BoundedRiccati::first_share() const {
  const auto begin = shares.begin();
  if (closed_ && promised_ < near * std::abs(solver_.results_.traj_cost_))
    return begin;
  return closed_ && std::isfinite(promised_) && share_ < 0.5 ? begin + (share_ > 0.0 ? 1 : 2) : begin;
}

// The step with all bounds at the present share of the curvature; false where the subproblem is not convex. A sweep with
// the bounds that the multipliers mark is exact if its step agrees with them; else the interior-point method decides.
bool BoundedRiccati::bounded_step(double mu) {
  mu_ = mu;
  convex_ = false;
  rows_.mark_by_multipliers(mu);
  const auto guessed = rows_.sides();
  if (in_kernel_)
    load_knots();
  const bool gaps = has_gaps();
  if (marks_agree_ || gaps) {
    for (int n = 0; n < (gaps ? direct_sweeps : 1); ++n) {
      if (!sweep())
        return false;
      rows_.predict(dxs_, dus_);
      if (rows_.mark_by_step(mu)) {
        marks_agree_ = true;
        rows_.estimate_multipliers(mu, dvs_);
        if (closed_)
          find_costates();
        return true;
      }
    }
  } else {
    begin_step(dxs_, dus_);
    rows_.predict(dxs_, dus_);
  }
  if (begins_far_away()) {
    rows_.mark_by_values(mu);
    return sweep();
  }
  if (!find_interior(guessed))
    return false;
  marks_agree_ = rows_.sides() == guessed;
  return !with_gains_ || sweep_for_gains();
}

// From a bad guess ProxDDP's own step, which exceeds bounds and leaves gaps, leads further than one that keeps them. A solve
// that keeps its gains is the next of a sequence, and begins near its solution.
bool BoundedRiccati::begins_far_away() const {
  return !closed_ && !missing_.empty() && !fine_ && !with_gains_ && !std::isfinite(promised_);
}

// The step so far must satisfy the dynamics. The barrier would make problems convex whose minimum within the bounds is far
// away: they must be convex with the bounds that the multipliers mark.
bool BoundedRiccati::find_interior(const BoundRows::Sides &guessed) {
  if (!in_kernel_)
    load_knots();
  for (const auto given : {BoundRows::Given::Near, BoundRows::Given::All}) {
    rows_.give(interior_, given);
    if (share_ > 0.0 && !convex_ && !interior_.is_convex(mu_, rows_.given_marks(guessed)))
      return false;
    if (!interior_.solve(mu_, step_gap(), dxs_, dus_))
      return false;
    rows_.predict(dxs_, dus_);
    if (!rows_.others_leave())
      break;
  }
  rows_.take_from(interior_, dvs_);
  find_costates();
  return true;
}

// Of the cost alone, by the quadratic model: half its slope along a Newton step. At a solution the slope vanishes along
// every step that keeps the active constraints.
double BoundedRiccati::cost_change() const {
  const auto &data = solver_.workspace_.problem_data;
  double sum = data.term_cost_data->Lx_.dot(dxs_.back());
  for (std::size_t t = 0; t < dus_.size(); ++t) {
    const auto &cost = *data.stage_data[t]->cost_data;
    sum += cost.Lx_.dot(dxs_[t]) + cost.Lu_.dot(dus_[t]);
  }
  return 0.5 * std::abs(sum);
}

bool BoundedRiccati::forward(std::vector<VectorXs> &xs, std::vector<VectorXs> &us, std::vector<VectorXs> &vs,
                             std::vector<VectorXs> &lams, const std::optional<ConstVectorRef> &) const {
  xs = dxs_;
  us = dus_;
  vs = dvs_;
  lams = dlams_;
  if (!costates_.empty())
    for (auto &change : lams)
      change.setZero();
  return true;
}

bool BoundedRiccati::take_costates() {
  if (costates_.empty())
    return false;
  auto &results = solver_.results_;
  for (std::size_t t = 0; t < costates_.size(); ++t) {
    const double weight = 0.5 * (t == 0 ? solver_.mu() : solver_.mu_dyn());
    results.merit_value_ += weight * (costates_[t].squaredNorm() - results.lams[t].squaredNorm());
    results.lams[t] = costates_[t];
  }
  costates_.clear();
  return true;
}

// How much of the cost the interior-point method may leave. A quadratic problem is solved by one step.
double BoundedRiccati::step_gap() const { return fine_ || missing_.empty() ? 0.0 : exactness * promised_; }

bool BoundedRiccati::sweep() {
  if (in_kernel_) {
    convex_ = hold(dxs_, dus_);
    return convex_ && (!with_gains_ || store_gains(dxs_, dus_));
  }
  pose();
  return inner_.backward(mu_) && inner_.forward(dxs_, dus_, dvs_, dlams_);
}

// The interior-point method's step stays; the gains are those of its active bounds.
bool BoundedRiccati::sweep_for_gains() {
  if (in_kernel_)
    return hold(other_xs_, other_us_) && store_gains(other_xs_, other_us_);
  pose();
  return inner_.backward(mu_);
}

// The step with the marked bounds as equalities and the others absent.
bool BoundedRiccati::hold(Vectors &dxs, Vectors &dus) {
  rows_.give(interior_, BoundRows::Given::Marked);
  begin_step(dxs, dus);
  return interior_.hold(mu_, rows_.given_marks(rows_.sides()), dxs, dus);
}

// The filter trades gaps for merit, and accepts every step of a problem without gaps, whose line search is on the merit
// function. The last steps change that by less than rounding does.
void BoundedRiccati::choose_line_search() {
  const bool tiny = promised_ <= negligible * std::abs(solver_.results_.traj_cost_);
  solver_.sa_strategy_ = closed_ && !tiny ? aligator::StepAcceptanceStrategy::LINESEARCH_ARMIJO
                                          : aligator::StepAcceptanceStrategy::FILTER;
}

bool BoundedRiccati::close_gaps() {
  return has_gaps() && sweep_for_gains() &&
         sobo::close_gaps(solver_, problem_, inner_, 2.0 * tolerance_, feasible);
}

bool BoundedRiccati::has_gaps() const {
  const auto &slacks = solver_.workspace_.dyn_slacks;
  return std::any_of(slacks.begin() + 1, slacks.end(), [](const VectorXd &gap) { return gap.cwiseAbs().maxCoeff() > no_gap; });
}

// Makes the LQ subproblem one in which the marked bounds are equalities and the others absent.
void BoundedRiccati::pose() {
  rows_.write(solver_, problem_, mu_);
  if (share_ > 0.0)
    missing_.add_to(solver_.workspace_.lqr_problem, share_);
}

} // namespace sobo
