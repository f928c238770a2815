#include "unet_builder.hpp"

#include "errors.hpp"

#include <algorithm>

namespace sobo {

void check_sizes(const UNetConfig &c) {
  constexpr int most = 1 << 16; // keeps all products of sizes in range
  const std::pair<const char *, int> sizes[] = {
      {"action_dim", c.action_dim}, {"obs_dim", c.obs_dim},   {"horizon", c.horizon},
      {"kernel", c.kernel},         {"groups", c.groups},     {"cond_dim", c.cond_dim},
      {"step_dim", c.step_dim},     {"diffusion_steps", c.diffusion_steps}};
  for (const auto &[name, value] : sizes)
    if (value < 1 || value > most)
      throw PolicyError(std::string("network: ") + name + " is " + std::to_string(value) + ", not in 1 .. 65536");
  for (const int width : c.hidden)
    if (width < 1 || width > most || width % c.groups)
      throw PolicyError("network: hidden size " + std::to_string(width) + " is no multiple of groups=" +
                        std::to_string(c.groups));
  if (c.hidden.size() < 2 || c.hidden.size() > 16 || c.horizon % (1 << (c.hidden.size() - 1)))
    throw PolicyError("network: horizon=" + std::to_string(c.horizon) + " cannot be halved between " +
                      std::to_string(c.hidden.size()) + " levels (two or more)");
  if (c.kernel % 2 == 0 || c.step_dim % 2)
    throw PolicyError("network: kernel must be odd and step_dim even");
}

void UNetBuilder::build() {
  down();
  up();
  finish();
  encoders();
  weights_.check_all_taken();
}

// Buffers of one use and shape are shared: between two layers at most one of them is in use.
UNetBuilder::View UNetBuilder::buffer(int rows, int columns, Use use) {
  const auto key = std::make_tuple(rows, columns, use);
  const auto found = views_.find(key);
  if (found != views_.end())
    return found->second;
  const std::size_t halo = static_cast<std::size_t>(std::max(1, config_.kernel / 2)) * columns;
  const std::size_t size = static_cast<std::size_t>(rows) * columns + 2 * halo;
  net_.buffers_.emplace_back(size * kBatch);
  return views_[key] = View{{net_.buffers_.back().data() + halo * kBatch, columns}, rows, columns};
}

UNet::Layer &UNetBuilder::add(const View &in, Filter filter, int first_tap, int stride, const View &out) {
  Conv conv;
  conv.weight = filter.weight.data();
  conv.bias = filter.bias.data();
  conv.taps = filter.taps;
  conv.inputs = filter.inputs;
  conv.outputs = filter.outputs;
  conv.in = {in.data, in.step, first_tap, stride};
  conv.out = out;
  conv.rows = out.rows;
  conv.same = stride == 1 && out.stride == 1 && 2 * first_tap == 1 - filter.taps;
  net_.filters_.push_back(std::move(filter));
  net_.layers_.push_back(UNet::Layer{conv, false, Activation{}, -1});
  return net_.layers_.back();
}

void UNetBuilder::activate(UNet::Layer &layer, const std::string &name, int channels, int film, const View *residual,
                           const View &out) {
  Norm norm = weights_.norm(name, channels);
  Activation &a = layer.activation;
  a.gain = norm.gain.data();
  a.offset = norm.offset.data();
  a.channels = channels;
  a.columns = padded(channels);
  a.groups = config_.groups;
  a.rows = out.rows;
  a.in = {layer.conv.out.data, layer.conv.out.step};
  a.residual = {nullptr, 0};
  if (residual)
    a.residual = {residual->data, residual->step};
  a.out = out;
  layer.activated = true;
  layer.film = film;
  net_.norms_.push_back(std::move(norm));
}

void UNetBuilder::residual_block(const std::string &name, const View &in, const Columns &channels, int outputs,
                                 const View &out) {
  const int width = padded(outputs), before = config_.kernel / 2;
  const View raw = buffer(in.rows, width, Use::Raw), middle = buffer(in.rows, width, Use::Middle);
  const int film = static_cast<int>(film_.size());
  for (const int c : columns(outputs, 2))
    film_.push_back(c < 0 ? -1 : film_channels_ + c);
  film_channels_ += 2 * outputs;

  auto &first = add(in, weights_.conv(name + ".first.conv", channels, outputs, config_.kernel, false), -before, 1, raw);
  activate(first, name + ".first.norm", outputs, film, nullptr, middle);
  View residual = in;
  if (channels != columns(outputs)) {
    // As many channels, but in two padded parts, are what a joined buffer may hold.
    const bool learned = channel_count(channels) != outputs;
    residual = buffer(in.rows, width, Use::Shortcut);
    Filter shortcut = learned ? weights_.conv(name + ".shortcut", channels, outputs, 1, true)
                              : identity(channels, columns(outputs));
    add(in, std::move(shortcut), 0, 1, residual);
  }
  auto &second = add(middle, weights_.conv(name + ".second.conv", columns(outputs), outputs, config_.kernel, false),
                     -before, 1, raw);
  activate(second, name + ".second.norm", outputs, -1, &residual, out);
}

void UNetBuilder::pair(const std::string &name, const View &in, const Columns &channels, int outputs, const View &out) {
  const View between = buffer(in.rows, padded(outputs), Use::Result);
  residual_block(name + ".0", in, channels, outputs, between);
  residual_block(name + ".1", between, columns(outputs), outputs, out);
}

// Right half of a level's joined buffer: the skip connection from its down blocks to its up blocks.
UNetBuilder::View UNetBuilder::skip(int level) {
  View view = joined(level);
  view.columns /= 2;
  view.data += view.columns;
  return view;
}

// Left half: the result of the level below. The finest level has no skip connection.
UNetBuilder::View UNetBuilder::upper(int level) {
  if (level == 0)
    return buffer(rows(0), padded(config_.hidden[0]), Use::Result);
  View view = joined(level);
  view.columns /= 2;
  return view;
}

void UNetBuilder::down() {
  const int levels = static_cast<int>(config_.hidden.size());
  View x = buffer(config_.horizon, config_.action_dim, Use::Input);
  net_.input_ = x;
  Columns channels(config_.action_dim);
  for (int c = 0; c < config_.action_dim; ++c)
    channels[c] = c;
  for (int level = 0; level < levels; ++level) {
    const int width = config_.hidden[level];
    const View out = level ? skip(level) : upper(0);
    pair("down_blocks." + std::to_string(level), x, channels, width, out);
    channels = columns(width);
    x = out;
    if (level + 1 == levels)
      break;
    x = buffer(rows(level + 1), padded(width), Use::Result);
    add(out, weights_.conv("down_samplers." + std::to_string(level), channels, width, 3, false), -1, 2, x);
  }
  pair("middle_blocks", x, channels, config_.hidden.back(), upper(levels - 1));
}

void UNetBuilder::up() {
  const int levels = static_cast<int>(config_.hidden.size());
  for (int i = 0; i + 1 < levels; ++i) {
    const int level = levels - 1 - i, width = config_.hidden[level - 1];
    const View x = buffer(rows(level), padded(width), Use::Result);
    pair("up_blocks." + std::to_string(i), joined(level), columns(config_.hidden[level], 2), width, x);
    const std::string name = "up_samplers." + std::to_string(i);
    // Every other row each: 2t sees rows t - 1 and t, 2t + 1 sees t and t + 1.
    View out = upper(level - 1);
    out.rows /= 2;
    out.stride = 2;
    add(x, weights_.transposed_conv(name, width, {3, 1}), -1, 1, out);
    out.first = 1;
    add(x, weights_.transposed_conv(name, width, {2, 0}), 0, 1, out);
  }
}

void UNetBuilder::finish() {
  const int width = config_.hidden[0], columns_out = padded(config_.action_dim);
  const View x = upper(0), raw = buffer(config_.horizon, padded(width), Use::Raw);
  const View middle = buffer(config_.horizon, padded(width), Use::Middle);
  auto &block = add(x, weights_.conv("final_block.conv", columns(width), width, config_.kernel, false),
                    -(config_.kernel / 2), 1, raw);
  activate(block, "final_block.norm", width, -1, nullptr, middle);
  const View out = buffer(config_.horizon, columns_out, Use::Shortcut);
  add(middle, weights_.conv("final_conv", columns(width), config_.action_dim, 1, true), 0, 1, out);
  net_.output_ = out;
  // One work space for all activations, the widest included.
  const int widest = *std::max_element(config_.hidden.begin(), config_.hidden.end());
  net_.work_ = Buffer(2 * static_cast<std::size_t>(padded(widest)));
  for (auto &layer : net_.layers_)
    layer.activation.work = net_.work_.data();
}

void UNetBuilder::encoders() {
  const int dim = config_.cond_dim;
  const Columns wide = columns(dim);
  net_.observation_encoder_[0] = weights_.linear("observation_encoder.0", config_.obs_dim, wide);
  net_.observation_encoder_[1] = weights_.linear("observation_encoder.1", dim, wide);
  net_.step_encoder_[0] = weights_.linear("step_encoder.0", config_.step_dim, wide);
  net_.step_encoder_[1] = weights_.linear("step_encoder.2", dim, wide);
  net_.film_ = weights_.linear("film", dim, film_);
  // h (1 + scale) + shift: the one goes into the bias of the scales, which come before the shifts of a block.
  for (const auto &layer : net_.layers_)
    for (int c = 0; layer.film >= 0 && c < layer.activation.channels; ++c)
      net_.film_.bias.data()[layer.film + c] += 1.0f;
}

} // namespace sobo
