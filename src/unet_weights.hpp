// Weights of the policy network: found by name, checked, and packed for the kernel.
#pragma once

#include "unet_kernel.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <string>
#include <vector>

namespace sobo {

using TensorShape = std::vector<std::int64_t>;

std::string text(const TensorShape &shape);

struct Tensor {
  TensorShape shape;
  const float *data;
};

// Zeroed floats that start at a cache line.
class Buffer {
public:
  Buffer() = default;
  explicit Buffer(std::size_t size);
  float *data() const { return data_.get(); }
  void clear() const;

private:
  struct Free {
    void operator()(float *p) const { ::operator delete(p, std::align_val_t(64)); }
  };
  std::unique_ptr<float, Free> data_;
  std::size_t size_ = 0;
};

// Weight and bias of a convolution or a linear layer, as `Conv` reads them.
struct Filter {
  Buffer weight, bias;
  int taps, inputs, outputs;
};

// Gain and bias of a group normalisation.
struct Norm {
  Buffer gain, offset;
  int channels;
};

// Where the channels of a layer lie among its padded columns: channel of each column, -1 in the padding.
using Columns = std::vector<int>;

// `parts` blocks of channels, each padded on its own.
Columns columns(int channels, int parts = 1);

int channel_count(const Columns &columns);

// Moves channels from one layout to another.
Filter identity(const Columns &in, const Columns &out);

// Finds tensors by name.
class Weights {
public:
  explicit Weights(const std::map<std::string, Tensor> &tensors) : tensors_(tensors) {}

  // Throws PolicyError if the tensor is missing or has another shape.
  const float *take(const std::string &name, const TensorShape &shape);

  Filter conv(const std::string &name, const Columns &in, int outputs, int kernel, bool bias);
  // The part of a transposed convolution (kernel 4, as many channels out as in) that uses these of its taps.
  Filter transposed_conv(const std::string &name, int width, const std::vector<int> &taps);
  Filter linear(const std::string &name, int inputs, const Columns &out);
  Norm norm(const std::string &name, int channels);

  // Throws PolicyError if a tensor was never asked for.
  void check_all_taken() const;

private:
  const std::map<std::string, Tensor> &tensors_;
  std::set<std::string> taken_;
};

} // namespace sobo
