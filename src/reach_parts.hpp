// What all stages of a reaching problem share, so that it changes in place.
#pragma once

#include <memory>

#include <Eigen/Core>

#include "self_distance.hpp"
#include "spec.hpp"

namespace sobo {

struct ReachParts {
  double dt = 0.0;                                              // s
  double moved = 0.0; // by an acceleration within a step, as a share of dt^2 times it: 1/2, or 1 by semi-implicit Euler
  ReachWeights running, terminal;
  std::shared_ptr<const SelfDistance> self_distance = nullptr;  // built when it first has a weight
  bool joint_goal = false;                                      // whether targets are the state_reference of the joints
};

} // namespace sobo
