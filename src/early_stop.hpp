// When ProxDDP has done enough.
#pragma once

#include <aligator/solvers/proxddp/solver-proxddp.hpp>

#include "bounded_riccati.hpp"
#include "clock.hpp"
#include "worker.hpp"

namespace sobo {

using ProxDDP = aligator::SolverProxDDPTpl<double>;

// Most iterations of ProxDDP near a solution only reduce the dual residual, at an unchanged cost. This stops once
// the cost has settled at a feasible point; the guard on the dual residual keeps it from stopping on a plateau
// that the solver is about to leave (a hanging pendulum).
struct EarlyStop : aligator::CallbackBaseTpl<double> {
  static constexpr double primal_tolerance = 5e-4;
  // Primal residual that the filter does not weigh against the merit: near a solution it would cut Newton steps short,
  // each of which squares the residual.
  static constexpr double feasible_enough = 2e-3;
  static constexpr double stalled = 1e-7; // relative change of the cost that counts as none for an infeasible iterate
  static constexpr double dual_ratio = 0.1;
  static constexpr double still_promising = 10.0; // predicted change of the cost, in tolerances
  static constexpr double dual_share = 0.05; // of 1 + |cost|: a tenth of a very large dual residual is still large

  // In a sequence of solves: a step that changes the cost by less than this share of it leaves a feasible iterate to the
  // next solve. Newton steps square the error: the next would change the cost by about the square.
  static constexpr double small_step = 1e-2;

  /// `finish` [s] is what the solve still takes once the iterations have ended.
  EarlyStop(ProxDDP &solver, BoundedRiccati &steps, const SolveOptions &options, double deadline, double finish)
      : solver_(solver), steps_(steps), tolerance_(options.early_stop), one_step_(options.sequence), deadline_(deadline),
        finish_(finish), interrupt_(options.interrupt.get()) {}

  /// Stores cost and residuals of the guess, which the solver has evaluated.
  void begin() {
    last_cost_ = solver_.results_.traj_cost_;
    last_call_ = wall_seconds();
    last_cpu_ = cpu_seconds();
  }

  void call(const Workspace &, const Results &results) override {
    const double now = wall_seconds(), cpu = cpu_seconds();
    longest_ = std::max(longest_, now - last_call_);
    longest_cpu = std::max(longest_cpu, cpu - last_cpu_);
    last_call_ = now;
    last_cpu_ = cpu;
    const bool closed = steps_.take_costates();
    for (auto &entry : solver_.filter_.filter_pairs_)
      entry.second = std::max(entry.second, feasible_enough);
    largest_dual_ = std::max(largest_dual_, results.dual_infeas);
    const double change = std::abs(results.traj_cost_ - last_cost_);
    last_cost_ = results.traj_cost_;
    // The filter holds merit values computed with earlier multipliers and penalties. When no later iterate can pass them,
    // the line search shortens every step to nothing: the filter is emptied, so that the next step is accepted.
    if (change <= stalled * std::abs(last_cost_) && results.prim_infeas > feasible_enough)
      solver_.filter_.filter_pairs_.clear();
    // Where a step has no gaps to close, its length depends on the merit alone: a short one says nothing about the cost.
    const bool promising = closed && steps_.promised() > still_promising * tolerance_ * std::abs(last_cost_);
    if (tolerance_ > 0.0 && !promising && change <= tolerance_ * std::abs(last_cost_) &&
        results.prim_infeas <= primal_tolerance && results.dual_infeas <= dual_ratio * largest_dual_ &&
        results.dual_infeas <= dual_share * (1.0 + std::abs(last_cost_)))
      settled = true;
    else if (one_step_ && change <= small_step * std::abs(last_cost_) && results.prim_infeas <= primal_tolerance)
      settled = true;
    else if (too_late(now) || (interrupt_ && interrupt_->is_set()))
      out_of_time = true;
    if (settled || out_of_time)
      solver_.max_iters = 0; // the solver's loop compares against it after each iteration
  }

  bool settled = false, out_of_time = false;
  double longest_cpu = 0.0; // [s] of CPU time of an iteration

private:
  /// Whether another iteration would end past the deadline. In a sequence, whose solves are an iteration or two: whether
  /// the deadline has passed.
  bool too_late(double now) const {
    return deadline_ > 0.0 && now + (one_step_ ? 0.0 : longest_ + finish_) > deadline_;
  }

  ProxDDP &solver_;
  BoundedRiccati &steps_;
  double tolerance_;
  bool one_step_;
  double deadline_, finish_, longest_ = 0.0, last_call_ = 0.0, last_cpu_ = 0.0, last_cost_ = 0.0, largest_dual_ = 0.0;
  const Interrupt *interrupt_; // outlives the solve, in its options
};

} // namespace sobo
