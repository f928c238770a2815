// Inverse dynamics of an arm in lanes, see arm_kernel.hpp. Compiled once for each set of instructions, which SOBO_KERNEL names;
// everything but the table at the end has internal linkage, see lanes.hpp.
//
// Derivatives as in Singh, Russell, Wensing: "Efficient analytical derivatives of rigid-body dynamics using spatial vector
// algebra" (2022), with all quantities about the origin of the world.
#include "arm_pass.hpp"
#include "arm_second_order.hpp"
#include "lane_memory.hpp"
#include "square_lanes.hpp"

namespace sobo {
namespace {

std::size_t memory(int joints) {
  const std::size_t n = joints, of_joint = sizeof(Body) + sizeof(Composite) + sizeof(SecondOrder) + sizeof(Weighted);
  return (n * of_joint + (5 * n + ArmLayout(joints).size() + 4 * n * n + 1) * sizeof(Lanes)) / sizeof(double);
}

/// `size` numbers of some stages, from `first` on, one stage in each lane; the last stage fills what is left.
void gather(const double *const *from, int first, int count, int offset, int size, Lanes *out) {
  for (int l = 0; l < kLanes; ++l) {
    const double *p = from[first + l < count ? first + l : count - 1];
    for (int i = 0; i < size; ++i)
      out[i][l] = p ? p[offset + i] : 0.0;
  }
}

void scatter(const Lanes *from, int size, int first, int count, double *const *out) {
  for (int l = 0; l < kLanes && first + l < count; ++l)
    for (int i = 0; i < size; ++i)
      out[first + l][i] = from[i][l];
}

void clear(Lanes *out, int size) {
  for (int i = 0; i < size; ++i)
    out[i] = Lanes{};
}

/// Place and, with derivatives, Jacobian of the tool.
void find_tool(const ArmModel &arm, const Body *bodies, bool derivatives, Lanes *out) {
  const ArmLayout layout(arm.joints);
  const Body ground = base(), &carrier = arm.tool_joint < 0 ? ground : bodies[arm.tool_joint];
  const Vec3 origin = point(carrier, arm.tool_translation);
  Vec3 axes[3];
  turn(carrier.x, carrier.y, carrier.z, arm.tool_rotation, axes);
  const auto write = [&](int at, const Vec3 &v) {
    out[at] = v.x;
    out[at + 1] = v.y;
    out[at + 2] = v.z;
  };
  write(layout.position(), origin);
  for (int j = 0; j < 3; ++j)
    write(layout.rotation() + 3 * j, axes[j]);
  for (int i = arm.tool_joint; derivatives && i >= 0; i = arm.joint[i].parent) {
    const Spatial &axis = bodies[i].axis;
    write(layout.tool_jacobian() + 6 * i, axis.linear + cross(axis.angular, origin));
    write(layout.tool_jacobian() + 6 * i + 3, axis.angular);
  }
}

/// Torques, and the sums that their derivatives need.
void find_torques(const ArmModel &arm, const Input &at, const Body *bodies, bool derivatives, Composite *sums, Lanes *out) {
  for (int i = 0; i < arm.joints; ++i) {
    sums[i].force = bodies[i].force;
    if (!derivatives)
      continue;
    sums[i].inertia = bodies[i].inertia;
    sums[i].map = momentum_map(bodies[i].inertia, bodies[i].velocity);
  }
  for (int i = arm.joints; i-- > 0;) {
    const ArmJoint &joint = arm.joint[i];
    out[i] = dot(bodies[i].axis, sums[i].force) + joint.armature * at.a[i] + joint.damping * at.v[i];
    if (joint.parent < 0)
      continue;
    Composite &parent = sums[joint.parent];
    parent.force = parent.force + sums[i].force;
    if (!derivatives)
      continue;
    parent.inertia = parent.inertia + sums[i].inertia;
    parent.map = parent.map + sums[i].map;
  }
}

/// d torque / d [q, v, a] of joint j with itself and all that carry it.
void torque_derivatives(const ArmModel &arm, int j, const Body *bodies, const Composite &sum, Lanes *out) {
  const int n = arm.joints;
  Lanes *by_q = out, *by_v = out + n * n, *by_a = out + 2 * n * n;
  const Body &body = bodies[j];
  const Spatial momentum = sum.inertia * body.axis;
  const Vec3 pull = transposed(sum.map, body.axis);
  const Spatial column_q =
      sum.map * body.axis_rate.angular + sum.inertia * body.axis_acceleration + cross_force(body.axis, sum.force);
  const Spatial column_v = sum.map * body.axis.angular + sum.inertia * (body.axis_rate + body.axis_rate);
  for (int i = j; i >= 0; i = arm.joint[i].parent) {
    const Body &other = bodies[i];
    const int above = i + n * j, below = j + n * i;
    by_q[above] = dot(other.axis, column_q);
    by_v[above] = dot(other.axis, column_v);
    by_a[above] = by_a[below] = dot(other.axis, momentum);
    if (i == j)
      continue;
    by_q[below] = dot(pull, other.axis_rate.angular) + dot(momentum, other.axis_acceleration);
    by_v[below] = dot(pull, other.axis.angular) + dot(momentum, other.axis_rate + other.axis_rate);
  }
  by_v[j + n * j] += arm.joint[j].damping;
  by_a[j + n * j] += arm.joint[j].armature;
}

void evaluate(const ArmModel &arm, const ArmPoints &points, bool derivatives, double *const *out, double *work) {
  const int n = arm.joints;
  const ArmLayout layout(n);
  const int size = derivatives ? layout.size() : layout.values();
  Memory memory(work);
  Lanes *x = memory.take<Lanes>(3 * n), *result = memory.take<Lanes>(size);
  Body *bodies = memory.take<Body>(n);
  Composite *sums = memory.take<Composite>(n);
  const Input at{x, x + n, x + 2 * n};
  clear(result, size); // joints that do not carry one another have no common derivatives
  for (int t = 0; t < points.count; t += kLanes) {
    gather(points.x, t, points.count, 0, 2 * n, x);
    gather(points.a, t, points.count, 0, n, x + 2 * n);
    forward_pass<true>(arm, at, bodies);
    find_torques(arm, at, bodies, derivatives, sums, result);
    find_tool(arm, bodies, derivatives, result);
    for (int j = 0; derivatives && j < n; ++j)
      torque_derivatives(arm, j, bodies, sums[j], result + layout.torque_jacobian());
    scatter(result, size, t, points.count, out);
  }
}

void curvature(const ArmModel &arm, const ArmPoints &points, const double *const *weights, double *const *out, double *work) {
  const int n = arm.joints, square = n * n;
  Memory memory(work);
  Lanes *x = memory.take<Lanes>(4 * n), *result = memory.take<Lanes>(4 * square);
  Body *bodies = memory.take<Body>(n);
  Weighted *weighted = memory.take<Weighted>(n);
  SecondOrder *sums = memory.take<SecondOrder>(n);
  clear(result, 4 * square);
  const SecondDerivatives blocks{result, result + square, result + 2 * square, result + 3 * square};
  for (int t = 0; t < points.count; t += kLanes) {
    gather(points.x, t, points.count, 0, 2 * n, x);
    gather(points.a, t, points.count, 0, n, x + 2 * n);
    gather(weights, t, points.count, 0, n, x + 3 * n);
    forward_pass<true>(arm, {x, x + n, x + 2 * n}, bodies);
    weigh(arm, x + 3 * n, bodies, weighted, sums);
    for (int j = n; j-- > 0;) {
      if (arm.joint[j].parent >= 0)
        add(sums[arm.joint[j].parent], sums[j]);
      second_derivatives_of(arm, j, bodies, weighted, sums[j], blocks);
    }
    scatter(result, 4 * square, t, points.count, out);
  }
}

} // namespace

#define SOBO_TEXT(x) #x
#define SOBO_NAME(x) SOBO_TEXT(x)
#define SOBO_JOIN(a, b) a##b
#define SOBO_TABLE(name) SOBO_JOIN(arm_kernel_, name)
extern const ArmKernel SOBO_TABLE(SOBO_KERNEL);
const ArmKernel SOBO_TABLE(SOBO_KERNEL) = {SOBO_NAME(SOBO_KERNEL), kLanes, memory, evaluate, curvature, square};

} // namespace sobo
