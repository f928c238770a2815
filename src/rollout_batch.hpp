// What batches of rollouts of all systems share: numbers as the kernel takes them, and threads.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "batch_rollout.hpp"
#include "rollout_kernel.hpp"

namespace sobo {

/// Bounds as the kernel takes them.
class Bounds {
public:
  /// Without a box there are none.
  explicit Bounds(const std::optional<Box> &box);
  RolloutBounds view() const;

private:
  VectorXd lower_, upper_, scale_;
};

/// Refers to the weights.
RolloutWeights view(const ReachWeights &weights);

/// The kernel of this name. Throws SolverError where this processor or build has none.
const RolloutKernel &rollout_kernel(const std::string &name);

/// Costs of some rollouts, at most as many as the kernel has lanes.
using RunRollouts = std::function<void(const double *const *inputs, int count, const RolloutSums &out, double *memory)>;

/// Runs `count` rollouts with inputs of `size` numbers each, on some threads; each thread has `memory` doubles.
BatchCosts run_batch(const RolloutKernel &kernel, const double *inputs, Eigen::Index count, Eigen::Index size, int threads,
                     std::size_t memory, const RunRollouts &run);

} // namespace sobo
