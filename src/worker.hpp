// ProxDDP on one problem: warm starts, targets changed in place, gains at the returned trajectory.
#pragma once

#include <array>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "interrupt.hpp"
#include "robot.hpp"
#include "sensitivity.hpp"
#include "spec.hpp"
#include "stage_terms.hpp"

namespace sobo {

struct SolveOptions {
  double tol = 1e-4;
  double mu_init = 1e-2;
  double reg_min = 1e-10;
  int max_iterations = 200;
  /// Relative cost change below which a feasible iterate is accepted; 0 switches the early stop off.
  double early_stop = 1e-4;
  /// [s] of wall time, 0 = none. No iteration begins that would end past it, the first one aside; in a sequence none
  /// begins after it.
  double time_limit = 0.0;
  /// Ends the solve as `time_limit` does, if there is one and it is set.
  std::shared_ptr<Interrupt> interrupt;
  bool nonlinear_rollout = false;
  /// On failure solve once more with nonlinear rollouts, mu 1e-4 and regularisation 1e-4.
  bool retry = true;
  /// The next of a sequence of like problems: begins with the multipliers of the last solve unless that failed, ends after
  /// a step that leaves little to do (see EarlyStop), and returns the gains of the last sweep, which belong to the iterate
  /// before the last step, instead of one sweep more.
  bool sequence = false;
  /// Whether gains and the derivatives of the dynamics are asked for. In a sequence it saves a sweep to do without.
  bool gains = true;
};

enum class Status { Converged, MaxIterations, TimeLimit, Failed };

struct Result {
  RowMatrixXd X, U, k;                 // (T+1) x nx, T x nu, T x nu
  std::vector<RowMatrixXd> K, A, B;    // T times nu x ndx, ndx x ndx, ndx x nu
  double initial_cost = std::numeric_limits<double>::quiet_NaN(); // of the guess
  double cost = 0.0, primal_residual = 0.0, dual_residual = 0.0, time_ms = 0.0, cpu_ms = 0.0;
  int iterations = 0;
  Status status = Status::Failed;
  std::string message;
  long number = 0;    // of the solution among those of its worker, see Worker::adjoint
  bool exact = false; // whether it has derivatives
};

/// One instance to solve: initial state, target (ignored by problems without one) and initial guess.
struct Start {
  VectorXd x0, target; // target: (3) position, or (7) pose, see Problem
  RowMatrixXd X, U;
  std::shared_ptr<const StageTerms> terms = nullptr; // added to the cost; null for none
  RowMatrixXd weights = {};                          // of the cost, see Problem::weights; empty for the problem's own
};

class Worker {
public:
  Worker(const Robot &robot, const ReachSpec &spec);
  explicit Worker(const QuadrotorSpec &spec);
  explicit Worker(const LinearSpec &spec);
  ~Worker();
  Worker(Worker &&) noexcept;

  int nx() const;
  int nu() const;
  int horizon() const;

  /// Throws SolverError on malformed input, and in a second thread at the same time; a solve that diverges returns
  /// Status::Failed.
  Result solve(const Start &start, const SolveOptions &options);
  /// Changes dt, weights, bounds, and the robot's masses, gravity and damping in place, and ends a sequence. Throws
  /// SolverError unless the problem was made with an adaptable spec that agrees in everything else.
  void adapt(const Robot &robot, const ReachSpec &spec);
  /// Ends a sequence: the next solve is not like the one before.
  void restart();
  /// CPU time [s] that a solve of one iteration takes, measured in the last one; 0 before that.
  double shortest_solve() const;
  /// The problem's own weights, see Problem::weights. Throws SolverError for problems in matrices.
  RowMatrixXd weights() const;
  /// Writes, as row i, the derivatives of a loss by what its last solution depends on, from the loss's slopes by X and U, row
  /// by row. Throws SolverError if that is not the solution of this number, or has no derivatives.
  void adjoint(long solution, const double *by_state, const double *by_control, Eigen::Index i, Adjoints &out);
  /// Room for some of those, with costates or without.
  Adjoints no_adjoints(Eigen::Index count, bool costates) const;
  /// Cost of a trajectory under the problem's own cost functions.
  double cost(const Start &start);

private:
  struct Impl; // the aligator problem and solver
  explicit Worker(std::unique_ptr<Impl> impl);
  void check(const Start &start) const;
  void load(const Start &start, bool closed);
  bool attempt(const SolveOptions &options, Result &result, double deadline);
  void refresh_gains(Result &result, const SolveOptions &options);
  void sweep_again();
  void check_adjoint(long solution, const double *by_state, const double *by_control) const;
  void add_sensitivities(Eigen::Index i, Adjoints &out) const;

  std::unique_ptr<Impl> impl_;
};

/// Solves each start by the worker of its own, on so many threads.
std::vector<Result> solve_each(const std::vector<Worker *> &workers, const std::vector<Start> &starts,
                               const SolveOptions &options, int threads);
/// Slopes of losses by the states and controls of solutions, one solution after the other, and the arrays' shapes.
struct Slopes {
  using Shape = std::array<std::size_t, 3>;
  const double *by_state, *by_control;
  Shape state_shape, control_shape;
};

/// The adjoints of the last solutions of workers of one problem, which have these numbers, on so many threads, with costates
/// or without. Throws as Worker::adjoint, and on slopes of other shapes.
Adjoints adjoint_each(const std::vector<Worker *> &workers, const std::vector<long> &solutions, const Slopes &slopes,
                      int threads, bool costates);
/// Solves all starts on as many threads as there are workers, or as the system lets it start; results do not depend on
/// their number.
std::vector<Result> solve_batch(const std::vector<Worker *> &workers, const std::vector<Start> &starts,
                                const SolveOptions &options);

} // namespace sobo
