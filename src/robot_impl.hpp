// What a Robot holds. Included by the units that compute with Pinocchio.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include <pinocchio/geometry.hpp>
#include <pinocchio/multibody.hpp>

#include "bodies.hpp"
#include "robot.hpp"

namespace sobo {

/// Memory that one computation at a time writes to.
struct Scratch {
  Scratch(const pinocchio::Model &model, const Bodies &bodies) : data(model), places(bodies.places()) {}

  pinocchio::Data data;
  Bodies::Places places;
};

/// Several threads may use one: each borrows memory of its own.
struct RobotImpl {
  RobotImpl(std::shared_ptr<const pinocchio::Model> robot_model, std::shared_ptr<const Bodies> robot_bodies,
            pinocchio::FrameIndex tool_frame)
      : model(std::move(robot_model)), bodies(std::move(robot_bodies)), tool(tool_frame) {}

  /// Goes back when the last reference to it goes; must not outlive this object.
  std::shared_ptr<Scratch> borrow() const {
    std::unique_ptr<Scratch> found;
    {
      const std::lock_guard lock(mutex_);
      if (!spare_.empty()) {
        found = std::move(spare_.back());
        spare_.pop_back();
      }
    }
    if (!found)
      found = std::make_unique<Scratch>(*model, *bodies);
    return {found.release(), [this](Scratch *scratch) {
              const std::lock_guard lock(mutex_);
              spare_.emplace_back(scratch);
            }};
  }

  std::shared_ptr<const pinocchio::Model> model;
  std::shared_ptr<const Bodies> bodies;
  pinocchio::FrameIndex tool;

private:
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Scratch>> spare_;
};

} // namespace sobo
