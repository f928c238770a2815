#include "worker_impl.hpp"

#include <aligator/core/lagrangian.hpp>
#include <aligator/solvers/proxddp/merit-function.hpp>
#include <aligator/solvers/proxddp/solver-proxddp.hpp>

#include "clock.hpp"
#include "early_stop.hpp"
#include "errors.hpp"
#include "share_out.hpp"

namespace sobo {
namespace {

template <typename Vectors> void set_zero(Vectors &vectors) {
  for (auto &v : vectors)
    v.setZero();
}

constexpr double barely_regular = 1e-7; // regularisation that derivatives do not notice

// An empty filter accepts any first step, and from a good guess that step may exceed the limits a hundredfold, because
// it ignores every bound that is not active yet. With the guess in the filter, a step must be more feasible than that,
// or within the slack on its merit: none at all would shorten steps until a bad guess takes twice the iterations.
// A sequence of solves has too few iterations to recover from a bad step, so that its slack is 0.
void seed_filter(ProxDDP &ddp, bool sequence) {
  const double slack = sequence ? 0.0 : 10.0;
  const double merit = ddp.results_.merit_value_;
  ddp.filter_.filter_pairs_.emplace_back(merit + slack * (1.0 + std::abs(merit)), ddp.results_.prim_infeas);
}

} // namespace

Worker::Worker(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Worker::Worker(const Robot &robot, const ReachSpec &spec)
    : Worker(std::make_unique<Impl>(make_reach_problem(robot, spec))) {}
Worker::Worker(const QuadrotorSpec &spec) : Worker(std::make_unique<Impl>(make_quadrotor_problem(spec))) {}
Worker::Worker(const LinearSpec &spec) : Worker(std::make_unique<Impl>(make_linear_problem(spec))) {}
Worker::~Worker() = default;
Worker::Worker(Worker &&) noexcept = default;

int Worker::nx() const { return impl_->problem.nx; }
int Worker::nu() const { return impl_->problem.nu; }
int Worker::horizon() const { return impl_->problem.horizon; }

void Worker::check(const Start &start) const {
  const auto shape = [](const RowMatrixXd &m) {
    return "(" + std::to_string(m.rows()) + ", " + std::to_string(m.cols()) + ")";
  };
  if (start.x0.size() != nx())
    throw SolverError("x0 has " + std::to_string(start.x0.size()) + " entries, expected " + std::to_string(nx()));
  if (start.X.rows() != horizon() + 1 || start.X.cols() != nx())
    throw SolverError("the guess X has shape " + shape(start.X) + ", expected (" + std::to_string(horizon() + 1) +
                      ", " + std::to_string(nx()) + ")");
  if (start.U.rows() != horizon() || start.U.cols() != nu())
    throw SolverError("the guess U has shape " + shape(start.U) + ", expected (" + std::to_string(horizon()) + ", " +
                      std::to_string(nu()) + ")");
  if (!start.x0.allFinite() || !start.X.allFinite() || !start.U.allFinite())
    throw SolverError("x0 or the guess holds a NaN or an infinity");
  impl_->problem.check_target(start.target);
  if (start.terms)
    impl_->problem.check_terms(*start.terms);
  if (start.weights.size() > 0)
    impl_->problem.check_weights(start.weights);
}

// Accelerations inside come from the states; `closed` changes these to what the accelerations lead to.
void Worker::load(const Start &start, bool closed) {
  impl_->problem.set_target(start.target);
  impl_->set_terms(start.terms);
  impl_->set_weights(start.weights);
  ++impl_->solution;
  impl_->exact = false;
  impl_->problem.ocp->setInitState(start.x0);
  for (int t = 0; t <= horizon(); ++t)
    impl_->xs[t] = start.X.row(t).transpose();
  for (int t = 0; t < horizon(); ++t)
    impl_->us[t] = start.U.row(t).transpose();
  impl_->xs[0] = start.x0; // a guess that starts elsewhere would keep its own first state
  if (impl_->problem.torques && closed)
    impl_->problem.torques->close(impl_->xs, impl_->us);
  else if (impl_->problem.torques)
    impl_->problem.torques->differentiate(impl_->xs, impl_->us);
}

void Worker::adapt(const Robot &robot, const ReachSpec &spec) {
  const Claim claim(impl_->busy);
  if (!impl_->problem.adapt)
    throw SolverError("this problem was not made to be adapted");
  impl_->set_weights({});
  impl_->exact = false;
  impl_->problem.adapt(robot, spec);
  impl_->ddp.renew();
  impl_->steps->read_bounds();
  impl_->continues = false;
}

void Worker::restart() {
  const Claim claim(impl_->busy);
  impl_->continues = false;
}

RowMatrixXd Worker::weights() const { return impl_->own_weights ? *impl_->own_weights : impl_->problem.weights(); }

double Worker::shortest_solve() const { return impl_->iteration + impl_->finish; }

double Worker::cost(const Start &start) {
  const Claim claim(impl_->busy);
  check(start);
  load(start, false);
  return impl_->problem.ocp->evaluate(impl_->xs, impl_->us, impl_->ddp.workspace_.problem_data);
}

bool Worker::attempt(const SolveOptions &options, Result &result, double deadline) {
  auto &ddp = impl_->ddp;
  ddp.target_tol_ = options.tol;
  ddp.mu_init_ = options.mu_init;
  ddp.reg_min = options.reg_min;
  ddp.reg_init = std::max(options.reg_min, 1e-9);
  ddp.max_iters = static_cast<std::size_t>(options.max_iterations);
  ddp.rollout_type_ =
      options.nonlinear_rollout ? aligator::RolloutType::NONLINEAR : aligator::RolloutType::LINEAR;
  // run() resets neither the filter nor the multipliers of the last solve.
  ddp.filter_.resetFilter(0.0, ddp.ls_params.alpha_min, ddp.ls_params.max_num_steps);
  ddp.linesearch_.reset();
  impl_->steps->stop_below(options.early_stop);
  impl_->steps->use_fine_curvature(false);
  impl_->steps->keep_gains(options.nonlinear_rollout || options.sequence);
  if (!options.sequence || !std::exchange(impl_->continues, false)) {
    set_zero(ddp.results_.vs);
    set_zero(ddp.results_.lams);
  }
  auto stop = std::make_shared<EarlyStop>(ddp, *impl_->steps, options, deadline, impl_->finish);
  ddp.registerCallback("early_stop", stop);
  impl_->steps->before_first_sweep([&] {
    result.initial_cost = ddp.results_.traj_cost_;
    stop->begin();
    seed_filter(ddp, options.sequence);
  });
  const auto finish = [&](Status status) {
    impl_->steps->before_first_sweep(nullptr);
    result.iterations += static_cast<int>(ddp.results_.num_iters);
    result.status = status;
    impl_->iteration = stop->longest_cpu;
    return status == Status::Converged;
  };
  try {
    const bool closed = impl_->problem.torques && !options.nonlinear_rollout;
    if (!closed)
      ddp.renew();
    const bool converged = closed ? ddp.run_closed(*impl_->problem.ocp, impl_->xs, impl_->us, *impl_->steps)
                                  : ddp.run(*impl_->problem.ocp, impl_->xs, impl_->us);
    if (converged || stop->settled || impl_->steps->stopped())
      return finish(Status::Converged);
    if (stop->out_of_time)
      return finish(Status::TimeLimit);
    return finish(static_cast<int>(ddp.results_.num_iters) >= options.max_iterations ? Status::MaxIterations
                                                                                     : Status::Failed);
  } catch (const std::exception &e) {
    result.message = e.what();
    return finish(Status::Failed);
  }
}

// The gains in `results_` belong to the iterate before the last step and carry its regularisation; they are zero
// after no iterations. One more sweep at the returned point, at minimal regularisation, gives the right ones.
void Worker::refresh_gains(Result &result, const SolveOptions &options) {
  const bool quick = options.sequence;
  auto &ddp = impl_->ddp;
  auto &ws = ddp.workspace_;
  auto &res = ddp.results_;
  auto &ocp = *impl_->problem.ocp;
  if (!quick || !impl_->steps->swept() || !result.message.empty()) // else that is what was evaluated last
    res.traj_cost_ = ocp.evaluate(res.xs, res.us, ws.problem_data);
  result.cost = res.traj_cost_;
  if (std::isnan(result.initial_cost)) // no step was computed
    result.initial_cost = result.cost;
  ddp.computeMultipliers(ocp, res.xs, res.lams, res.vs);
  if (options.gains && !(quick && impl_->steps->swept()))
    sweep_again();
  result.primal_residual = res.prim_infeas;
  result.dual_residual = res.dual_infeas;
  if (!options.gains)
    return;
  result.k.resize(horizon(), nu());
  for (int t = 0; t < horizon(); ++t) {
    result.k.row(t) = ddp.linear_solver_->getFeedforward(t).head(nu()).transpose();
    result.K.push_back(ddp.linear_solver_->getFeedback(t).topRows(nu()));
    const auto &dynamics = *ws.problem_data.stage_data[t]->dynamics_data;
    result.A.push_back(dynamics.Jx());
    result.B.push_back(dynamics.Ju());
  }
}

void Worker::sweep_again() {
  auto &ddp = impl_->ddp;
  auto &ws = ddp.workspace_;
  auto &res = ddp.results_;
  auto &ocp = *impl_->problem.ocp;
  ocp.computeDerivatives(res.xs, res.us, ws.problem_data);
  aligator::LagrangianDerivatives<double>::compute(ocp, ws.problem_data, res.lams, res.vs, ws.Lxs, ws.Lus);
  ws.Lxs[0].setZero();
  ddp.computeCriterion();
  ddp.preg_ = ddp.reg_min;
  impl_->steps->stop_below(0.0);
  impl_->steps->use_fine_curvature(true); // the next attempt ends it
  impl_->steps->keep_gains(true);
  ddp.linear_solver_->backward(ddp.mu());
  ddp.linear_solver_->collapseFeedback();
}

Result Worker::solve(const Start &start, const SolveOptions &options) {
  const Claim claim(impl_->busy);
  check(start);
  const double wall = wall_seconds(), cpu = cpu_seconds();
  const double deadline = options.time_limit > 0.0 ? wall + options.time_limit : 0.0;
  Result result;
  load(start, true);
  bool solved = attempt(options, result, deadline);
  if (!solved && options.retry && result.status != Status::TimeLimit) {
    SolveOptions careful = options;
    careful.nonlinear_rollout = true;
    careful.mu_init = 1e-4;
    careful.reg_min = 1e-4;
    result.message.clear();
    attempt(careful, result, deadline);
  }
  const double finishing = cpu_seconds();
  try {
    refresh_gains(result, options);
  } catch (const std::exception &e) {
    result.status = Status::Failed;
    result.message = e.what();
  }
  result.X = stack(impl_->ddp.results_.xs);
  result.U = stack(impl_->ddp.results_.us);
  if (impl_->problem.torques)
    impl_->problem.torques->to_torques(impl_->ddp.results_.xs, impl_->ddp.results_.us, result);
  if (!result.X.allFinite() || !result.U.allFinite() || !std::isfinite(result.cost))
    result.status = Status::Failed;
  if (result.status == Status::Failed && result.message.empty())
    result.message = "no acceptable step was found";
  impl_->continues = options.sequence && result.status != Status::Failed;
  impl_->exact = result.status != Status::Failed && !options.sequence && options.gains &&
                 impl_->ddp.preg_ <= barely_regular && impl_->steps->exact(!impl_->problem.parts);
  result.number = impl_->solution;
  result.exact = impl_->exact;
  impl_->finish = cpu_seconds() - finishing;
  result.time_ms = 1e3 * (wall_seconds() - wall);
  result.cpu_ms = 1e3 * (cpu_seconds() - cpu);
  return result;
}

std::vector<Result> solve_batch(const std::vector<Worker *> &workers, const std::vector<Start> &starts,
                                const SolveOptions &options) {
  std::vector<Result> results(starts.size());
  share_out(starts.size(), workers.size(),
            [&](std::size_t w, std::size_t i) { results[i] = workers[w]->solve(starts[i], options); });
  return results;
}

std::vector<Result> solve_each(const std::vector<Worker *> &workers, const std::vector<Start> &starts,
                               const SolveOptions &options, int threads) {
  std::vector<Result> results(starts.size());
  share_out(starts.size(), std::min<std::size_t>(threads, starts.size()),
            [&](std::size_t, std::size_t i) { results[i] = workers[i]->solve(starts[i], options); });
  return results;
}

} // namespace sobo
