// A way from one configuration to another that touches nothing, wherever it may lead.
#pragma once

#include <cstdint>
#include <optional>

#include "interrupt.hpp"
#include "robot.hpp"

namespace sobo {

struct GlobalPathOptions {
  std::uint64_t seed = 0;
  double range = 1.0;       // longest line that joins a tree [rad, in the norm of all joints]
  int max_samples = 20000;  // before it is given up
  int shortcuts = 100;      // tries to make the way shorter
  double beyond = 0.0;      // distance that is kept from objects beyond the one that has to be [m]
  double time_limit = 0.0;  // s; none if 0
  std::shared_ptr<Interrupt> interrupt; // ends the search, if there is one and it is set
};

/// A way from `start` to one of the rows of `goals` by straight lines in joint space, within `lower` and `upper`: RRT-Connect
/// (Kuffner, LaValle 2000) from both ends, then shortcuts between random places. The same for the same seed, unless time runs
/// out. None if it was not found.
std::optional<RowMatrixXd> global_path(const RobotImpl &robot, const VectorXd &start, const RowMatrixXd &goals,
                                       const VectorXd &lower, const VectorXd &upper, const GlobalPathOptions &options);

} // namespace sobo
