#include "bind_quadrotor.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>

#include "quadrotor_rollout.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {

void bind_quadrotor(nb::module_ &m) {
  nb::class_<QuadrotorSpec>(m, "QuadrotorSpec")
      .def(nb::init<>())
      .def_rw("horizon", &QuadrotorSpec::horizon)
      .def_rw("dt", &QuadrotorSpec::dt)
      .def_rw("mass", &QuadrotorSpec::mass)
      .def_rw("gravity", &QuadrotorSpec::gravity)
      .def_rw("inertia", &QuadrotorSpec::inertia)
      .def_rw("actuation", &QuadrotorSpec::actuation)
      .def_rw("running", &QuadrotorSpec::running)
      .def_rw("terminal", &QuadrotorSpec::terminal)
      .def_rw("control", &QuadrotorSpec::control)
      .def_rw("height", &QuadrotorSpec::height)
      .def_rw("columns", &QuadrotorSpec::columns);
  m.def("quadrotor_step", &quadrotor_step, "spec"_a, "x"_a, "u"_a);
  m.def("quadrotor_simulate", &quadrotor_simulate, "spec"_a, "x0"_a, "U"_a);
  m.def(
      "quadrotor_track",
      [](const QuadrotorSpec &spec, const VectorXd &x0, const RowMatrixXd &desired, double blend, const VectorXd &lower,
         const VectorXd &upper) {
        Tracking out = quadrotor_track(spec, x0, desired, blend, lower, upper);
        return std::make_pair(out.X, out.U);
      },
      "spec"_a, "x0"_a, "desired"_a, "blend"_a, "lower"_a, "upper"_a);
}

} // namespace sobo
