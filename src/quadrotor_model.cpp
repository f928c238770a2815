#include "quadrotor_model.hpp"

#include <cmath>

#include "errors.hpp"

namespace sobo {
namespace {

using Eigen::Matrix3d;
using Eigen::Vector3d;
using Jet = Rodrigues::Jet;

constexpr double series_below = 1.0; // of s; the closed forms lose all digits as s goes to zero
constexpr int terms = 11;            // leave less than rounding up to there

Matrix3d skew(const Vector3d &a) {
  Matrix3d out;
  out << 0.0, -a.z(), a.y(), a.z(), 0.0, -a.x(), -a.y(), a.x(), 0.0;
  return out;
}

/// sum c_k s^k with its derivatives.
Jet evaluate(const std::array<double, terms> &c, double s) {
  double value = 0.0, first = 0.0, half_second = 0.0;
  for (int k = terms; k-- > 0;) {
    half_second = half_second * s + first;
    first = first * s + value;
    value = value * s + c[k];
  }
  return {value, first, 2.0 * half_second};
}

/// The coefficients (-1)^k / (2 k + offset)!.
std::array<double, terms> alternating(int offset) {
  std::array<double, terms> out;
  double value = offset == 2 ? 0.5 : 1.0;
  for (int k = 0; k < terms; ++k) {
    out[k] = value;
    value /= -(2.0 * k + offset + 1.0) * (2.0 * k + offset + 2.0);
  }
  return out;
}

/// The coefficients |B_2n| / (2 n)!, n = 1, 2, ..., of (1 - (t/2) cot(t/2)) / t^2 in powers of s = t^2.
std::array<double, terms> bernoulli() {
  std::array<double, terms> out{1.0 / 6.0,       1.0 / 30.0,       1.0 / 42.0,      1.0 / 30.0,
                                5.0 / 66.0,      691.0 / 2730.0,   7.0 / 6.0,       3617.0 / 510.0,
                                43867.0 / 798.0, 174611.0 / 330.0, 854513.0 / 138.0};
  double factorial = 1.0;
  for (int k = 0; k < terms; ++k)
    out[k] /= factorial *= (2.0 * k + 1.0) * (2.0 * k + 2.0);
  return out;
}

/// sin(t) / t and (1 - cos(t)) / t^2 as functions of s = t^2.
std::pair<Jet, Jet> sine_and_cosine(double s) {
  static const auto odd = alternating(1), even = alternating(2);
  if (s < series_below)
    return {evaluate(odd, s), evaluate(even, s)};
  const double t = std::sqrt(s), cosine = std::cos(t);
  Jet a, b;
  a[0] = std::sin(t) / t;
  a[1] = (cosine - a[0]) / (2.0 * s);
  a[2] = -(0.5 * a[0] + 3.0 * a[1]) / (2.0 * s);
  b[0] = (1.0 - cosine) / s;
  b[1] = (0.5 * a[0] - b[0]) / s;
  b[2] = (0.5 * a[1] - 2.0 * b[1]) / s;
  return {a, b};
}

/// (1 - (t/2) cot(t/2)) / t^2 as a function of s = t^2.
Jet cotangent(double s) {
  static const auto coefficients = bernoulli();
  if (s < series_below)
    return evaluate(coefficients, s);
  const auto [a, b] = sine_and_cosine(s);
  Jet d; // (t/2) cot(t/2) = a / (2 b)
  d[0] = a[0] / (2.0 * b[0]);
  d[1] = (a[1] - 2.0 * d[0] * b[1]) / (2.0 * b[0]);
  d[2] = (a[2] - 2.0 * d[0] * b[2] - 4.0 * d[1] * b[1]) / (2.0 * b[0]);
  Jet c;
  c[0] = (1.0 - d[0]) / s;
  c[1] = -(d[1] + c[0]) / s;
  c[2] = -(d[2] + 2.0 * c[1]) / s;
  return c;
}

void check_positive(double value, const char *what) {
  if (!(value > 0.0) || !std::isfinite(value))
    throw SolverError(std::string(what) + " must be a positive number, got " + std::to_string(value));
}

} // namespace

Rodrigues Rodrigues::rotation(const Vector3d &theta) {
  const auto [a, b] = sine_and_cosine(theta.squaredNorm());
  return {theta, a, b};
}

Rodrigues Rodrigues::inverse_right_jacobian(const Vector3d &theta) {
  return {theta, {0.5, 0.0, 0.0}, cotangent(theta.squaredNorm())};
}

Rodrigues Rodrigues::transposed() const { return {theta_, {-a_[0], -a_[1], -a_[2]}, b_}; }

Matrix3d Rodrigues::matrix() const {
  Matrix3d out = b_[0] * theta_ * theta_.transpose();
  out.diagonal().array() += 1.0 - b_[0] * theta_.squaredNorm();
  return out + a_[0] * skew(theta_);
}

Matrix3d Rodrigues::derivative(const Vector3d &q) const {
  const double along = theta_.dot(q);
  const Vector3d cross = theta_.cross(q), twice = along * theta_ - theta_.squaredNorm() * q;
  Matrix3d out = -a_[0] * skew(q);
  out += (2.0 * a_[1] * cross + 2.0 * b_[1] * twice - 2.0 * b_[0] * q) * theta_.transpose();
  out += b_[0] * theta_ * q.transpose();
  out.diagonal().array() += b_[0] * along;
  return out;
}

// y' F q = y' q + a l' theta + b ((y' theta) (q' theta) - s y' q) with l = q x y.
Matrix3d Rodrigues::hessian(const Vector3d &y, const Vector3d &q) const {
  const Vector3d l = q.cross(y);
  const double linear = l.dot(theta_), yt = y.dot(theta_), qt = q.dot(theta_), yq = y.dot(q);
  const double quadratic = yt * qt - theta_.squaredNorm() * yq;
  const Vector3d gradient = qt * y + yt * q - 2.0 * yq * theta_; // of the quadratic term
  const Vector3d half = 2.0 * a_[1] * l + 2.0 * b_[1] * gradient + 2.0 * (a_[2] * linear + b_[2] * quadratic) * theta_;
  Matrix3d out = b_[0] * y * q.transpose() + half * theta_.transpose();
  out += out.transpose().eval();
  out.diagonal().array() += 2.0 * (a_[1] * linear + b_[1] * quadratic - b_[0] * yq);
  return out;
}

QuadrotorModel::QuadrotorModel(const QuadrotorSpec &spec)
    : dt_(spec.dt), mass_(spec.mass), gravity_(spec.gravity), inertia_(spec.inertia), actuation_(spec.actuation) {
  check_positive(dt_, "dt");
  check_positive(mass_, "mass");
  for (int i = 0; i < 3; ++i)
    check_positive(inertia_[i], "every moment of inertia");
  if (!std::isfinite(gravity_))
    throw SolverError("gravity must be finite, got " + std::to_string(gravity_));
  const Eigen::FullPivLU<Eigen::Matrix4d> lu(actuation_);
  if (!actuation_.allFinite() || !lu.isInvertible())
    throw SolverError("the actuation matrix, from thrusts to [thrust, torques], must be finite and invertible");
  allocation_ = lu.inverse();
}

Vector3d QuadrotorModel::next_omega(const State &x, const Control &u) const {
  const Vector3d omega = x.tail<3>(), momentum = inertia_.cwiseProduct(omega);
  const Vector3d torque = actuation_.bottomRows<3>() * u - omega.cross(momentum);
  return omega + dt_ * torque.cwiseQuotient(inertia_);
}

QuadrotorModel::State QuadrotorModel::step(const State &x, const Control &u) const {
  const Vector3d theta = x.segment<3>(3);
  const double push = dt_ * actuation_.row(0).dot(u) / mass_;
  State out;
  out.tail<3>() = next_omega(x, u);
  out.segment<3>(6) = x.segment<3>(6) + push * Rodrigues::rotation(theta).matrix().col(2);
  out[8] -= dt_ * gravity_;
  out.head<3>() = x.head<3>() + dt_ * out.segment<3>(6);
  out.segment<3>(3) = theta + dt_ * Rodrigues::inverse_right_jacobian(theta).matrix() * out.tail<3>();
  return out;
}

Matrix3d QuadrotorModel::omega_derivative(const State &x) const {
  const Vector3d omega = x.tail<3>(), momentum = inertia_.cwiseProduct(omega);
  const Matrix3d gyroscopic = skew(omega) * inertia_.asDiagonal() - skew(momentum);
  return Matrix3d::Identity() - dt_ * inertia_.cwiseInverse().asDiagonal() * gyroscopic;
}

void QuadrotorModel::derivatives(const State &x, const Control &u, Eigen::Ref<Eigen::MatrixXd> Jx,
                                 Eigen::Ref<Eigen::MatrixXd> Ju) const {
  const Vector3d theta = x.segment<3>(3);
  const auto rotation = Rodrigues::rotation(theta), rates = Rodrigues::inverse_right_jacobian(theta);
  const Matrix3d J = rates.matrix();
  const double thrust = actuation_.row(0).dot(u);
  Jx.setIdentity();
  Jx.block<3, 3>(6, 3) = (dt_ * thrust / mass_) * rotation.derivative(Vector3d::UnitZ());
  Jx.block<3, 3>(0, 3) = dt_ * Jx.block<3, 3>(6, 3);
  Jx.block<3, 3>(0, 6).diagonal().setConstant(dt_);
  Jx.block<3, 3>(9, 9) = omega_derivative(x);
  Jx.block<3, 3>(3, 3) += dt_ * rates.derivative(next_omega(x, u));
  Jx.block<3, 3>(3, 9) = dt_ * J * Jx.block<3, 3>(9, 9);
  Ju.middleRows<3>(6) = (dt_ / mass_) * rotation.matrix().col(2) * actuation_.row(0);
  Ju.topRows<3>() = dt_ * Ju.middleRows<3>(6);
  Ju.bottomRows<3>() = dt_ * inertia_.cwiseInverse().asDiagonal() * actuation_.bottomRows<3>();
  Ju.middleRows<3>(3) = dt_ * J * Ju.bottomRows<3>();
}

void QuadrotorModel::add_curvature(const State &x, const Control &u, const State &costate,
                                   Eigen::MatrixXd &block) const {
  const Vector3d theta = x.segment<3>(3);
  const auto rotation = Rodrigues::rotation(theta), rates = Rodrigues::inverse_right_jacobian(theta);
  const Vector3d force = (dt_ / mass_) * (costate.segment<3>(6) + dt_ * costate.head<3>());
  const Vector3d turn = dt_ * costate.segment<3>(3);
  block.block<3, 3>(3, 3) += actuation_.row(0).dot(u) * rotation.hessian(force, Vector3d::UnitZ());
  block.block<3, 3>(3, 3) += rates.hessian(turn, next_omega(x, u));
  const Matrix3d mixed = rates.transposed().derivative(turn).transpose(); // d2(turn' F omega') / d theta d omega'
  const Matrix3d with_omega = mixed * omega_derivative(x);
  const Eigen::Matrix<double, 3, 4> with_u =
      rotation.derivative(Vector3d::UnitZ()).transpose() * force * actuation_.row(0) +
      mixed * (dt_ * inertia_.cwiseInverse()).asDiagonal() * actuation_.bottomRows<3>();
  block.block<3, 3>(3, 9) += with_omega;
  block.block<3, 3>(9, 3) += with_omega.transpose();
  block.block<3, 4>(3, 12) += with_u;
  block.block<4, 3>(12, 3) += with_u.transpose();
  const Vector3d spin = dt_ * (costate.tail<3>() + rates.transposed().matrix() * turn).cwiseQuotient(inertia_);
  for (int i = 0; i < 3; ++i) { // of - spin' (omega x I omega), whose entry i is (I_k - I_j) omega_j omega_k
    const int j = (i + 1) % 3, k = (i + 2) % 3;
    const double value = -spin[i] * (inertia_[k] - inertia_[j]);
    block(9 + j, 9 + k) += value;
    block(9 + k, 9 + j) += value;
  }
}

QuadrotorModel::Control QuadrotorModel::inverse(const State &x, const Vector3d &v, const Vector3d &omega) const {
  const Vector3d force = mass_ * ((v - x.segment<3>(6)) / dt_ + gravity_ * Vector3d::UnitZ());
  const Vector3d now = x.tail<3>(), momentum = inertia_.cwiseProduct(now);
  Eigen::Vector4d wrench;
  wrench[0] = Rodrigues::rotation(x.segment<3>(3)).matrix().col(2).dot(force);
  wrench.tail<3>() = inertia_.cwiseProduct(omega - now) / dt_ + now.cross(momentum);
  return allocation_ * wrench;
}

} // namespace sobo
