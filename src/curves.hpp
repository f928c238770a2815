// Cubic splines through points with positions and velocities, as controllers make them.
#pragma once

#include <utility>

#include "robot.hpp"

namespace sobo {

/// States (N x 2n) at times (N) along the splines through states [q, v] (K x 2n) at K >= 2 increasing knots [s]; those of the
/// first and the last knot before and after them. Throws RobotError on other sizes.
RowMatrixXd splined(const VectorXd &knots, const RowMatrixXd &states, const VectorXd &times);

/// See sampled of sobo_planner/safety/points.py.
std::pair<VectorXd, RowMatrixXd> sampled(const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V, double step,
                                         int most_parts);

/// Bounds of joints, see JointLimits of sobo_planner/safety/joints.py, tolerances included.
struct JointBounds {
  VectorXd lower, upper; // positions
  VectorXd velocity, torque, acceleration, gain;
  double tolerance;
  bool curves; // whether the splines between points are bounded, too

  /// Whether points with torques (T x n) and gains (T n x 2n) keep all bounds. True is certain; where it is false, a point may
  /// still be allowed, because the first one is outside.
  bool kept(const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V, const RowMatrixXd &U, const double *gains,
            Eigen::Index gain_rows) const;

private:
  bool kept_between(double h, Eigen::Index joint, const double (&state)[4]) const;
};

} // namespace sobo
