// Derivatives of losses on solutions. Shapes are documented in sobo_planner/solver/adjoint.py.
#include "bind_adjoint.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include "errors.hpp"
#include "worker.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {
namespace {

using Input = nb::ndarray<const double, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<nb::numpy, double>;

Slopes::Shape shape_of(const Input &input) { return {input.shape(0), input.shape(1), input.shape(2)}; }

/// A matrix whose rows are matrices of so many rows.
template <RowMatrixXd Adjoints::*part> Output view(Adjoints &adjoints, Eigen::Index rows) {
  RowMatrixXd &all = adjoints.*part;
  const auto size = [](Eigen::Index n) { return static_cast<std::size_t>(n); };
  return Output(all.data(), {size(all.rows()), size(rows), size(all.cols() / rows)});
}

} // namespace

void bind_adjoint(nb::module_ &m) {
  nb::class_<Adjoints>(m, "Adjoints", "Of several solutions, which count along the first dimension of all arrays.")
      .def_prop_ro("X", [](Adjoints &a) { return view<&Adjoints::X>(a, a.steps + 1); })
      .def_prop_ro("U", [](Adjoints &a) { return view<&Adjoints::U>(a, a.steps); })
      .def_prop_ro("x0", [](Adjoints &a) { return view<&Adjoints::x0>(a, 1); })
      .def_prop_ro("costates", [](Adjoints &a) { return view<&Adjoints::costates>(a, a.steps + 1); })
      .def_prop_ro("own_costates", [](Adjoints &a) { return view<&Adjoints::own_costates>(a, a.steps + 1); })
      .def_prop_ro("weights", [](Adjoints &a) { return view<&Adjoints::weights>(a, 2); })
      .def_prop_ro("target", [](Adjoints &a) { return view<&Adjoints::target>(a, 1); });
  m.def(
      "adjoint_each",
      [](const std::vector<Worker *> &workers, const std::vector<long> &solutions, const Input &by_state,
         const Input &by_control, int threads, bool costates) {
        if (workers.empty() || threads < 1)
          throw SolverError("adjoint_each needs a worker and a thread");
        const Slopes slopes{by_state.data(), by_control.data(), shape_of(by_state), shape_of(by_control)};
        nb::gil_scoped_release release;
        return adjoint_each(workers, solutions, slopes, threads, costates);
      },
      "workers"_a, "solutions"_a, "by_state"_a, "by_control"_a, "threads"_a = 1, "costates"_a = true);
}

} // namespace sobo
