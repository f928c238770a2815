// What a Robot holds. Included by the units that compute with Pinocchio.
#pragma once

#include <memory>

#include <pinocchio/geometry.hpp>
#include <pinocchio/multibody.hpp>

#include "robot.hpp"

namespace sobo {

struct RobotImpl {
  RobotImpl(std::shared_ptr<const pinocchio::Model> robot_model,
            std::shared_ptr<const pinocchio::GeometryModel> robot_geometry, pinocchio::FrameIndex tool_frame)
      : model(std::move(robot_model)), geometry(std::move(robot_geometry)), tool(tool_frame), data(*model),
        geometry_data(*geometry) {}

  std::shared_ptr<const pinocchio::Model> model;
  std::shared_ptr<const pinocchio::GeometryModel> geometry;
  pinocchio::FrameIndex tool;
  // Scratch memory: a Robot is used by one thread at a time (Python calls hold the interpreter lock).
  mutable pinocchio::Data data;
  mutable pinocchio::GeometryData geometry_data;
};

} // namespace sobo
