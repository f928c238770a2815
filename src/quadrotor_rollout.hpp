// Rollouts of a quadrotor through its discrete dynamics.
#pragma once

#include "rollout.hpp"
#include "spec.hpp"

namespace sobo {

/// One step x' (12) of a quadrotor from the state x under the thrusts u [N]. Throws SolverError on wrong sizes.
VectorXd quadrotor_step(const QuadrotorSpec &spec, const VectorXd &x, const VectorXd &u);

/// States (N+1) x 12 that the thrusts U (N x 4) lead to from x0.
RowMatrixXd quadrotor_simulate(const QuadrotorSpec &spec, const VectorXd &x0, const RowMatrixXd &U);

/// Follows desired states (N x 12, the first one step after x0) by inverse dynamics, thrusts clipped to the limits (4).
/// Commanded are v_des + blend ((p_des - p)/dt - v_des), of which one step reaches the part along the thrust axis, and
/// omega_des + blend (omega_theta - omega_des), where omega_theta leads to theta_des.
Tracking quadrotor_track(const QuadrotorSpec &spec, const VectorXd &x0, const RowMatrixXd &desired, double blend,
                         const VectorXd &lower, const VectorXd &upper);

} // namespace sobo
