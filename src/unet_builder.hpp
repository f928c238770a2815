// Lays the U-Net out as a list of layers over fixed buffers.
#pragma once

#include "unet.hpp"

#include <tuple>

namespace sobo {

// Samples that run through a layer together, while its weight is in the cache.
constexpr int kBatch = 4;

// Throws PolicyError if these sizes make no network.
void check_sizes(const UNetConfig &config);

class UNetBuilder {
public:
  UNetBuilder(UNet &net, Weights &weights) : net_(net), weights_(weights), config_(net.config_) {}

  // Fills the layers, filters and buffers of the network.
  void build();

private:
  // Rows of channels of every lane, with zero rows before and after them.
  struct View : Layout<float> {
    int rows, columns;
  };
  enum class Use { Input, Raw, Middle, Result, Shortcut, Joined };

  View buffer(int rows, int columns, Use use);
  UNet::Layer &add(const View &in, Filter filter, int first_tap, int stride, const View &out);
  void activate(UNet::Layer &layer, const std::string &norm, int channels, int film, const View *residual,
                const View &out);
  void residual_block(const std::string &name, const View &in, const Columns &channels, int outputs, const View &out);
  void pair(const std::string &name, const View &in, const Columns &channels, int outputs, const View &out);
  View joined(int level) { return buffer(rows(level), 2 * padded(config_.hidden[level]), Use::Joined); }
  View skip(int level);
  View upper(int level);
  void down();
  void up();
  void finish();
  void encoders();
  int rows(int level) const { return config_.horizon >> level; }

  UNet &net_;
  Weights &weights_;
  const UNetConfig &config_;
  std::map<std::tuple<int, int, Use>, View> views_;
  Columns film_; // channel of every column of the modulation
  int film_channels_ = 0;
};

} // namespace sobo
