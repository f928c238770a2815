// The policy network without a framework: the conditional U-Net of training/unet.py, in float32 on one thread.
#pragma once

#include "unet_weights.hpp"

#include <mutex>

namespace sobo {

// As UNetConfig in training/unet.py.
struct UNetConfig {
  int action_dim, obs_dim, horizon;
  std::vector<int> hidden;
  int kernel, groups, cond_dim, step_dim, diffusion_steps;
};

class UNet {
public:
  // `kernel` is "avx512", "avx2", "baseline", or empty for the best that the processor has. Throws PolicyError if the sizes make
  // no network, a tensor does not fit them, or there is no such kernel here.
  UNet(const UNetConfig &config, const std::map<std::string, Tensor> &tensors, const std::string &kernel);

  // Predicts clean chunks: sample and prediction [batch, horizon, action_dim], step [batch], observation
  // [batch, obs_dim]. What depends on the observations alone is kept until they change, so it is computed once a chunk.
  // Calls from several threads wait for each other. Throws PolicyError for a step out of range.
  void denoise(int batch, const float *sample, const std::int64_t *step, const float *observation, float *prediction);

  // Draws clean chunks, as Sampler in sobo_planner/policy/sampler.py: of the denoising steps that are taken, least noisy first
  // in `steps` [S], each gives weights[s] . (prediction, chunk, fresh noise), the noisiest first. weights [S, 3], history
  // [batch, known, action_dim], noise [S, batch, horizon, action_dim]. Throws PolicyError for a step out of range.
  void sample(int batch, int known, const std::vector<int> &steps, const float *weights, const float *observation, const float *history,
              const float *noise, float *chunk);

  const UNetConfig &config() const { return config_; }
  const char *kernel() const { return kernel_->name; }

private:
  friend class UNetBuilder;

  // A convolution, and unless `activated` is false what follows it. `film`: first column of its modulation, or -1.
  struct Layer {
    Conv conv;
    bool activated;
    Activation activation;
    int film;
  };

  void lay_out(int lanes);
  void run(int lanes, const float *const *film);
  void linear(const Filter &filter, const float *in, int in_step, int rows, float *out) const;
  void encode_steps();
  void condition(int batch, const float *observation, const std::vector<int> &steps);
  void predict(int batch, const float *sample, const int *slots, float *prediction);
  void check(std::int64_t step) const;

  UNetConfig config_;
  const Kernel *kernel_;
  std::vector<Layer> layers_; // in order; they point into the four vectors below
  std::vector<Filter> filters_;
  std::vector<Norm> norms_;
  std::vector<Buffer> buffers_;
  Buffer work_;
  int lanes_ = 0; // that the buffers are laid out for
  Layout<float> input_, output_; // of horizon rows

  Filter observation_encoder_[2], step_encoder_[2], film_;
  std::vector<float> step_table_;            // [diffusion_steps, cond]
  std::vector<float> observation_;           // what `modulation_` was computed for, and for which steps
  std::vector<int> steps_, all_steps_;
  std::vector<float> encoded_, conditioning_; // [batch, cond], [batch, steps_, cond]
  std::vector<float> modulation_;            // [batch, steps_, film_.outputs]
  std::vector<float> prediction_;            // of `sample`, [batch, horizon, action_dim]
  std::mutex mutex_;
};

} // namespace sobo
