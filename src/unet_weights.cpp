#include "unet_weights.hpp"

#include "errors.hpp"

#include <algorithm>

namespace sobo {
namespace {

// Packs value(tap, input channel, output channel) by panels; padding is zero.
template <typename Value> Filter pack(int taps, const Columns &in, const Columns &out, Value value) {
  Filter filter;
  filter.taps = taps;
  filter.inputs = static_cast<int>(in.size());
  filter.outputs = static_cast<int>(out.size());
  filter.weight = Buffer(static_cast<std::size_t>(taps) * in.size() * out.size());
  filter.bias = Buffer(out.size());
  float *to = filter.weight.data();
  for (int first = 0; first < filter.outputs;) {
    const int width = panel_columns(filter.outputs - first);
    for (int k = 0; k < taps; ++k)
      for (const int i : in)
        for (int c = first; c < first + width; ++c, ++to)
          if (i >= 0 && out[c] >= 0)
            *to = value(k, i, out[c]);
    first += width;
  }
  return filter;
}

void spread(const float *values, const Columns &out, const Buffer &to) {
  for (std::size_t c = 0; c < out.size(); ++c)
    if (out[c] >= 0)
      to.data()[c] = values[out[c]];
}

} // namespace

std::string text(const TensorShape &shape) {
  std::string out = "[";
  for (std::size_t i = 0; i < shape.size(); ++i)
    out += (i ? ", " : "") + std::to_string(shape[i]);
  return out + "]";
}

Buffer::Buffer(std::size_t size) {
  size = std::max<std::size_t>(size, 1);
  data_.reset(static_cast<float *>(::operator new(size * sizeof(float), std::align_val_t(64))));
  size_ = size;
  clear();
}

void Buffer::clear() const { std::fill_n(data_.get(), size_, 0.0f); }

Columns columns(int channels, int parts) {
  Columns out;
  for (int part = 0; part < parts; ++part)
    for (int c = 0; c < padded(channels); ++c)
      out.push_back(c < channels ? part * channels + c : -1);
  return out;
}

Filter identity(const Columns &in, const Columns &out) {
  return pack(1, in, out, [](std::size_t, std::size_t i, std::size_t o) { return i == o ? 1.0f : 0.0f; });
}

int channel_count(const Columns &columns) { return 1 + *std::max_element(columns.begin(), columns.end()); }

const float *Weights::take(const std::string &name, const TensorShape &shape) {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw PolicyError("tensor " + name + " is missing");
  if (found->second.shape != shape)
    throw PolicyError("tensor " + name + " has shape " + text(found->second.shape) + ", expected " + text(shape));
  taken_.insert(name);
  return found->second.data;
}

Filter Weights::conv(const std::string &name, const Columns &in, int outputs, int kernel, bool bias) {
  const int inputs = channel_count(in);
  const float *w = take(name + ".weight", {outputs, inputs, kernel});
  const Columns out = columns(outputs);
  Filter filter = pack(kernel, in, out,
                       [=](std::size_t k, std::size_t i, std::size_t o) { return w[(o * inputs + i) * kernel + k]; });
  if (bias)
    spread(take(name + ".bias", {outputs}), out, filter.bias);
  return filter;
}

Filter Weights::transposed_conv(const std::string &name, int width, const std::vector<int> &taps) {
  constexpr int kernel = 4;
  const float *w = take(name + ".weight", {width, width, kernel});
  const Columns both = columns(width);
  return pack(static_cast<int>(taps.size()), both, both,
              [&](std::size_t k, std::size_t i, std::size_t o) { return w[(i * width + o) * kernel + taps[k]]; });
}

Filter Weights::linear(const std::string &name, int inputs, const Columns &out) {
  const int outputs = channel_count(out);
  const float *w = take(name + ".weight", {outputs, inputs});
  // The input has no padding: its rows may be read where they lie.
  Columns in(inputs);
  for (int i = 0; i < inputs; ++i)
    in[i] = i;
  Filter filter = pack(1, in, out, [=](std::size_t, std::size_t i, std::size_t o) { return w[o * inputs + i]; });
  spread(take(name + ".bias", {outputs}), out, filter.bias);
  return filter;
}

Norm Weights::norm(const std::string &name, int channels) {
  const Columns out = columns(channels);
  Norm norm{Buffer(out.size()), Buffer(out.size()), channels};
  spread(take(name + ".weight", {channels}), out, norm.gain);
  spread(take(name + ".bias", {channels}), out, norm.offset);
  return norm;
}

void Weights::check_all_taken() const {
  for (const auto &[name, tensor] : tensors_)
    if (!taken_.count(name))
      throw PolicyError("tensor " + name + " is not part of the network");
}

} // namespace sobo
