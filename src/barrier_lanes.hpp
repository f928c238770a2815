// The barrier's terms of all rows, see interior_point.cpp for what they mean.
#pragma once

#include "lanes.hpp"
#include "lq_kernel.hpp"

namespace sobo {
namespace {

inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

inline double largest(Lanes a) {
  double out = a[0];
  for (int l = 1; l < kLanes; ++l)
    out = a[l] > out ? a[l] : out;
  return out;
}

inline double sum(Lanes a) {
  double out = a[0];
  for (int l = 1; l < kLanes; ++l)
    out += a[l];
  return out;
}

void weigh(const Barrier &b) {
  const Barrier::Side &u = b.upper, &l = b.lower;
  for (std::size_t i = 0; i < b.size; i += kLanes) {
    const Lanes us = 1.0 / load(u.slack + i), ls = 1.0 / load(l.slack + i);
    const Lanes um = load(u.multiplier + i), lm = load(l.multiplier + i);
    const Lanes barrier = um * us + lm * ls, elastic = 1.0 / (1.0 + b.mu * barrier);
    store(u.inverse + i, us);
    store(l.inverse + i, ls);
    store(b.elastic + i, elastic);
    store(b.weights + i, barrier * elastic);
    const Lanes soft = load(b.start + i) + load(b.z + i) - b.mu * (um - lm - load(b.before + i));
    store(u.residual + i, load(u.present + i) * (load(u.bound + i) - soft - load(u.slack + i)));
    store(l.residual + i, load(l.present + i) * (soft - load(l.bound + i) - load(l.slack + i)));
  }
}

template <bool corrector> inline Lanes offset(const Barrier::Side &s, std::size_t i, double target) {
  const Lanes inverse = load(s.inverse + i), multiplier = load(s.multiplier + i);
  Lanes out = -multiplier - multiplier * inverse * load(s.residual + i);
  if constexpr (corrector)
    out += (load(s.present + i) * target - load(s.slack_step + i) * load(s.multiplier_step + i)) * inverse;
  store(s.offset + i, out);
  return out;
}

template <bool corrector> void aim_at(const Barrier &b, double target) {
  for (std::size_t i = 0; i < b.size; i += kLanes) {
    const Lanes both = offset<corrector>(b.upper, i, target) - offset<corrector>(b.lower, i, target);
    const Lanes multiplier = load(b.upper.multiplier + i) - load(b.lower.multiplier + i);
    store(b.slope + i, load(b.gradient + i) + multiplier + both * load(b.elastic + i) - load(b.weights + i) * load(b.z + i));
  }
}

void aim(const Barrier &b, double target, bool corrector) { corrector ? aim_at<true>(b, target) : aim_at<false>(b, target); }

/// The same share for values that are not positive any more: as good as all.
inline Lanes share(Lanes step, Lanes value) { return -step / larger(value, splat(2.2250738585072014e-308)); }

struct StepSums {
  Lanes worst, constant, linear, square;
};

inline void step_of(const Barrier::Side &s, std::size_t i, Lanes soft_step, StepSums &sums) {
  const Lanes towards = s.sign * soft_step, multiplier = load(s.multiplier + i), inverse = load(s.inverse + i);
  const Lanes slack = load(s.slack + i), slack_step = load(s.present + i) * (load(s.residual + i) - towards);
  const Lanes multiplier_step = load(s.offset + i) + multiplier * inverse * towards;
  store(s.slack_step + i, slack_step);
  store(s.multiplier_step + i, multiplier_step);
  sums.worst = larger(sums.worst, larger(-slack_step * inverse, share(multiplier_step, multiplier)));
  sums.constant += slack * multiplier; // zero where there is no bound
  sums.linear += slack * multiplier_step + slack_step * multiplier;
  sums.square += slack_step * multiplier_step;
}

BarrierStep step(const Barrier &b) {
  StepSums sums{};
  for (std::size_t i = 0; i < b.size; i += kLanes) {
    const Lanes change = load(b.next + i) - load(b.z + i), offset = load(b.upper.offset + i) - load(b.lower.offset + i);
    const Lanes soft_step = (change - b.mu * offset) * load(b.elastic + i);
    step_of(b.upper, i, soft_step, sums);
    step_of(b.lower, i, soft_step, sums);
  }
  return {largest(sums.worst), sum(sums.constant), sum(sums.linear), sum(sums.square)};
}

/// Its residual before.
inline Lanes advance_side(const Barrier::Side &s, std::size_t i, double length) {
  store(s.slack + i, load(s.slack + i) + length * load(s.slack_step + i));
  store(s.multiplier + i, load(s.multiplier + i) + length * load(s.multiplier_step + i));
  const Lanes residual = load(s.residual + i);
  return larger(residual, -residual);
}

double advance(const Barrier &b, double length) {
  Lanes worst{};
  for (std::size_t i = 0; i < b.size; i += kLanes) {
    const Lanes z = load(b.z + i);
    store(b.z + i, z + length * (load(b.next + i) - z));
    worst = larger(worst, larger(advance_side(b.upper, i, length), advance_side(b.lower, i, length)));
  }
  return largest(worst);
}

} // namespace
} // namespace sobo
