// What a Worker consists of.
#pragma once

#include <atomic>
#include <optional>
#include <utility>

#include "closed_solver.hpp"
#include "errors.hpp"
#include "problem.hpp"
#include "worker.hpp"

namespace sobo {

template <typename Vectors> RowMatrixXd stack(const Vectors &vectors) {
  RowMatrixXd out(static_cast<Eigen::Index>(vectors.size()), vectors.front().size());
  for (std::size_t i = 0; i < vectors.size(); ++i)
    out.row(static_cast<Eigen::Index>(i)) = vectors[i].transpose();
  return out;
}

struct Worker::Impl {
  explicit Impl(Problem p) : problem(std::move(p)) {
    // With gaps between the steps, the line search on the merit function takes half as many iterations again.
    ddp.sa_strategy_ = aligator::StepAcceptanceStrategy::LINESEARCH_ARMIJO; // or the filter: BoundedRiccati chooses
    ddp.rollout_type_ = aligator::RolloutType::LINEAR;
    ddp.inner_tol0 = 10.0; // 1 delays the first multiplier update until the cost has long settled
    set_up();
    xs.assign(problem.horizon + 1, VectorXd::Zero(problem.nx));
    us.assign(problem.horizon, VectorXd::Zero(problem.nu));
    if (!problem.torques)
      return;
    problem.torques->follow(xs, us);
    problem.torques->follow(ddp.results_.xs, ddp.results_.us);
    problem.torques->follow(ddp.workspace_.trial_xs, ddp.workspace_.trial_us);
  }

  void set_up() {
    ddp.setup(*problem.ocp);
    ddp.renew();
    auto riccati = std::make_unique<BoundedRiccati>(ddp, *problem.ocp, problem.torques != nullptr);
    steps = riccati.get();
    ddp.linear_solver_ = std::move(riccati);
    continues = false;
  }

  /// Where terms are first asked for, the solver gets new memory, with that of their costs.
  void set_terms(const std::shared_ptr<const StageTerms> &terms) {
    if (terms && !problem.terms) {
      make_room_for_terms(problem);
      set_up();
    }
    if (problem.terms)
      problem.terms->terms = terms;
  }

  void set_weights(const RowMatrixXd &weights) {
    if (weights.size() > 0 && !own_weights)
      own_weights = problem.weights();
    if (weights.size() > 0)
      problem.set_weights(weights);
    else if (const auto own = std::exchange(own_weights, std::nullopt))
      problem.set_weights(*own);
  }

  Problem problem;
  ClosedSolver ddp;
  BoundedRiccati *steps = nullptr; // owned by ddp
  std::vector<VectorXd> xs, us;    // the guess
  std::optional<RowMatrixXd> own_weights; // of the problem, while it has those of a start
  long solution = 0;               // counts what was solved or evaluated
  bool exact = false;              // whether the last solution has derivatives
  double iteration = 0.0, finish = 0.0; // [s] of CPU time of the last solve: its slowest iteration, what came after
  bool continues = false;          // whether the multipliers are those of a solve like the next one
  std::atomic_flag busy = ATOMIC_FLAG_INIT;
};

/// Keeps a worker to one thread at a time: solves let other Python threads run, which may have the same solver.
class Claim {
public:
  explicit Claim(std::atomic_flag &busy) : busy_(busy) {
    if (busy_.test_and_set(std::memory_order_acquire))
      throw SolverError("this solver is at work in another thread; every thread needs a solver of its own");
  }
  ~Claim() { busy_.clear(std::memory_order_release); }
  Claim(const Claim &) = delete;
  Claim &operator=(const Claim &) = delete;

private:
  std::atomic_flag &busy_;
};

} // namespace sobo
