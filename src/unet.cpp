#include "unet.hpp"

#include "errors.hpp"
#include "processor.hpp"
#include "unet_builder.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace sobo {
namespace {

const Kernel *find_kernel(const std::string &name) {
#ifdef SOBO_X86_KERNELS
  const Kernel *found = choose<Kernel>({{Instructions::Avx512, &kAvx512Kernel},
                                        {Instructions::Avx2, &kAvx2Kernel},
                                        {Instructions::Baseline, &kBaselineKernel}},
                                       name.c_str());
#else
  const Kernel *found = choose<Kernel>({{Instructions::Baseline, &kBaselineKernel}}, name.c_str());
#endif
  if (found)
    return found;
  throw PolicyError("this processor or build has no kernel '" + name + "'");
}

float *row(const Layout<float> &rows, std::ptrdiff_t t, int lanes, int lane) {
  return rows.data + (t * lanes + lane) * rows.step;
}

// Sinusoidal code of the integers 0 .. steps - 1, [steps, size].
std::vector<float> sinusoid(int steps, int size) {
  std::vector<float> code(static_cast<std::size_t>(steps) * size);
  const int half = size / 2;
  for (int k = 0; k < steps; ++k)
    for (int i = 0; i < half; ++i) {
      const float phase = static_cast<float>(k * std::exp(-std::log(1e4) * i / (half - 1)));
      code[k * size + i] = std::sin(phase);
      code[k * size + half + i] = std::cos(phase);
    }
  return code;
}

} // namespace

UNet::UNet(const UNetConfig &config, const std::map<std::string, Tensor> &tensors, const std::string &kernel)
    : config_(config), kernel_(find_kernel(kernel)) {
  check_sizes(config);
  Weights weights(tensors);
  UNetBuilder(*this, weights).build();
  encode_steps();
  for (int k = 0; k < config.diffusion_steps; ++k)
    all_steps_.push_back(k);
}

void UNet::linear(const Filter &filter, const float *in, int in_step, int rows, float *out) const {
  const Conv conv{filter.weight.data(), filter.bias.data(), 1, filter.inputs, filter.outputs, {in, in_step},
                  {out, filter.outputs}, rows, false};
  kernel_->conv(conv, 1);
}

void UNet::encode_steps() {
  const int steps = config_.diffusion_steps, cond = padded(config_.cond_dim);
  const std::vector<float> code = sinusoid(steps, config_.step_dim);
  std::vector<float> hidden(static_cast<std::size_t>(steps) * cond);
  step_table_.resize(hidden.size());
  linear(step_encoder_[0], code.data(), config_.step_dim, steps, hidden.data());
  kernel_->mish(hidden.data(), hidden.size());
  linear(step_encoder_[1], hidden.data(), cond, steps, step_table_.data());
}

// Modulation of all layers for some denoising steps.
void UNet::condition(int batch, const float *observation, const std::vector<int> &chosen) {
  const std::size_t size = static_cast<std::size_t>(batch) * config_.obs_dim;
  if (steps_ == chosen && observation_.size() == size && std::equal(observation, observation + size, observation_.begin()))
    return;
  observation_.clear();
  steps_ = chosen;
  const int steps = static_cast<int>(chosen.size()), cond = padded(config_.cond_dim);
  encoded_.resize(static_cast<std::size_t>(batch) * cond);
  conditioning_.resize(encoded_.size() * steps);
  modulation_.resize(static_cast<std::size_t>(batch) * steps * film_.outputs);
  // The first layer's result has a place in `conditioning_`, which is filled afterwards.
  linear(observation_encoder_[0], observation, config_.obs_dim, batch, conditioning_.data());
  kernel_->mish(conditioning_.data(), encoded_.size());
  linear(observation_encoder_[1], conditioning_.data(), cond, batch, encoded_.data());
  float *sum = conditioning_.data();
  for (int b = 0; b < batch; ++b)
    for (const int step : chosen)
      for (int i = 0; i < cond; ++i)
        *sum++ = encoded_[b * cond + i] + step_table_[step * cond + i];
  kernel_->mish(conditioning_.data(), conditioning_.size());
  linear(film_, conditioning_.data(), cond, batch * steps, modulation_.data());
  observation_.assign(observation, observation + size);
}

// Rows of another number of lanes lie elsewhere: what is before and after them is to be zero there, too.
void UNet::lay_out(int lanes) {
  if (std::exchange(lanes_, lanes) == lanes)
    return;
  for (const Buffer &buffer : buffers_)
    buffer.clear();
}

void UNet::run(int lanes, const float *const *film) {
  for (const Layer &layer : layers_) {
    kernel_->conv(layer.conv, lanes);
    if (layer.activated)
      for (int lane = 0; lane < lanes; ++lane)
        kernel_->activate(layer.activation, lanes, lane, layer.film < 0 ? nullptr : film[lane] + layer.film);
  }
}

// `slots`: places of the denoising steps in `steps_`.
void UNet::predict(int batch, const float *sample, const int *slots, float *prediction) {
  const int width = config_.action_dim, horizon = config_.horizon;
  const std::size_t chunk = static_cast<std::size_t>(horizon) * width;
  for (int first = 0; first < batch; first += kBatch) {
    const int lanes = std::min(kBatch, batch - first);
    const float *film[kBatch];
    lay_out(lanes);
    for (int lane = 0; lane < lanes; ++lane) {
      const std::size_t b = first + lane;
      film[lane] = modulation_.data() + (b * steps_.size() + slots[b]) * film_.outputs;
      for (int t = 0; t < horizon; ++t)
        std::copy_n(sample + b * chunk + t * width, width, row(input_, t, lanes, lane));
    }
    run(lanes, film);
    for (int lane = 0; lane < lanes; ++lane)
      for (int t = 0; t < horizon; ++t)
        std::copy_n(row(output_, t, lanes, lane), width,
                    prediction + (first + lane) * chunk + t * width);
  }
}

void UNet::denoise(int batch, const float *sample, const std::int64_t *step, const float *observation,
                   float *prediction) {
  for (int b = 0; b < batch; ++b)
    check(step[b]);
  const std::lock_guard<std::mutex> lock(mutex_);
  condition(batch, observation, all_steps_);
  const std::vector<int> slots(step, step + batch);
  predict(batch, sample, slots.data(), prediction);
}

void UNet::check(std::int64_t step) const {
  const int steps = config_.diffusion_steps;
  if (step < 0 || step >= steps)
    throw PolicyError("denoising step " + std::to_string(step) + " is not in 0 .. " + std::to_string(steps - 1));
}

void UNet::sample(int batch, int known, const std::vector<int> &steps, const float *weights, const float *observation,
                  const float *history, const float *noise, float *chunk) {
  for (const int step : steps)
    check(step);
  const std::lock_guard<std::mutex> lock(mutex_);
  condition(batch, observation, steps);
  const int width = config_.action_dim;
  const std::size_t each = static_cast<std::size_t>(config_.horizon) * width, size = batch * each;
  prediction_.resize(size);
  const auto inpaint = [&] {
    for (int b = 0; b < batch; ++b)
      std::copy_n(history + static_cast<std::size_t>(b) * known * width, known * width, chunk + b * each);
  };
  std::vector<int> slots(batch);
  std::copy_n(noise, size, chunk);
  for (int k = static_cast<int>(steps.size()) - 1; k >= 0; --k) {
    inpaint();
    std::fill(slots.begin(), slots.end(), k);
    predict(batch, chunk, slots.data(), prediction_.data());
    noise += size;
    const float *w = weights + 3 * k;
    for (std::size_t i = 0; i < size; ++i)
      chunk[i] = w[0] * prediction_[i] + w[1] * chunk[i] + (k ? w[2] * noise[i] : 0.0f); // the last step adds none
  }
  inpaint();
}

} // namespace sobo
