#include "closed_solver.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include <aligator/solvers/proxddp/merit-function.hpp>

namespace sobo {

// A step this short, as a share of the full one, is no progress. After so many in a row the solve ends: each takes as long
// as several others, since the line search tries all lengths, and the next ones would be as short.
constexpr double short_step = 1e-3;
constexpr int most_short_steps = 8;

using Merit = aligator::ALFunction<double>;

// Augmented-Lagrangian iterations, see SolverProxDDPTpl::run.
bool ClosedSolver::run_closed(const Problem &problem, const Vectors &xs, const Vectors &us, BoundedRiccati &steps) {
  if (sync_dual_tol_)
    target_dual_tol_ = target_tol_;
  results_.xs = xs;
  results_.us = us;
  workspace_.trial_xs[0] = problem.getInitState();
  workspace_.trial_lams[0].setZero();
  setAlmPenalty(mu_init_);
  workspace_.prev_xs = results_.xs;
  workspace_.prev_us = results_.us;
  workspace_.prev_vs = results_.vs;
  inner_tol_ = inner_tol0;
  prim_tol_ = prim_tol0;
  preg_last_ = 0.0;
  updateTolsOnFailure();
  inner_tol_ = std::max(inner_tol_, target_dual_tol_);
  prim_tol_ = std::max(prim_tol_, target_tol_);
  results_.conv = false;
  results_.al_iter = results_.num_iters = 0;
  short_steps_ = 0;
  while (results_.al_iter < max_al_iters && results_.num_iters < max_iters) {
    const bool reduced = reduce(problem, steps);
    results_.al_iter++;
    if (!reduced)
      break;
    linesearch_.reset();
    workspace_.prev_xs = results_.xs;
    workspace_.prev_us = results_.us;
    tighten();
    if (results_.conv)
      break;
  }
  return results_.conv;
}

// New multipliers, or a larger penalty.
void ClosedSolver::tighten() {
  if (results_.prim_infeas <= prim_tol_) {
    do {
      updateTolsOnSuccess();
    } while (workspace_.inner_criterion < inner_tol_);
    workspace_.prev_vs = results_.vs;
    results_.conv = results_.dual_infeas <= target_dual_tol_ && results_.prim_infeas <= target_tol_;
  } else {
    setAlmPenalty(mu_penal_ * bcl_params.mu_update_factor);
    updateTolsOnFailure();
    if (aligator::math::scalar_close(mu_penal_, bcl_params.mu_lower_bound))
      setAlmPenalty(mu_init_);
  }
  inner_tol_ = std::max(inner_tol_, 0.01 * target_dual_tol_);
  prim_tol_ = std::max(prim_tol_, target_tol_);
}

// Newton steps at the same multipliers and penalty, see SolverProxDDPTpl::innerLoop; false where they end without success.
bool ClosedSolver::reduce(const Problem &problem, BoundedRiccati &steps) {
  auto &ws = workspace_;
  auto &results = results_;
  results.traj_cost_ = problem.evaluate(results.xs, results.us, ws.problem_data);
  computeMultipliers(problem, results.xs, results.lams, results.vs);
  results.merit_value_ = Merit::evaluate(mu_dyn(), mu(), problem, ws);
  for (; results.num_iters < max_iters; results.num_iters++) {
    problem.computeDerivatives(results.xs, results.us, ws.problem_data);
    if (std::exchange(fresh_, false))
      updateLQSubproblem();
    steps.find_slopes(results.lams, results.vs, ws.Lxs, ws.Lus);
    ws.Lxs[0].setZero();
    computeCriterion();
    if (ws.inner_criterion <= inner_tol_ || (results.dual_infeas <= target_dual_tol_ && results.prim_infeas <= target_tol_))
      return true;
    initializeRegularization();
    const double slope = find_step(steps);
    if (std::abs(slope) <= ls_params.dphi_thresh)
      return true;
    if (!take_step(problem, slope))
      return false;
    invokeCallbacks();
    preg_last_ = preg_;
  }
  return false;
}

// The slope of the merit function along it.
double ClosedSolver::find_step(BoundedRiccati &steps) {
  auto &ws = workspace_;
  steps.backward(mu());
  steps.forward(ws.dxs, ws.dus, ws.dvs, ws.dlams, std::nullopt);
  ws.dxs[0].setZero();
  ws.dlams[0].setZero();
  steps.find_slopes(ws.lams_plus, ws.vs_plus, ws.Lxs, ws.Lus);
  double slope = 0.0;
  for (std::size_t t = 0; t < ws.dus.size(); ++t)
    slope += ws.Lxs[t + 1].dot(ws.dxs[t + 1]) + ws.Lus[t].dot(ws.dus[t]);
  if (!std::isfinite(slope))
    throw std::runtime_error("the slope of the merit function is not finite");
  return slope;
}

// False where no step improves the iterate.
bool ClosedSolver::take_step(const Problem &problem, double slope) {
  double length = 1.0, merit = 0.0;
  if (sa_strategy_ == aligator::StepAcceptanceStrategy::FILTER)
    merit = filter_.run(
        [&](double a) {
          const double value = forwardPass(problem, a);
          return std::make_pair(value, results_.prim_infeas);
        },
        length);
  else
    merit = linesearch_.run([&](double a) { return forwardPass(problem, a); }, results_.merit_value_, slope, length);
  results_.xs = workspace_.trial_xs;
  results_.us = workspace_.trial_us;
  results_.vs = workspace_.trial_vs;
  results_.lams = workspace_.trial_lams;
  results_.traj_cost_ = workspace_.problem_data.cost_;
  results_.merit_value_ = merit;
  if (!std::isfinite(length) || !std::isfinite(merit) || !std::isfinite(results_.traj_cost_))
    throw std::runtime_error("a step of the line search is not finite");
  short_steps_ = length > short_step ? 0 : short_steps_ + 1;
  if (short_steps_ >= most_short_steps)
    return false;
  if (length > ls_params.alpha_min)
    return true;
  if (preg_ >= reg_max)
    return false;
  increaseRegularization();
  return true;
}

} // namespace sobo
