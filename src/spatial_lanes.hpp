// Vectors, motions, forces and inertias of rigid bodies, for one stage in each lane. Motions and forces are about the origin
// of the world: no transform is needed between bodies.
#pragma once

#include "lanes.hpp"

namespace sobo {
namespace {

struct Vec3 {
  Lanes x, y, z;
};

inline Vec3 operator+(const Vec3 &a, const Vec3 &b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Vec3 operator-(const Vec3 &a, const Vec3 &b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
inline Vec3 operator*(Lanes a, const Vec3 &b) { return {a * b.x, a * b.y, a * b.z}; }
inline Vec3 operator*(double a, const Vec3 &b) { return {a * b.x, a * b.y, a * b.z}; }
inline Lanes dot(const Vec3 &a, const Vec3 &b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
inline Vec3 cross(const Vec3 &a, const Vec3 &b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
inline Vec3 vec3(const double *v) { return {splat(v[0]), splat(v[1]), splat(v[2])}; }

/// A motion (velocity of the body's point at the origin, angular velocity) or a force (force, moment).
struct Spatial {
  Vec3 linear, angular;
};

inline Spatial operator+(const Spatial &a, const Spatial &b) { return {a.linear + b.linear, a.angular + b.angular}; }
inline Spatial operator-(const Spatial &a, const Spatial &b) { return {a.linear - b.linear, a.angular - b.angular}; }
inline Spatial operator*(Lanes s, const Spatial &a) { return {s * a.linear, s * a.angular}; }
inline Lanes dot(const Spatial &a, const Spatial &b) { return dot(a.linear, b.linear) + dot(a.angular, b.angular); }
/// Of a motion m carried along by v.
inline Spatial cross_motion(const Spatial &v, const Spatial &m) {
  return {cross(v.angular, m.linear) + cross(v.linear, m.angular), cross(v.angular, m.angular)};
}
/// Of a force f carried along by v.
inline Spatial cross_force(const Spatial &v, const Spatial &f) {
  return {cross(v.angular, f.linear), cross(v.angular, f.angular) + cross(v.linear, f.linear)};
}

/// Mass, mass times centre of mass, rotational inertia about the origin.
struct Inertia {
  Lanes mass;
  Vec3 moment;
  Lanes xx, xy, yy, xz, yz, zz;
};

inline Inertia operator+(const Inertia &a, const Inertia &b) {
  return {a.mass + b.mass, a.moment + b.moment, a.xx + b.xx, a.xy + b.xy,
          a.yy + b.yy,     a.xz + b.xz,         a.yz + b.yz, a.zz + b.zz};
}
inline Spatial operator*(const Inertia &i, const Spatial &v) {
  const Vec3 &w = v.angular;
  const Vec3 turned = {i.xx * w.x + i.xy * w.y + i.xz * w.z, i.xy * w.x + i.yy * w.y + i.yz * w.z,
                       i.xz * w.x + i.yz * w.y + i.zz * w.z};
  return {i.mass * v.linear + cross(w, i.moment), cross(i.moment, v.linear) + turned};
}

/// Angular velocities to forces.
struct AngularMap {
  Spatial x, y, z;
};

inline AngularMap operator+(const AngularMap &a, const AngularMap &b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
inline Spatial operator*(const AngularMap &m, const Vec3 &w) { return w.x * m.x + (w.y * m.y + w.z * m.z); }
/// The angular part of the transpose times a motion; its linear part is zero.
inline Vec3 transposed(const AngularMap &m, const Spatial &v) { return {dot(m.x, v), dot(m.y, v), dot(m.z, v)}; }

/// How a body's momentum rate v x* (I v) changes with its velocity, except for what follows from the change of v carried
/// along: s -> v x* (I s) - I (v x s) + s x* (I v). It vanishes where s has no angular part.
inline AngularMap momentum_map(const Inertia &i, const Spatial &v) {
  const Spatial momentum = i * v;
  const Lanes zero{}, one = splat(1.0);
  const auto along = [&](const Vec3 &axis) {
    const Spatial s = {{zero, zero, zero}, axis};
    return cross_force(v, i * s) - i * cross_motion(v, s) + cross_force(s, momentum);
  };
  return {along({one, zero, zero}), along({zero, one, zero}), along({zero, zero, one})};
}

/// Minus the rate of an inertia that moves with w: w x* I - I (w x).
inline Inertia rate(const Inertia &i, const Spatial &w) {
  const Lanes zero{}, one = splat(1.0);
  const auto along = [&](const Vec3 &axis) {
    const Spatial s = {{zero, zero, zero}, axis};
    return (cross_force(w, i * s) - i * cross_motion(w, s)).angular;
  };
  const Vec3 x = along({one, zero, zero}), y = along({zero, one, zero}), z = along({zero, zero, one});
  return {zero, i.mass * w.linear + cross(w.angular, i.moment), x.x, x.y, y.y, x.z, y.z, z.z};
}

} // namespace
} // namespace sobo
