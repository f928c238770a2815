#include "bind_batch.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include "batch_rollout.hpp"
#include "errors.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {
namespace {

using Inputs = nb::ndarray<const double, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

void check_inputs(const Inputs &inputs, int horizon, int columns) {
  if (static_cast<int>(inputs.shape(1)) != horizon || static_cast<int>(inputs.shape(2)) != columns)
    throw SolverError("a batch has rollouts of (" + std::to_string(inputs.shape(1)) + ", " +
                      std::to_string(inputs.shape(2)) + "), expected (" + std::to_string(horizon) + ", " +
                      std::to_string(columns) + ")");
}

std::tuple<VectorXd, VectorXd, VectorXd> to_tuple(const BatchCosts &costs) {
  return {costs.cost, costs.excess, costs.away};
}

Reference reference_of(const std::optional<RowMatrixXd> &positions, double reach) {
  return {positions.value_or(RowMatrixXd()), reach};
}

} // namespace

void bind_batch(nb::module_ &m) {
  m.def(
      "arm_batch",
      [](const Robot &robot, const ReachSpec &spec, const VectorXd &x0, const VectorXd &target, const Inputs &inputs,
         bool velocities, int threads, const std::optional<RowMatrixXd> &reference, double reach, const std::string &kernel) {
        check_inputs(inputs, spec.horizon, robot.nv());
        const ArmInput kind = velocities ? ArmInput::Velocities : ArmInput::Torques;
        nb::gil_scoped_release release;
        return to_tuple(arm_batch(robot, spec, x0, target, kind, inputs.data(), inputs.shape(0), threads,
                                  reference_of(reference, reach), kernel));
      },
      "robot"_a, "spec"_a, "x0"_a, "target"_a, "inputs"_a, "velocities"_a = false, "threads"_a = 1,
      "reference"_a = nb::none(), "reach"_a = 1.0, "kernel"_a = "");
  m.def(
      "quadrotor_batch",
      [](const QuadrotorSpec &spec, const VectorXd &x0, const VectorXd &target, const Inputs &inputs, int threads,
         const std::optional<RowMatrixXd> &reference, double reach, const std::string &kernel) {
        check_inputs(inputs, spec.horizon, 4);
        nb::gil_scoped_release release;
        return to_tuple(quadrotor_batch(spec, x0, target, inputs.data(), inputs.shape(0), threads,
                                        reference_of(reference, reach), kernel));
      },
      "spec"_a, "x0"_a, "target"_a, "inputs"_a, "threads"_a = 1, "reference"_a = nb::none(), "reach"_a = 1.0, "kernel"_a = "");
}

} // namespace sobo
