#include "bounded_riccati.hpp"

#include <array>
#include <limits>

#include <aligator/core/cost-abstract.hpp>
#include <aligator/core/stage-data.hpp>
#include <aligator/modelling/constraints/box-constraint.hpp>

#include "clock.hpp"
#include "errors.hpp"
#include "gaps.hpp"

namespace aligator {
// Defined and instantiated inside libaligator; its header would compile the whole solver again.
template <typename Scalar>
void computeProjectedJacobians(const TrajOptProblemTpl<Scalar> &, const Scalar, WorkspaceTpl<Scalar> &);
extern template void computeProjectedJacobians<double>(const TrajOptProblemTpl<double> &, const double,
                                                       WorkspaceTpl<double> &);
} // namespace aligator

namespace sobo {
namespace {

constexpr int direct_sweeps = 4; // most sets settle within these
constexpr int max_sweeps = 16;
// First penalty parameter after that, and its decrease a sweep. A multiplier of 0.05, usual for a velocity bound, then
// allows half a rad/s of excess.
constexpr double soft = 10.0;
constexpr double hardening = 0.1;
// A multiplier this many times as large as the distance to its bound marks the bound as active to begin with.
constexpr double multiplier_reach = 1.0;
constexpr int bisections = 20;
constexpr std::array<double, 3> shares{1.0, 0.5, 0.25}; // of the curvature beyond Gauss-Newton, tried in turn before 0
constexpr double negligible = 1e-8; // relative change of the cost below which a prediction is rounding
constexpr double feasible = 5e-4; // primal residual of an iterate that may be returned

/// Calls f(first row, data) for every constraint of a stage.
template <typename StageData, typename F> void for_rows(const StageData &stage, const F &f) {
  Eigen::Index first = 0;
  for (const auto &data : stage.constraint_data) {
    f(first, *data);
    first += data->value_.size();
  }
}

int side_of(double row, double lower, double upper) { return row > upper ? 1 : row < lower ? -1 : 0; }

void add(std::vector<VectorXd> &to, const std::vector<VectorXd> &what, double factor) {
  for (std::size_t t = 0; t < to.size(); ++t)
    to[t] += factor * what[t];
}

} // namespace

BoundedRiccati::BoundedRiccati(Solver &solver, const Problem &problem)
    : solver_(solver), problem_(problem), inner_(solver.workspace_.lqr_problem), missing_(problem) {
  for (const auto &stage : problem.stages_) {
    VectorXd lower(stage->nc()), upper(stage->nc());
    Eigen::Index first = 0;
    for (const auto &set : stage->constraints_.sets) {
      const auto *box = dynamic_cast<const aligator::BoxConstraintTpl<double> *>(&*set);
      if (!box)
        throw SolverError("only constraints that are boxes are supported");
      const auto size = box->lower_limit.size();
      lower.segment(first, size) = box->lower_limit;
      upper.segment(first, size) = box->upper_limit;
      first += size;
    }
    lower_.push_back(lower);
    upper_.push_back(upper);
    side_.push_back(Eigen::VectorXi::Zero(stage->nc()));
    for (Vectors *rows : {&value_, &row_, &change_})
      rows->push_back(VectorXd::Zero(stage->nc()));
  }
}

void BoundedRiccati::stop_below(double share_of_cost) {
  // Never end for a vanishing slope: at an optimum the multipliers of the first iterate may still be missing.
  solver_.ls_params.dphi_thresh = -1.0;
  tolerance_ = share_of_cost;
  promised_ = std::numeric_limits<double>::infinity();
  stopped_ = swept_ = false;
}

bool BoundedRiccati::backward(double mu) {
  if (const auto begin = std::exchange(before_first_sweep_, nullptr))
    begin();
  read_values();
  bool found = false;
  if (!missing_.empty()) {
    missing_.compute(solver_);
    const double small = std::max(tolerance_, negligible) * std::abs(solver_.results_.traj_cost_);
    for (auto share = shares.begin(); share != shares.end() && !found; ++share) {
      share_ = *share;
      // One that predicts more than the step before is barely convex, and the line search would truncate its long step.
      found = bounded_step(mu) && cost_change() <= std::max(promised_, small);
    }
  }
  if (!found) {
    share_ = 0.0;
    found = bounded_step(mu);
  }
  if (!found) // Aligator would take the step before once more
    throw SolverError("the LQ subproblem has no minimum, or its numbers are not finite");
  swept_ = true;
  promised_ = cost_change();
  auto &results = solver_.results_;
  if (share_ == 1.0 && promised_ < tolerance_ * std::abs(results.traj_cost_) &&
      (close_gaps(solver_, problem_, inner_, 2.0 * tolerance_, feasible) || results.prim_infeas <= feasible)) {
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

// The step with all bounds at the present share of the curvature; false where the subproblem is not convex.
bool BoundedRiccati::bounded_step(double mu) {
  const auto &ws = solver_.workspace_;
  mu_ = mu;
  mark_from(value_, multiplier_reach);
  dxs_ = ws.dxs;
  dus_ = ws.dus;
  dvs_ = ws.dvs;
  dlams_ = ws.dlams;
  if (!sweep(dxs_, dus_, dvs_, dlams_))
    return false;
  change_rows(dxs_, dus_);
  row_ = value_;
  add(row_, change_, 1.0);
  step_ = 1.0;
  const bool settled = settle();
  mu_ = mu;
  if (settled) {
    estimate_multipliers();
    return true;
  }
  mark_from(value_, 0.0);
  return sweep(dxs_, dus_, dvs_, dlams_);
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
  return true;
}

// Newton steps until the set of active bounds stays; false if it does not.
bool BoundedRiccati::settle() {
  const double mu = mu_;
  for (int n = 1; n < max_sweeps; ++n) {
    const bool changed = mark() > 0;
    if (mu_ == mu && !changed && step_ == 1.0)
      return true;
    if (deadline_ > 0.0 && wall_seconds() > deadline_)
      return false;
    if (n >= direct_sweeps) {
      mu_ = std::max(mu, n == direct_sweeps ? soft : hardening * mu_);
      mark();
    }
    if (!newton_step())
      return false;
  }
  return false;
}

// From the LQ step so far to the minimum with its active bounds, as far as the augmented Lagrangian decreases.
bool BoundedRiccati::newton_step() {
  auto &ws = solver_.workspace_;
  if (!sweep(ws.dxs, ws.dus, ws.dvs, ws.dlams))
    return false;
  add(ws.dxs, dxs_, -1.0);
  add(ws.dus, dus_, -1.0);
  add(ws.dlams, dlams_, -1.0);
  change_rows(ws.dxs, ws.dus);
  curvature_ = curvature();
  step_ = 1.0;
  if (slope(1.0) > 1e-6 * curvature_) {
    double low = 0.0, high = 1.0;
    for (int i = 0; i < bisections; ++i) {
      step_ = 0.5 * (low + high);
      (slope(step_) > 0.0 ? high : low) = step_;
    }
  }
  add(dxs_, ws.dxs, step_);
  add(dus_, ws.dus, step_);
  add(dlams_, ws.dlams, step_);
  add(row_, change_, step_);
  return true;
}

bool BoundedRiccati::sweep(Vectors &dxs, Vectors &dus, Vectors &dvs, Vectors &dlams) {
  pose();
  return inner_.backward(mu_) && inner_.forward(dxs, dus, dvs, dlams);
}

// Makes the LQ subproblem one in which the marked bounds are equalities and the others absent.
void BoundedRiccati::pose() {
  auto &ws = solver_.workspace_;
  for (std::size_t t = 0; t < side_.size(); ++t) {
    const auto &v = solver_.results_.vs[t];
    auto &z = ws.shifted_constraints[t];
    auto &slack = ws.Lvs[t];
    for (Eigen::Index i = 0; i < v.size(); ++i) {
      slack[i] = -mu_ * v[i];
      if (side_[t][i] == 0) {
        z[i] = std::clamp(value_[t][i], lower_[t][i], upper_[t][i]);
      } else {
        const double bound = side_[t][i] > 0 ? upper_[t][i] : lower_[t][i];
        z[i] = bound + side_[t][i]; // outside, so that Aligator keeps the row
        slack[i] += value_[t][i] - bound + mu_ * ws.prev_vs[t][i];
      }
    }
  }
  aligator::computeProjectedJacobians(problem_, 1.0 / mu_, ws);
  solver_.updateLQSubproblem();
  if (share_ > 0.0)
    missing_.add_to(ws.lqr_problem, share_);
}

void BoundedRiccati::read_values() {
  for (std::size_t t = 0; t < value_.size(); ++t)
    for_rows(*solver_.workspace_.problem_data.stage_data[t], [&](Eigen::Index first, const auto &data) {
      value_[t].segment(first, data.value_.size()) = data.value_;
    });
}

// Marks what is active by the rows, the multipliers of the augmented Lagrangian, and `reach` times the current ones.
void BoundedRiccati::mark_from(const Vectors &rows, double reach) {
  for (std::size_t t = 0; t < side_.size(); ++t)
    for (Eigen::Index i = 0; i < side_[t].size(); ++i) {
      const double shift = mu_ * solver_.workspace_.prev_vs[t][i] + reach * solver_.results_.vs[t][i];
      side_[t][i] = side_of(rows[t][i] + shift, lower_[t][i], upper_[t][i]);
    }
}

// Marks what is active after the LQ step so far, and counts the changes.
int BoundedRiccati::mark() {
  const auto before = side_;
  mark_from(row_, 0.0);
  int changes = 0;
  for (std::size_t t = 0; t < side_.size(); ++t)
    changes += static_cast<int>((side_[t].array() != before[t].array()).count());
  return changes;
}

void BoundedRiccati::change_rows(const Vectors &dxs, const Vectors &dus) {
  for (std::size_t t = 0; t < change_.size(); ++t)
    for_rows(*solver_.workspace_.problem_data.stage_data[t], [&](Eigen::Index first, const auto &data) {
      auto rows = change_[t].segment(first, data.value_.size());
      rows.noalias() = data.Jx() * dxs[t];
      rows.noalias() += data.Ju() * dus[t];
    });
}

// d' H d along the Newton direction d, where H holds the Hessian of the subproblem and the marked bounds.
double BoundedRiccati::curvature() const {
  const auto &ws = solver_.workspace_;
  double sum = 0.0;
  for (std::size_t t = 0; t < side_.size(); ++t) {
    const auto &knot = ws.lqr_problem.stages[t];
    const auto &dx = ws.dxs[t];
    const auto &du = ws.dus[t];
    sum += dx.dot(knot.Q * dx) + 2.0 * dx.dot(knot.S * du) + du.dot(knot.R * du);
    for (Eigen::Index i = 0; i < change_[t].size(); ++i)
      if (side_[t][i] != 0)
        sum += change_[t][i] * change_[t][i] / mu_;
  }
  const auto &dx = ws.dxs.back();
  return sum + dx.dot(ws.lqr_problem.stages.back().Q * dx);
}

// Derivative of the augmented Lagrangian along the Newton direction: that of its model, which is zero after the whole
// step, and what the rows that change sides on the way add to it.
double BoundedRiccati::slope(double step) const {
  double sum = 0.0;
  for (std::size_t t = 0; t < side_.size(); ++t)
    for (Eigen::Index i = 0; i < change_[t].size(); ++i) {
      const double lower = lower_[t][i], upper = upper_[t][i];
      const double z = row_[t][i] + mu_ * solver_.workspace_.prev_vs[t][i] + step * change_[t][i];
      const auto excess = [&](int side) { return side > 0 ? z - upper : side < 0 ? z - lower : 0.0; };
      sum += (excess(side_of(z, lower, upper)) - excess(side_[t][i])) * change_[t][i];
    }
  return (step - 1.0) * curvature_ + sum / mu_;
}

void BoundedRiccati::estimate_multipliers() {
  for (std::size_t t = 0; t < row_.size(); ++t) {
    const VectorXd z = row_[t] + mu_ * solver_.workspace_.prev_vs[t];
    dvs_[t] = (z - z.cwiseMin(upper_[t]).cwiseMax(lower_[t])) / mu_ - solver_.results_.vs[t];
  }
}

} // namespace sobo
