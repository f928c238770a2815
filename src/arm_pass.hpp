// The pass from the base of an arm to its tips that all functions of arm_kernel.cpp begin with.
#pragma once

#include "arm_kernel.hpp"
#include "spatial_lanes.hpp"

namespace sobo {
namespace {

/// A body and its joint in the world.
struct Body {
  Vec3 x, y, z, origin;   // axes and origin of its frame
  Spatial axis;           // its velocity per unit of the joint's
  Spatial axis_rate;      // of a joint carried along by the parent: v_parent x axis
  Spatial axis_acceleration; // a_parent x axis + v_parent x axis_rate, with gravity in a
  Spatial velocity, acceleration, force;
  Inertia inertia;
};

/// Sums over a body and those that it carries.
struct Composite {
  Inertia inertia;
  AngularMap map;
  Spatial force;
};

struct Input {
  const Lanes *q, *v, *a;
};

/// Of columns of a rotation times a matrix, row by row.
inline void turn(const Vec3 &x, const Vec3 &y, const Vec3 &z, const double *m, Vec3 out[3]) {
  for (int j = 0; j < 3; ++j)
    out[j] = m[j] * x + (m[3 + j] * y + m[6 + j] * z);
}

inline Vec3 point(const Body &frame, const double *p) {
  return frame.origin + (p[0] * frame.x + (p[1] * frame.y + p[2] * frame.z));
}

inline Body base() {
  Body out{};
  out.x.x = out.y.y = out.z.z = splat(1.0);
  return out;
}

inline void place(const ArmJoint &joint, const Body &parent, Lanes q, Body &body) {
  Vec3 axes[3];
  turn(parent.x, parent.y, parent.z, joint.rotation, axes);
  body.origin = point(parent, joint.translation);
  body.z = axes[2];
  if (joint.prismatic) {
    body.x = axes[0];
    body.y = axes[1];
    body.origin = body.origin + q * body.z;
    body.axis = {body.z, Vec3{}};
    return;
  }
  Lanes s, c;
  sine_cosine(q, s, c);
  body.x = c * axes[0] + s * axes[1];
  body.y = c * axes[1] - s * axes[0];
  body.axis = {cross(body.origin, body.z), body.z};
}

inline Inertia inertia_in_world(const ArmJoint &joint, const Body &body) {
  const double *j = joint.inertia;
  const Vec3 centre = point(body, joint.centre);
  const Vec3 u = j[0] * body.x + (j[1] * body.y + j[3] * body.z), v = j[1] * body.x + (j[2] * body.y + j[4] * body.z),
             w = j[3] * body.x + (j[4] * body.y + j[5] * body.z);
  Inertia out;
  out.mass = splat(joint.mass);
  out.moment = joint.mass * centre;
  const Lanes square = dot(centre, out.moment);
  const auto entry = [&](Lanes Vec3::*a, Lanes Vec3::*b) {
    return u.*a * body.x.*b + (v.*a * body.y.*b + w.*a * body.z.*b) - out.moment.*a * centre.*b;
  };
  out.xx = entry(&Vec3::x, &Vec3::x) + square;
  out.xy = entry(&Vec3::x, &Vec3::y);
  out.yy = entry(&Vec3::y, &Vec3::y) + square;
  out.xz = entry(&Vec3::x, &Vec3::z);
  out.yz = entry(&Vec3::y, &Vec3::z);
  out.zz = entry(&Vec3::z, &Vec3::z) + square;
  return out;
}

/// Places, velocities, accelerations, forces; with what derivatives need besides.
template <bool Derivatives> void forward_pass(const ArmModel &arm, const Input &at, Body *bodies) {
  Body ground = base();
  const Vec3 gravity = vec3(arm.gravity);
  ground.acceleration.linear = Vec3{} - gravity;
  for (int i = 0; i < arm.joints; ++i) {
    const ArmJoint &joint = arm.joint[i];
    const Body &parent = joint.parent < 0 ? ground : bodies[joint.parent];
    Body &body = bodies[i];
    place(joint, parent, at.q[i], body);
    body.inertia = inertia_in_world(joint, body);
    body.axis_rate = cross_motion(parent.velocity, body.axis);
    if (Derivatives)
      body.axis_acceleration = cross_motion(parent.acceleration, body.axis) + cross_motion(parent.velocity, body.axis_rate);
    body.velocity = parent.velocity + at.v[i] * body.axis;
    body.acceleration = parent.acceleration + (at.a[i] * body.axis + at.v[i] * body.axis_rate);
    body.force = body.inertia * body.acceleration + cross_force(body.velocity, body.inertia * body.velocity);
  }
}

} // namespace
} // namespace sobo
