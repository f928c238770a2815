// Shapes are documented in sobo_planner/safety.
#include "bind_curves.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include "curves.hpp"
#include "path_speed.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {

void bind_curves(nb::module_ &m) {
  m.def("splined", &splined, "knots"_a, "states"_a, "times"_a);
  m.def("sampled", &sampled, "times"_a, "Q"_a, "V"_a, "step"_a, "most_parts"_a);
  m.def("fastest_squares", &fastest_squares, "slope"_a, "bend"_a, "most"_a, "acceleration"_a, "step"_a);
  using Gains = nb::ndarray<const double, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
  nb::class_<JointBounds>(m, "JointBounds")
      .def("__init__",
           [](JointBounds *self, const VectorXd &lower, const VectorXd &upper, const VectorXd &velocity, const VectorXd &torque,
              const VectorXd &acceleration, const VectorXd &gain, double tolerance, bool curves) {
             new (self) JointBounds{lower, upper, velocity, torque, acceleration, gain, tolerance, curves};
           },
           nb::kw_only(), "lower"_a, "upper"_a, "velocity"_a, "torque"_a, "acceleration"_a, "gain"_a, "tolerance"_a, "curves"_a)
      .def(
          "kept",
          [](const JointBounds &bounds, const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V, const RowMatrixXd &U,
             const Gains &K) {
            const auto n = static_cast<std::size_t>(bounds.lower.size());
            return K.shape(1) == n && K.shape(2) == 2 * n &&
                   bounds.kept(times, Q, V, U, K.data(), static_cast<Eigen::Index>(K.shape(0) * n));
          },
          "times"_a, "Q"_a, "V"_a, "U"_a, "K"_a);
}

} // namespace sobo
