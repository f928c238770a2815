// Python binding of the policy network. Shapes are documented in sobo_planner/policy/engines/native.py.
#include "bind_unet.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>

#include "errors.hpp"
#include "unet.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {
namespace {

using Array = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Steps = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename A> TensorShape shape_of(const A &array) {
  return TensorShape(array.shape_ptr(), array.shape_ptr() + array.ndim());
}

void check_shape(const char *name, const TensorShape &found, const TensorShape &expected) {
  if (found != expected)
    throw PolicyError(std::string(name) + " has shape " + text(found) + ", the network expects " + text(expected));
}

using Result = nb::ndarray<nb::numpy, float>;

Result chunks(const UNetConfig &config, std::size_t batch) {
  const std::size_t rows = config.horizon, width = config.action_dim;
  std::unique_ptr<float[]> data(new float[batch * rows * width]);
  nb::capsule owner(data.get(), [](void *p) noexcept { delete[] static_cast<float *>(p); });
  return Result(data.release(), {batch, rows, width}, owner); // its owner deletes it
}

Result denoise(UNet &net, const Array &sample, const Steps &step, const Array &observation) {
  const UNetConfig &config = net.config();
  const std::int64_t batch = sample.ndim() ? static_cast<std::int64_t>(sample.shape(0)) : 0;
  check_shape("sample", shape_of(sample), {batch, config.horizon, config.action_dim});
  check_shape("step", shape_of(step), {batch});
  check_shape("observation", shape_of(observation), {batch, config.obs_dim});
  Result prediction = chunks(config, batch);
  {
    nb::gil_scoped_release release;
    net.denoise(static_cast<int>(batch), sample.data(), step.data(), observation.data(), prediction.data());
  }
  return prediction;
}

Result sample(UNet &net, const Array &weights, const Array &observation, const Array &history, const Array &noise,
              std::vector<int> steps) {
  const UNetConfig &config = net.config();
  const std::int64_t batch = observation.ndim() ? static_cast<std::int64_t>(observation.shape(0)) : 0;
  const std::int64_t known = history.ndim() > 1 ? static_cast<std::int64_t>(history.shape(1)) : 0;
  if (steps.empty()) // all
    for (int k = 0; k < config.diffusion_steps; ++k)
      steps.push_back(k);
  const auto taken = static_cast<std::int64_t>(steps.size());
  check_shape("weights", shape_of(weights), {taken, 3});
  check_shape("observation", shape_of(observation), {batch, config.obs_dim});
  check_shape("history", shape_of(history), {batch, std::min<std::int64_t>(known, config.horizon), config.action_dim});
  check_shape("noise", shape_of(noise), {taken, batch, config.horizon, config.action_dim});
  Result chunk = chunks(config, batch);
  {
    nb::gil_scoped_release release;
    net.sample(static_cast<int>(batch), static_cast<int>(known), steps, weights.data(), observation.data(), history.data(),
               noise.data(), chunk.data());
  }
  return chunk;
}

void construct(UNet *self, const std::map<std::string, Array> &arrays, int action_dim, int obs_dim, int horizon,
               const std::vector<int> &hidden, int kernel, int groups, int cond_dim, int step_dim, int diffusion_steps,
               const std::string &processor) {
  std::map<std::string, Tensor> tensors;
  for (const auto &[name, array] : arrays)
    tensors[name] = Tensor{shape_of(array), array.data()};
  const UNetConfig config{action_dim, obs_dim, horizon, hidden, kernel, groups, cond_dim, step_dim, diffusion_steps};
  new (self) UNet(config, tensors, processor);
}

} // namespace

void bind_unet(nb::module_ &m) {
  nb::class_<UNet>(m, "UNet")
      .def("__init__", &construct, "tensors"_a, nb::kw_only(), "action_dim"_a, "obs_dim"_a, "horizon"_a, "hidden"_a,
           "kernel"_a, "groups"_a, "cond_dim"_a, "step_dim"_a, "diffusion_steps"_a, "processor"_a = "")
      .def_prop_ro("processor", &UNet::kernel)
      .def("denoise", &denoise, "sample"_a, "step"_a, "observation"_a)
      .def("sample", &sample, "weights"_a, "observation"_a, "history"_a, "noise"_a,
           "steps"_a = std::vector<int>());
}

} // namespace sobo
