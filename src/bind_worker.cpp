// Solvers. Shapes and units are documented in sobo_planner/solver/solver.py.
#include "bind_worker.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>

#include "errors.hpp"
#include "worker.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {
namespace {

// T matrices of equal shape as one array [T, rows, cols].
nb::ndarray<nb::numpy, double> stack(const std::vector<RowMatrixXd> &matrices) {
  const std::size_t count = matrices.size();
  const std::size_t rows = count ? matrices[0].rows() : 0, cols = count ? matrices[0].cols() : 0;
  std::unique_ptr<double[]> data(new double[count * rows * cols]);
  for (std::size_t t = 0; t < count; ++t)
    std::copy_n(matrices[t].data(), rows * cols, data.get() + t * rows * cols);
  nb::capsule owner(data.get(), [](void *p) noexcept { delete[] static_cast<double *>(p); });
  return nb::ndarray<nb::numpy, double>(data.release(), {count, rows, cols}, owner); // its owner deletes it
}

const char *status_name(Status status) {
  switch (status) {
  case Status::Converged:
    return "converged";
  case Status::MaxIterations:
    return "max_iterations";
  case Status::TimeLimit:
    return "time_limit";
  default:
    return "failed";
  }
}

nb::dict to_dict(const Result &result) {
  nb::dict out;
  out["X"] = result.X;
  out["U"] = result.U;
  out["K"] = stack(result.K);
  out["k"] = result.k;
  out["A"] = stack(result.A);
  out["B"] = stack(result.B);
  out["initial_cost"] = result.initial_cost;
  out["cost"] = result.cost;
  out["iterations"] = result.iterations;
  out["primal_residual"] = result.primal_residual;
  out["dual_residual"] = result.dual_residual;
  out["status"] = status_name(result.status);
  out["message"] = result.message;
  out["time_ms"] = result.time_ms;
  out["cpu_ms"] = result.cpu_ms;
  out["number"] = result.number;
  out["exact"] = result.exact;
  return out;
}

} // namespace

void bind_worker(nb::module_ &m) {
  nb::class_<Interrupt>(m, "Interrupt", "Ends solves from another thread, after the iteration that they are at.")
      .def(nb::init<>())
      .def("set", &Interrupt::set, "Ends solves that have it, and those that begin.")
      .def("clear", &Interrupt::clear)
      .def("is_set", &Interrupt::is_set);
  nb::class_<SolveOptions>(m, "SolveOptions")
      .def(nb::init<>())
      .def_rw("tol", &SolveOptions::tol)
      .def_rw("mu_init", &SolveOptions::mu_init)
      .def_rw("reg_min", &SolveOptions::reg_min)
      .def_rw("max_iterations", &SolveOptions::max_iterations)
      .def_rw("early_stop", &SolveOptions::early_stop)
      .def_rw("time_limit", &SolveOptions::time_limit)
      .def_rw("interrupt", &SolveOptions::interrupt, nb::arg().none())
      .def_rw("nonlinear_rollout", &SolveOptions::nonlinear_rollout)
      .def_rw("retry", &SolveOptions::retry)
      .def_rw("sequence", &SolveOptions::sequence)
      .def_rw("gains", &SolveOptions::gains);
  nb::class_<StageTerms>(m, "StageTerms")
      .def(nb::init<const RowMatrixXd &, const RowMatrixXd &, const VectorXd &, const MatrixXd &, const VectorXd &, double>(),
           "hessians"_a, "gradients"_a, "constants"_a, "last_hessian"_a, "last_gradient"_a, "last_constant"_a);
  nb::class_<Start>(m, "Start")
      .def("__init__",
           [](Start *self, const VectorXd &x0, const VectorXd &target, const RowMatrixXd &X, const RowMatrixXd &U,
              std::shared_ptr<StageTerms> terms, std::optional<RowMatrixXd> weights) {
             new (self) Start{x0, target, X, U, std::move(terms), weights ? std::move(*weights) : RowMatrixXd()};
           },
           "x0"_a, "target"_a, "X"_a, "U"_a, "terms"_a.none() = nb::none(), "weights"_a.none() = nb::none());
  nb::class_<Worker>(m, "Worker")
      .def("__init__",
           [](Worker *self, const Robot &robot, const ReachSpec &spec) {
             new (self) Worker(robot, spec);
           })
      .def("__init__",
           [](Worker *self, const LinearSpec &spec) { new (self) Worker(spec); })
      .def("__init__",
           [](Worker *self, const QuadrotorSpec &spec) { new (self) Worker(spec); })
      .def_prop_ro("nx", &Worker::nx)
      .def_prop_ro("nu", &Worker::nu)
      .def_prop_ro("horizon", &Worker::horizon)
      .def(
          "solve",
          [](Worker &worker, const Start &start, const SolveOptions &options) {
            Result result;
            {
              nb::gil_scoped_release release;
              result = worker.solve(start, options);
            }
            return to_dict(result);
          },
          "start"_a, "options"_a)
      .def("restart", &Worker::restart)
      .def("adapt", &Worker::adapt, "robot"_a, "spec"_a)
      .def("weights", &Worker::weights)
      .def_prop_ro("shortest_solve", &Worker::shortest_solve)
      .def("cost", &Worker::cost, "start"_a, nb::call_guard<nb::gil_scoped_release>());
  m.def(
      "solve_batch",
      [](const std::vector<Worker *> &workers, const std::vector<Start> &starts, const SolveOptions &options) {
        if (workers.empty())
          throw SolverError("solve_batch needs at least one worker");
        std::vector<Result> results;
        {
          nb::gil_scoped_release release;
          results = solve_batch(workers, starts, options);
        }
        nb::list out;
        for (const auto &result : results)
          out.append(to_dict(result));
        return out;
      },
      "workers"_a, "starts"_a, "options"_a);
  m.def(
      "solve_each",
      [](const std::vector<Worker *> &workers, const std::vector<Start> &starts, const SolveOptions &options, int threads) {
        if (workers.size() < starts.size() || threads < 1)
          throw SolverError("solve_each needs a worker for every start, and a thread");
        std::vector<Result> results;
        {
          nb::gil_scoped_release release;
          results = solve_each(workers, starts, options, threads);
        }
        nb::list out;
        for (const auto &result : results)
          out.append(to_dict(result));
        return out;
      },
      "workers"_a, "starts"_a, "options"_a, "threads"_a);
}

} // namespace sobo
