// Shapes are documented in sobo_planner/policy/native_rollout.py.
#include "bind_rollout.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <tuple>

#include "errors.hpp"
#include "policy_rollout.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {
namespace {

using StepWeights = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Noise = nb::ndarray<const float, nb::ndim<5>, nb::c_contig, nb::device::cpu>;

void check_noise(const UNetConfig &config, const ChunkExecution &execution, std::size_t steps, const StepWeights &weights,
                 const Noise &noise) {
  const std::size_t chunks = execution.steps < 1 ? 0 : (execution.horizon + execution.steps - 1) / execution.steps;
  if (weights.shape(0) != steps || weights.shape(1) != 3 || noise.shape(0) != chunks || noise.shape(1) != steps ||
      noise.shape(2) == 0 || noise.shape(3) != static_cast<std::size_t>(config.horizon) ||
      noise.shape(4) != static_cast<std::size_t>(config.action_dim))
    throw PolicyError("noise or weights of a rollout have other sizes than " + std::to_string(chunks) + " chunks of " +
                      std::to_string(steps) + " denoising steps");
}

} // namespace

void bind_rollout(nb::module_ &m) {
  nb::class_<ArmObservation>(m, "ArmObservation")
      .def("__init__",
           [](ArmObservation *self, const Vector3d &origin, int first, int last, int horizon, int end, double damping, double far,
              double near, double stretch) {
             new (self) ArmObservation{origin, first, last, horizon, end, damping, far, near, stretch};
           },
           nb::kw_only(), "origin"_a, "first"_a, "last"_a, "horizon"_a, "end"_a, "damping"_a, "far"_a, "near"_a, "stretch"_a);
  nb::class_<PolicyScales>(m, "PolicyScales")
      .def("__init__",
           [](PolicyScales *self, const VectorXd &observation_mean, const VectorXd &observation_scale,
              const VectorXd &action_mean, const VectorXd &action_scale) {
             new (self) PolicyScales{observation_mean, observation_scale, action_mean, action_scale};
           },
           nb::kw_only(), "observation_mean"_a, "observation_scale"_a, "action_mean"_a, "action_scale"_a);
  nb::class_<ChunkExecution>(m, "ChunkExecution")
      .def("__init__",
           [](ChunkExecution *self, int horizon, int steps, double dt, double blend, const VectorXd &torque_limit,
              const VectorXd &velocity_limit, const VectorXd &acceleration_limit, const std::string &integrator) {
             new (self) ChunkExecution{horizon, steps, dt, blend, {torque_limit, velocity_limit, acceleration_limit},
                                       integrator_of(integrator)};
           },
           nb::kw_only(), "horizon"_a, "steps"_a, "dt"_a, "blend"_a, "torque_limit"_a, "velocity_limit"_a,
           "acceleration_limit"_a, "integrator"_a);
  m.def(
      "policy_rollouts",
      [](const Robot &robot, UNet &network, const ArmObservation &observation, const PolicyScales &scales,
         const ChunkExecution &execution, const VectorXd &x0, const Vector3d &target, const std::vector<int> &steps,
         const StepWeights &weights, const Noise &noise, double seconds, const std::shared_ptr<Interrupt> &interrupt) {
        check_noise(network.config(), execution, steps.size(), weights, noise);
        PolicyRollouts found;
        {
          nb::gil_scoped_release release;
          found = policy_rollouts(robot, network, observation, scales, execution, x0, target, steps, weights.data(), noise.data(),
                                  static_cast<int>(noise.shape(2)), seconds, interrupt.get());
        }
        return std::make_tuple(std::move(found.X), std::move(found.U), found.done);
      },
      "robot"_a, "network"_a, "observation"_a, "scales"_a, "execution"_a, "x0"_a, "target"_a, "steps"_a, "weights"_a, "noise"_a,
      "seconds"_a, nb::arg("interrupt").none());
}

} // namespace sobo
