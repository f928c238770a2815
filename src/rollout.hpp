// Rollouts through the discrete dynamics.
#pragma once

#include "robot.hpp"

namespace sobo {

/// States (N+1) x nx that the torques U (N x nv) lead to from x0, semi-implicit Euler with step dt [s].
RowMatrixXd simulate(const Robot &robot, const VectorXd &x0, const RowMatrixXd &U, double dt);

struct Tracking {
  RowMatrixXd X, U; // (N+1) x nx, N x nv
};

/// Follows desired states (N x nx, the first one step after x0) by inverse dynamics. The commanded velocity is
/// v_des + blend ((q_des - q)/dt - v_des), clipped to +-velocity_limit; torques are clipped to +-torque_limit.
Tracking track(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, double dt, double blend,
               const VectorXd &torque_limit, const VectorXd &velocity_limit);

/// State after N steps of lengths dt [s] (N) from x0 under u = torques + gains (x - desired), clipped to +-torque_limit:
/// desired N x nx, torques N x nv, gains N x (nv nx), each row a row-major matrix.
VectorXd follow_feedback(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, const RowMatrixXd &torques,
                         const RowMatrixXd &gains, const VectorXd &dt, const VectorXd &torque_limit);

} // namespace sobo
