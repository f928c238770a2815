// Problems as plain numbers.
#pragma once

#include <Eigen/Core>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sobo {

struct Box {
  Eigen::VectorXd lower, upper;
};

/// Bounds on the controls, stage by stage; empty for none.
using ControlBounds = std::vector<std::shared_ptr<const Box>>;

/// Diagonal weights of squared errors, see ReachCost.
struct ReachWeights {
  Eigen::Vector3d position;
  Eigen::Vector3d orientation = Eigen::Vector3d::Zero(); // about the axes of the tool; for arms alone
  Eigen::VectorXd state, control; // sizes 2 nv and nu
  Eigen::VectorXd state_reference, control_reference;
  double self_distance = 0.0; // of what links lack in distance from each other and from objects; for arms alone, see SelfDistance
  double self_margin = 0.0;   // distance below which they do [m]
  double object_margin = 0.0; // the same for links and objects, beyond the distance that is to be kept
};

/// Reaching with an arm. The running weights are per step: multiplied by dt already.
struct ReachSpec {
  int horizon = 0;
  double dt = 0.0;           // s
  std::string integrator;    // "constant_acceleration", "semi_implicit_euler" or "rk2"
  Eigen::MatrixXd actuation; // nv x nu
  // Whether the controls inside are accelerations, and torques follow from them; with a motor for every joint, and never
  // with rk2.
  bool accelerations = false;
  ReachWeights running, terminal;
  std::optional<Box> control, velocity, position; // bounds on u (nu), v (nv) and q (nv)
  std::optional<Box> acceleration;                // bounds on a (nv), where the controls inside are accelerations
  int ramp_start = 0, ramp_end = 0;               // steps at both ends within which the bounds on a open and close
  bool joints = false;    // whether targets are positions of the joints, the reference of the state's weights
  bool adaptable = false; // whether Worker::adapt may change dt, weights and bounds, also those that are absent now
};

/// Reaching with a quadrotor among columns, see QuadrotorModel. The running weights are per step, as in ReachSpec.
struct QuadrotorSpec {
  int horizon = 0;
  double dt = 0.0, mass = 0.0, gravity = 9.81;         // s, kg, m/s^2
  Eigen::Vector3d inertia = Eigen::Vector3d::Zero();   // diagonal, kg m^2, in the body frame
  Eigen::Matrix4d actuation = Eigen::Matrix4d::Zero(); // thrusts of the rotors to [total thrust, torques]
  ReachWeights running, terminal;                      // sizes 12 and 4
  std::optional<Box> control, height;                  // bounds on u (4) and on p_z (1)
  Eigen::Matrix<double, Eigen::Dynamic, 3, Eigen::RowMajor> columns; // vertical, one a row: x, y, radius [m]
};

/// min sum_t 1/2 x'Qx + 1/2 u'Ru + q'x + r'u  (+ terminal Qf, qf)  with x' = A x + B u + c.
struct LinearSpec {
  int horizon = 0;
  Eigen::MatrixXd A, B, Q, R, Qf;
  Eigen::VectorXd c, q, r, qf;
  std::optional<Box> control, state;
};

} // namespace sobo
