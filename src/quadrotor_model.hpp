// Discrete dynamics of a quadrotor with first and second derivatives.
#pragma once

#include <array>

#include <Eigen/Dense>

#include "spec.hpp"

namespace sobo {

/// F(theta) = I + a [theta] + b [theta]^2 with a and b functions of s = |theta|^2: rotations and their Jacobians.
class Rodrigues {
public:
  using Vector3d = Eigen::Vector3d;
  using Matrix3d = Eigen::Matrix3d;
  /// A function of s, its first and its second derivative.
  using Jet = std::array<double, 3>;

  /// The rotation exp([theta]).
  static Rodrigues rotation(const Vector3d &theta);
  /// The inverse right Jacobian of SO(3), d theta / dt = F omega for omega in the body frame; singular at 2 pi.
  static Rodrigues inverse_right_jacobian(const Vector3d &theta);

  Matrix3d matrix() const;
  Rodrigues transposed() const;
  /// d(F q) / d theta.
  Matrix3d derivative(const Vector3d &q) const;
  /// d2(y' F q) / d theta2.
  Matrix3d hessian(const Vector3d &y, const Vector3d &q) const;

private:
  Rodrigues(const Vector3d &theta, const Jet &a, const Jet &b) : theta_(theta), a_(a), b_(b) {}

  Vector3d theta_;
  Jet a_, b_;
};

/// x = [p, theta, v, omega]: position and linear velocity in the world, attitude exp([theta]), angular velocity in the
/// body frame; u = thrusts of the rotors. Semi-implicit Euler with the attitude of the step's start:
///   v' = v + dt (R e3 T / m - g e3),  omega' = omega + dt I^-1 (tau - omega x I omega),
///   p' = p + dt v',                   theta' = theta + dt Jr^-1(theta) omega',     with [T, tau] = actuation u.
class QuadrotorModel {
public:
  static constexpr int nx = 12, nu = 4;
  using State = Eigen::Matrix<double, nx, 1>;
  using Control = Eigen::Matrix<double, nu, 1>;

  /// Throws SolverError on parameters that are not finite or not positive where they must be.
  explicit QuadrotorModel(const QuadrotorSpec &spec);

  State step(const State &x, const Control &u) const;
  void derivatives(const State &x, const Control &u, Eigen::Ref<Eigen::MatrixXd> Jx,
                   Eigen::Ref<Eigen::MatrixXd> Ju) const;
  /// Adds d2(costate' step) / d(x, u)2 to a block over [x, u].
  void add_curvature(const State &x, const Control &u, const State &costate, Eigen::MatrixXd &block) const;
  /// Thrusts that lead from x to the angular velocity `omega` and, along the thrust axis, to the velocity `v`.
  Control inverse(const State &x, const Eigen::Vector3d &v, const Eigen::Vector3d &omega) const;

  double dt() const { return dt_; }

private:
  Eigen::Vector3d next_omega(const State &x, const Control &u) const;
  Eigen::Matrix3d omega_derivative(const State &x) const;

  double dt_, mass_, gravity_;
  Eigen::Vector3d inertia_;
  Eigen::Matrix4d actuation_, allocation_; // and its inverse
};

} // namespace sobo
