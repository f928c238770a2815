// See rollout_kernel.hpp. Compiled once for each set of instructions, which SOBO_KERNEL names; everything but the table at the
// end has internal linkage, see lanes.hpp.
#include "arm_rollout_lanes.hpp"
#include "quadrotor_rollout_lanes.hpp"

namespace sobo {
namespace {

std::size_t memory(int joints) { return ArmRollout::memory(joints); }

void arm(const ArmRollouts &rollouts, const RolloutSums &out, double *memory) {
  ArmRollout(rollouts, Memory(memory)).run(out);
}

void quadrotor(const QuadrotorRollouts &rollouts, const RolloutSums &out) { QuadrotorRollout(rollouts).run(out); }

} // namespace

#define SOBO_TEXT(x) #x
#define SOBO_NAME(x) SOBO_TEXT(x)
#define SOBO_JOIN(a, b) a##b
#define SOBO_TABLE(name) SOBO_JOIN(rollout_kernel_, name)
extern const RolloutKernel SOBO_TABLE(SOBO_KERNEL);
const RolloutKernel SOBO_TABLE(SOBO_KERNEL) = {SOBO_NAME(SOBO_KERNEL), kLanes, memory, arm, quadrotor};

} // namespace sobo
