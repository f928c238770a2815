// What the rollouts of all systems add up, one rollout in each lane.
#pragma once

#include "rollout_kernel.hpp"
#include "spatial_lanes.hpp"

namespace sobo {
namespace {

inline Lanes square(Lanes x) { return x * x; }
inline Lanes larger(Lanes a, Lanes b) { return a > b ? a : b; }

inline Lanes square_root(Lanes x) {
  Lanes out;
  for (int l = 0; l < kLanes; ++l)
    out[l] = __builtin_sqrt(x[l]);
  return out;
}

/// The inputs of a step; the last rollout fills what is left.
inline void read_inputs(const Rollouts &rollouts, int t, int size, Lanes *out) {
  for (int l = 0; l < kLanes; ++l) {
    const double *from = rollouts.inputs[l < rollouts.count ? l : rollouts.count - 1] + t * size;
    for (int i = 0; i < size; ++i)
      out[i][l] = from[i];
  }
}

inline Lanes weighted_square(int size, const double *weights, const double *reference, const Lanes *x) {
  Lanes sum{};
  for (int i = 0; i < size; ++i)
    sum += weights[i] * square(x[i] - reference[i]);
  return sum;
}

inline Lanes squared_distance(const Vec3 &a, const double *b) {
  return square(a.x - b[0]) + (square(a.y - b[1]) + square(a.z - b[2]));
}

inline Lanes position_cost(const double *weights, const double *target, const Vec3 &at) {
  return weights[0] * square(at.x - target[0]) +
         (weights[1] * square(at.y - target[1]) + weights[2] * square(at.z - target[2]));
}

/// Squared excess over a share of the bounds.
inline Lanes excess(const RolloutBounds &bounds, const Lanes *x, double share = 1.0) {
  Lanes sum{};
  for (int i = 0; i < bounds.size; ++i) {
    const Lanes over = larger(x[i] - share * bounds.upper[i], share * bounds.lower[i] - x[i]) / bounds.scale[i];
    sum += over <= 0.0 ? Lanes{} : square(over); // what is no number stays that
  }
  return sum;
}

/// How far a position is from the reference after step t, as a square of which 1 is the most.
inline Lanes away(const Rollouts &rollouts, int t, const Vec3 &at) {
  const Lanes out = squared_distance(at, rollouts.reference + 3 * t) / (rollouts.reach * rollouts.reach);
  return out > 1.0 ? splat(1.0) : out;
}

inline void write_sums(const Rollouts &rollouts, Lanes cost, Lanes excess, Lanes away, const RolloutSums &out) {
  const auto write = [&](Lanes sum, double *to) {
    double each[kLanes];
    store(each, sum);
    for (int l = 0; l < rollouts.count; ++l)
      to[l] = each[l];
  };
  write(cost, out.cost);
  write(excess, out.excess);
  write(away / splat(rollouts.horizon), out.away);
}

} // namespace
} // namespace sobo
