// Algorithm 2 of arXiv:2604.19011 for arms: chunk after chunk of the policy through the discrete dynamics.
#pragma once

#include <memory>
#include <vector>

#include "interrupt.hpp"
#include "rollout.hpp"
#include "unet.hpp"

namespace sobo {

/// What ArmEncoding of sobo_planner/tasks/arm/encoding.py observes, and in which units.
struct ArmObservation {
  Vector3d origin;  // of the first joint
  int first, last;  // angles that it holds: first <= i < last
  int horizon;      // of the time left
  int end;          // steps before the end that it resolves finely
  double damping, far, near; // [m], see there
  double stretch;   // how many times slower the arm is than the states that the policy knows
};

/// Scales between physical units and the network's: value = mean + scale * number.
struct PolicyScales {
  VectorXd observation_mean, observation_scale, action_mean, action_scale;
};

/// How chunks are executed.
struct ChunkExecution {
  int horizon, steps; // of the rollout; of each chunk
  double dt, blend;
  Limits limits;
  Integrator integrator;
};

struct PolicyRollouts {
  std::vector<RowMatrixXd> X, U; // one a sample
  int done;                      // steps of the horizon; all of them, unless the time was over or it was interrupted
};

/// Writes the observation at x = [q, v], in physical units, to `out` (obs_dim).
void observe(const Robot &robot, const ArmObservation &how, const VectorXd &x, const Vector3d &target, int t, VectorXd &out);

/// Rolls `samples` chunks out side by side. `noise` is [chunks, S, samples, horizon, action_dim]; the S `steps` and their
/// `weights` are as for UNet::sample. Ends after so many seconds, or when it is interrupted (may be null), between two chunks. Throws PolicyError
/// when a state or a chunk is not finite.
PolicyRollouts policy_rollouts(const Robot &robot, UNet &network, const ArmObservation &observation, const PolicyScales &scales,
                               const ChunkExecution &execution, const VectorXd &x0, const Vector3d &target, const std::vector<int> &steps,
                               const float *weights, const float *noise, int samples, double seconds, const Interrupt *interrupt);

} // namespace sobo
