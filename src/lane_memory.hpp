// Working memory of kernels, in lanes.
#pragma once

#include <cstddef>

#include "lanes.hpp"

namespace sobo {
namespace {

/// Hands out parts of the caller's memory.
class Memory {
public:
  explicit Memory(double *at) {
    const auto address = reinterpret_cast<std::size_t>(at), unit = sizeof(Lanes);
    at_ = reinterpret_cast<char *>((address + unit - 1) / unit * unit);
  }
  template <typename T> T *take(std::size_t count) {
    T *out = reinterpret_cast<T *>(at_);
    at_ += count * sizeof(T);
    return out;
  }

private:
  char *at_;
};

} // namespace
} // namespace sobo
