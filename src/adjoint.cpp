// The adjoint of a solution: its LQ problem once more, with other linear terms.
//
// A loss L(X, U) has the slopes g_t, h_t by the states and controls of a solution. The KKT matrix is symmetric, so that
//   min sum 1/2 [dx; du]'[Q S; S' R][dx; du] + g'dx + h'du,  dx_0 = 0, dx' = A dx + B du, C dx + D du = 0 in active rows
// gives dL/dp = sum dz' d2l/dz dp + d(adjoint costates)' df/dp + costates' d2f/dz dp dz for every parameter p.
#include <algorithm>

#include "bounded_riccati.hpp"
#include "errors.hpp"
#include "problem.hpp"
#include "share_out.hpp"
#include "worker_impl.hpp"

namespace sobo {
namespace {

// Penalty of active rows: what ProxDDP ends with would leak through them, by up to some percent of the derivative.
constexpr double hard = 1e-8;

/// Vectors of all stages, so many numbers apart.
template <typename Number> auto columns(Number *at, int size, int count, int stride) {
  using Matrix = std::conditional_t<std::is_const_v<Number>, const MatrixXd, MatrixXd>;
  return Eigen::Map<Matrix, 0, Eigen::OuterStride<>>(at, size, count, Eigen::OuterStride<>(stride));
}

} // namespace

InteriorPoint *BoundedRiccati::prepare_responses() {
  if (std::exchange(hard_factors_, true))
    return &interior_;
  const int last = rows_.hold(interior_, 1.0 / hard);
  hard_factors_ = last < 0 || interior_.factor_held(last); // the last sweep held the same rows, by other weights
  return hard_factors_ ? &interior_ : nullptr;
}

void Worker::check_adjoint(long solution, const double *by_state, const double *by_control) const {
  if (solution != impl_->solution)
    throw SolverError("this solver has solved something else since: its derivatives are lost");
  if (!impl_->exact)
    throw SolverError("the solution has no derivatives: it is not a strict minimum, or some of its curvature is not known");
  const Eigen::Map<const VectorXd> states(by_state, (horizon() + 1) * nx()), controls(by_control, horizon() * nu());
  if (!states.allFinite() || !controls.allFinite())
    throw SolverError("the slopes of the loss hold a NaN or an infinity");
}

void Worker::adjoint(long solution, const double *by_state, const double *by_control, Eigen::Index i, Adjoints &out) {
  const Claim claim(impl_->busy);
  check_adjoint(solution, by_state, by_control);
  InteriorPoint *lq = impl_->steps->prepare_responses();
  if (!lq)
    throw SolverError("the solution has no derivatives: it is not a strict minimum");
  const int T = horizon(), n = nx(), m = nu();
  const auto &torques = impl_->problem.torques;
  const auto &solved = impl_->ddp.results_;
  double *slopes = lq->gradient();
  columns(slopes, n, T + 1, n + m) = columns(by_state, n, T + 1, n);
  columns(slopes + n, m, T, n + m) = columns(by_control, m, T, m);
  if (torques)
    torques->pull(solved.xs, solved.us, slopes);
  const double *z = lq->respond(out.x0.row(i).data());
  double *X = out.X.row(i).data(), *U = out.U.row(i).data();
  columns(X, n, T + 1, n) = columns(z, n, T + 1, n + m);
  if (torques)
    torques->push(solved.xs, solved.us, z, U);
  else
    columns(U, m, T, m) = columns(z + n, m, T, n + m);
  if (out.costates.size() > 0) {
    lq->write_costates(out.costates.row(i).data());
    for (int t = 0; t <= T; ++t)
      std::copy_n(solved.lams[t].data(), n, out.own_costates.row(i).data() + n * t);
  }
  if (impl_->problem.parts)
    add_sensitivities(i, out);
}

void Worker::add_sensitivities(Eigen::Index i, Adjoints &out) const {
  const auto &problem = impl_->problem;
  const auto &data = impl_->ddp.workspace_.problem_data;
  const auto &solved = impl_->ddp.results_;
  const Eigen::Index size = out.weights.cols() / 2;
  Eigen::Map<VectorXd> running(out.weights.row(i).data(), size), terminal(running.data() + size, size),
      target(out.target.row(i).data(), out.target.cols());
  const double *X = out.X.row(i).data(), *U = out.U.row(i).data();
  const auto part = [](const double *from, int count) { return AdjointStage::Part(from, count); };
  for (int t = 0; t < horizon(); ++t) {
    const double *u = solved.us[t].data();
    if (problem.torques)
      u = problem.torques->torque(solved.xs[t], solved.us[t]).data();
    dynamic_cast<const WeightedCost &>(*problem.ocp->stages_[t]->cost_)
        .add_sensitivity(*data.stage_data[t]->cost_data, {part(u, nu()), part(X + nx() * t, nx()), part(U + nu() * t, nu())},
                         running, target);
  }
  dynamic_cast<const WeightedCost &>(*problem.ocp->term_cost_)
      .add_sensitivity(*data.term_cost_data, {part(nullptr, 0), part(X + nx() * horizon(), nx()), part(nullptr, 0)}, terminal,
                       target);
}

Adjoints Worker::no_adjoints(Eigen::Index count, bool costates) const {
  const auto &problem = impl_->problem;
  const Eigen::Index T = horizon(), n = nx(), m = nu();
  const auto room = [&](Eigen::Index numbers) { return RowMatrixXd::Zero(count, numbers); };
  const Eigen::Index of_target = !problem.parts ? 0 : problem.parts->joint_goal ? n / 2 : problem.rotation ? 6 : 3;
  return {T,
          n,
          m,
          room((T + 1) * n),
          room(T * m),
          room(n),
          room(costates ? (T + 1) * n : 0),
          room(costates ? (T + 1) * n : 0),
          room(problem.parts ? 2 * (6 + n + m) : 0),
          room(of_target)};
}

Adjoints adjoint_each(const std::vector<Worker *> &workers, const std::vector<long> &solutions, const Slopes &slopes,
                      int threads, bool costates) {
  const std::size_t count = workers.size();
  if (count == 0)
    return {};
  const Worker &first = *workers.front();
  for (const auto *worker : workers)
    if (worker->nx() != first.nx() || worker->nu() != first.nu() || worker->horizon() != first.horizon())
      throw SolverError("adjoints at once are those of one problem's solutions");
  const std::size_t T = first.horizon(), n = first.nx(), m = first.nu();
  if (solutions.size() != count || slopes.state_shape != Slopes::Shape{count, T + 1, n} ||
      slopes.control_shape != Slopes::Shape{count, T, m})
    throw SolverError("the slopes of the loss must have the shapes of the solution's X and U");
  Adjoints out = first.no_adjoints(static_cast<Eigen::Index>(count), costates);
  share_out(count, std::min<std::size_t>(threads, count), [&](std::size_t, std::size_t i) {
    workers[i]->adjoint(solutions[i], slopes.by_state + (T + 1) * n * i, slopes.by_control + T * m * i,
                        static_cast<Eigen::Index>(i), out);
  });
  return out;
}

} // namespace sobo
