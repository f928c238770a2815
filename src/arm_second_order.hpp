// Second derivatives of weights' torque, in a number of operations that grows with the square of the number of joints. They
// follow from the motion w that has the weights as velocities of the joints: weights' torque = sum over bodies of w_k' f_k.
#pragma once

#include "arm_pass.hpp"

namespace sobo {
namespace {

/// Sums over a body and those that it carries.
struct SecondOrder {
  Inertia inertia, minus_rate; // rate: that of the inertia moving with w
  AngularMap map;
  Spatial force, weighted_momentum; // the latter: inertia times w
  Vec3 pull;                        // transposed map times w
};

/// A joint's axis carried along by w, and w of its body.
struct Weighted {
  Spatial axis_rate, velocity;
};

inline void add(SecondOrder &to, const SecondOrder &what) {
  to.inertia = to.inertia + what.inertia;
  to.minus_rate = to.minus_rate + what.minus_rate;
  to.map = to.map + what.map;
  to.force = to.force + what.force;
  to.weighted_momentum = to.weighted_momentum + what.weighted_momentum;
  to.pull = to.pull + what.pull;
}

/// Square matrices, column by column.
struct SecondDerivatives {
  Lanes *qq, *qv, *vv, *qa;
};

inline void weigh(const ArmModel &arm, const Lanes *weights, const Body *bodies, Weighted *w, SecondOrder *sums) {
  for (int i = 0; i < arm.joints; ++i) {
    const int parent = arm.joint[i].parent;
    const Spatial carried = parent < 0 ? Spatial{} : w[parent].velocity;
    const Body &body = bodies[i];
    w[i].axis_rate = cross_motion(carried, body.axis);
    w[i].velocity = carried + weights[i] * body.axis;
    const AngularMap map = momentum_map(body.inertia, body.velocity);
    sums[i] = {body.inertia,  rate(body.inertia, w[i].velocity), map,
               body.force,    body.inertia * w[i].velocity,      transposed(map, w[i].velocity)};
  }
}

/// Of joint j with itself and all that carry it.
inline void second_derivatives_of(const ArmModel &arm, int j, const Body *bodies, const Weighted *w, const SecondOrder &sum,
                                  const SecondDerivatives &out) {
  const int n = arm.joints;
  const Body &body = bodies[j];
  const auto transposed_map = [&](const Spatial &v) { return Spatial{Vec3{}, transposed(sum.map, v)}; };
  const Spatial turned = cross_force(body.axis, sum.weighted_momentum);
  const Spatial by_rate = cross_force(body.axis, Spatial{Vec3{}, sum.pull}) +
                          cross_force(body.axis_rate, sum.weighted_momentum) - sum.minus_rate * body.axis_rate +
                          transposed_map(w[j].axis_rate);
  const Spatial by_acceleration = turned + sum.inertia * w[j].axis_rate;
  const Spatial by_weight =
      sum.inertia * body.axis_acceleration + sum.map * body.axis_rate.angular + cross_force(body.axis, sum.force);
  const Spatial velocity_by_rate = turned - sum.minus_rate * body.axis;
  const Spatial velocity_by_weight = sum.inertia * (body.axis_rate + body.axis_rate) + sum.map * body.axis.angular;
  const Spatial acceleration_by_weight = sum.inertia * body.axis;
  for (int i = j; i >= 0; i = arm.joint[i].parent) {
    const Body &other = bodies[i];
    const int above = i + n * j, below = j + n * i;
    out.qq[above] = out.qq[below] = dot(by_acceleration, other.axis_acceleration) + dot(by_rate, other.axis_rate) +
                                    dot(by_weight, w[i].axis_rate);
    out.qv[above] = dot(velocity_by_rate, other.axis_rate) + dot(velocity_by_weight, w[i].axis_rate);
    out.vv[above] = out.vv[below] = dot(velocity_by_rate, other.axis);
    out.qa[above] = dot(acceleration_by_weight, w[i].axis_rate);
    if (i < j) {
      const Lanes twice = dot(by_acceleration, other.axis_rate);
      out.qv[below] = twice + twice + dot(by_rate, other.axis);
      out.qa[below] = dot(by_acceleration, other.axis);
    }
  }
}

} // namespace
} // namespace sobo
