// Inverse dynamics at several points at once.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "arm_model.hpp"
#include "robot.hpp"

namespace sobo {

struct Scratch;

/// Torques, damping included; those of as many points as the processor's vectors hold take hardly longer than those of one
/// (arm_kernel.hpp). Arms with joints that the kernel does not know are computed by Pinocchio, point by point.
class Torques {
public:
  /// The robot must outlive this.
  explicit Torques(const RobotImpl &robot);

  /// Points that are computed at once.
  int lanes() const;

  /// Writes torques [count, n] at states [count, 2 n] and accelerations [count, n].
  void find(const double *x, const double *a, Eigen::Index count, double *torques) const;

private:
  const RobotImpl &robot_;
  std::optional<ArmTree> tree_;
  std::shared_ptr<Scratch> scratch_; // where there is no tree
  mutable std::vector<double> memory_;
};

} // namespace sobo
