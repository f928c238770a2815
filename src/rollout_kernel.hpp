// Costs of several rollouts at once, one in each lane, on plain arrays. rollout_kernel.cpp is compiled once for each set of
// instructions; find_rollout_kernel chooses at run time. What a rollout costs does not depend on those beside it.
#pragma once

#include <cstddef>

#include "arm_kernel.hpp"

namespace sobo {

/// Diagonal weights of squared errors, see ReachWeights.
struct RolloutWeights {
  const double *position, *state, *state_reference, *control, *control_reference;
};

/// Bounds on some numbers, infinite where there are none, and what an excess is divided by.
struct RolloutBounds {
  int size = 0; // 0: none at all
  const double *lower = nullptr, *upper = nullptr, *scale = nullptr;
};

/// What the rollouts of all systems have.
struct Rollouts {
  int count; // at most as many as there are lanes
  int horizon;
  double dt;
  const double *x0;
  const double *const *inputs; // of each rollout, step by step
  RolloutWeights running, terminal;
  const double *target;    // position
  RolloutBounds control;
  const double *reference; // position after each step, or null
  double reach;
};

struct ArmRollouts : Rollouts {
  ArmModel arm;
  bool motions;       // whether inputs are velocities at the ends of the steps; else torques
  bool semi_implicit; // whether positions follow from the velocity at the end of a step; else from its mean
  bool positions;     // whether the tool's position costs
  /// What the tool's rotation, column by column, costs; null for nothing.
  double (*turn_cost)(const void *context, bool terminal, const double *rotation);
  const void *context;
  RolloutBounds velocity, position, acceleration;
  const double *opened; // share of the bounds on accelerations that is open in each step
};

struct QuadrotorRollouts : Rollouts {
  double mass, gravity, inertia[3], actuation[16]; // see QuadrotorModel; row by row
  double floor, ceiling;
  int columns;
  const double *column; // x, y, radius of each
};

/// Sums over a rollout, see BatchCosts; one entry for each. Not finite where a rollout diverges.
struct RolloutSums {
  double *cost, *excess, *away;
};

struct RolloutKernel {
  const char *name;
  int lanes; // at most most_rollout_lanes
  /// Doubles that `arm` needs as working memory.
  std::size_t (*memory)(int joints);
  void (*arm)(const ArmRollouts &rollouts, const RolloutSums &out, double *memory);
  void (*quadrotor)(const QuadrotorRollouts &rollouts, const RolloutSums &out);
};

constexpr int most_rollout_lanes = 8;

/// The widest that this processor has, or the one of that name, null if there is none.
const RolloutKernel *find_rollout_kernel(const char *name = "");

} // namespace sobo
