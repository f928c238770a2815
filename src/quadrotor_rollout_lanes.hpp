// Rollouts of quadrotors, one in each lane; the model is that of QuadrotorModel.
#pragma once

#include "rollout_lanes.hpp"

namespace sobo {
namespace {

/// Factors of the rotation exp([theta]) = I + sine [theta] + cosine [theta]^2, and of the inverse right Jacobian
/// I + [theta] / 2 + cotangent [theta]^2, as functions of s = |theta|^2. The closed forms lose all digits as s goes to zero.
struct TurnFactors {
  explicit TurnFactors(Lanes s) {
    const LaneBits small = s < 1.0;
    const Lanes near = small ? s : splat(1.0), far = small ? splat(1.0) : s;
    const Lanes t = square_root(far);
    Lanes sine_t, cosine_t;
    sine_cosine(t, sine_t, cosine_t);
    const Lanes a = sine_t / t, b = (1.0 - cosine_t) / far;
    // (-1)^k / (2 k + 1)! and (-1)^k / (2 k + 2)!, which leave less than rounding up to s = 1
    static constexpr double odd[] = {1.0,           -1.0 / 6,        1.0 / 120,         -1.0 / 5040,           1.0 / 362880,
                                     -1.0 / 39916800, 1.0 / 6227020800, -1.0 / 1307674368000, 1.0 / 355687428096000};
    static constexpr double even[] = {1.0 / 2,           -1.0 / 24,          1.0 / 720,
                                      -1.0 / 40320,      1.0 / 3628800,      -1.0 / 479001600,
                                      1.0 / 87178291200, -1.0 / 20922789888000, 1.0 / 6402373705728000};
    // |B_2n| / (2 n)!
    static constexpr double bernoulli[] = {1.0 / 12,           1.0 / 720,           1.0 / 30240,
                                           1.0 / 1209600,      1.0 / 47900160,      691.0 / 1307674368000,
                                           1.0 / 74724249600,  3617.0 / 10670622842880000,
                                           43867.0 / 5109094217170944000, 174611.0 / 802857662698291200000.0};
    sine = small ? series(odd, near) : a;
    cosine = small ? series(even, near) : b;
    cotangent = small ? series(bernoulli, near) : (1.0 - a / (2.0 * b)) / far;
  }

  template <int N> static Lanes series(const double (&c)[N], Lanes s) {
    Lanes out = splat(c[N - 1]);
    for (int k = N - 1; k-- > 0;)
      out = out * s + c[k];
    return out;
  }

  Lanes sine, cosine, cotangent;
};

class QuadrotorRollout {
public:
  explicit QuadrotorRollout(const QuadrotorRollouts &rollouts) : rollouts_(rollouts) {}

  void run(const RolloutSums &out) {
    const Rollouts &all = rollouts_;
    for (int i = 0; i < 12; ++i)
      x_[i] = splat(all.x0[i]);
    Lanes cost{}, over{}, distance{};
    for (int t = 0; t < all.horizon; ++t) {
      Lanes u[4];
      read_inputs(all, t, 4, u);
      cost += state_cost(all.running) + weighted_square(4, all.running.control, all.running.control_reference, u);
      over += excess(all.control, u);
      step(u);
      over += depth();
      if (all.reference)
        distance += away(all, t, position());
    }
    write_sums(all, cost + state_cost(all.terminal), over, distance, out);
  }

private:
  Vec3 position() const { return {x_[0], x_[1], x_[2]}; }

  Lanes state_cost(const RolloutWeights &w) const {
    return position_cost(w.position, rollouts_.target, position()) + weighted_square(12, w.state, w.state_reference, x_);
  }

  void step(const Lanes *u) {
    const double dt = rollouts_.dt, *m = rollouts_.actuation, *inertia = rollouts_.inertia;
    Lanes wrench[4];
    for (int i = 0; i < 4; ++i)
      wrench[i] = m[4 * i] * u[0] + m[4 * i + 1] * u[1] + (m[4 * i + 2] * u[2] + m[4 * i + 3] * u[3]);
    const Vec3 theta = {x_[3], x_[4], x_[5]}, spin = {x_[9], x_[10], x_[11]};
    const Vec3 momentum = {inertia[0] * spin.x, inertia[1] * spin.y, inertia[2] * spin.z};
    const Vec3 torque = Vec3{wrench[1], wrench[2], wrench[3]} - cross(spin, momentum);
    const Vec3 next = {spin.x + dt * (torque.x / inertia[0]), spin.y + dt * (torque.y / inertia[1]),
                       spin.z + dt * (torque.z / inertia[2])};
    const Lanes s = dot(theta, theta), push = (dt / rollouts_.mass) * wrench[0];
    const TurnFactors factors(s);
    const Lanes lift = factors.cosine * theta.z;
    x_[6] += push * (lift * theta.x + factors.sine * theta.y);
    x_[7] += push * (lift * theta.y - factors.sine * theta.x);
    x_[8] += push * (lift * theta.z + (1.0 - factors.cosine * s)) - dt * rollouts_.gravity;
    for (int i = 0; i < 3; ++i)
      x_[i] += dt * x_[6 + i];
    const Vec3 rate = next + 0.5 * cross(theta, next) + factors.cotangent * (dot(theta, next) * theta - s * next);
    x_[3] += dt * rate.x;
    x_[4] += dt * rate.y;
    x_[5] += dt * rate.z;
    x_[9] = next.x;
    x_[10] = next.y;
    x_[11] = next.z;
  }

  /// Squared depths in columns, floor and ceiling [m^2].
  Lanes depth() const {
    const auto squared = [](Lanes depth) { return depth > 0.0 ? square(depth) : Lanes{}; };
    Lanes sum = squared(rollouts_.floor - x_[2]) + squared(x_[2] - rollouts_.ceiling);
    for (int c = 0; c < rollouts_.columns; ++c) {
      const double *column = rollouts_.column + 3 * c;
      sum += squared(column[2] - square_root(square(x_[0] - column[0]) + square(x_[1] - column[1])));
    }
    return sum;
  }

  const QuadrotorRollouts &rollouts_;
  Lanes x_[12];
};

} // namespace
} // namespace sobo
