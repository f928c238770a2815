// What bodies touch along a motion.
#pragma once

#include <optional>
#include <string>

#include "robot.hpp"

namespace sobo {

/// The first contact along cubic splines through positions Q (N x nq) and velocities V (N x nv) at times (N) [s].
///
/// It is certain that there is none before: intervals are halved until no body can have moved far enough to touch another
/// one, or until it could come no nearer than `contact_tolerance`, which counts as a contact. With `leaving`, pairs that
/// touch at the beginning may do so on the way out: from then on each comes no nearer than it has been at most, less
/// `leaving_tolerance`, and once it is free it has to stay so.
std::optional<Contact> first_contact(const RobotImpl &robot, const VectorXd &times, const RowMatrixXd &Q,
                                     const RowMatrixXd &V, bool leaving);

constexpr double contact_tolerance = 1e-4; // m
// By which a pair that touched at the beginning may come nearer again [m].
constexpr double leaving_tolerance = 3e-4;

/// Whether straight lines in joint space are free, for one computation at a time.
class FreeLines {
public:
  /// Objects are kept from by `beyond` [m] more than they have to be.
  FreeLines(const RobotImpl &robot, double beyond);
  ~FreeLines();

  bool free(const VectorXd &q);
  /// It is certain that nothing is touched between, as in `first_contact`. Lines that come within a tenth of `beyond` of that
  /// may count as not free.
  bool free(const VectorXd &from, const VectorXd &to);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

} // namespace sobo
