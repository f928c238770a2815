// Rollouts through the discrete dynamics.
#pragma once

#include "robot.hpp"

namespace sobo {

/// States (N+1) x nx that the torques U (N x nv) lead to from x0 with step dt [s].
RowMatrixXd simulate(const Robot &robot, const VectorXd &x0, const RowMatrixXd &U, double dt, Integrator integrator);

struct Tracking {
  RowMatrixXd X, U; // (N+1) x nx, N x nv
};

/// What rollouts may not exceed, in both directions.
struct Limits {
  VectorXd torque, velocity, acceleration;
};

/// Follows desired states (N x nx, the first one step after x0) by inverse dynamics. The commanded velocity is v_des and a
/// share `blend` of what is missing to reach q_des in this step; it is clipped to the limits on velocity and acceleration,
/// then the torques to theirs.
Tracking track(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, double dt, double blend,
               const Limits &limits, Integrator integrator);

/// State after N steps of lengths dt [s] (N) from x0 under u = torques + gains (x - desired), clipped to +-torque_limit:
/// desired N x nx, torques N x nv, gains N x (nv nx), each row a row-major matrix.
VectorXd follow_feedback(const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, const RowMatrixXd &torques,
                         const RowMatrixXd &gains, const VectorXd &dt, const VectorXd &torque_limit, Integrator integrator);

} // namespace sobo
