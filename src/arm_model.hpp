// Arms as the kernel knows them.
#pragma once

#include <optional>
#include <vector>

#include <pinocchio/multibody/model.hpp>

#include "arm_kernel.hpp"

namespace sobo {

/// A tree of revolute and prismatic joints.
class ArmTree {
public:
  /// None where the model has other joints.
  static std::optional<ArmTree> of(const pinocchio::Model &model, pinocchio::FrameIndex tool);

  ArmModel model() const;

private:
  std::vector<ArmJoint> joints_;
  ArmModel model_{};
};

} // namespace sobo
