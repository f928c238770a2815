// Inverse dynamics and tool kinematics of an arm, several stages of a trajectory at once, on plain arrays. arm_kernel.cpp is
// compiled once for each set of instructions; find_arm_kernel chooses at run time.
#pragma once

#include <cstddef>

namespace sobo {

/// A joint about or along the z axis of its body's frame, and that body.
struct ArmJoint {
  int parent; // index of a former joint, -1 for the base
  bool prismatic;
  double rotation[9], translation[3]; // of its frame in the parent's at q = 0, row by row
  double mass, centre[3], inertia[6]; // about the centre of mass: xx, xy, yy, xz, yz, zz
  double armature, damping;
};

struct ArmModel {
  int joints;
  const ArmJoint *joint;
  double gravity[3];
  int tool_joint; // that carries the tool, -1 for none
  double tool_rotation[9], tool_translation[3];
};

/// What the kernel writes about a stage of an arm with n joints, in this order; matrices column by column.
struct ArmLayout {
  explicit constexpr ArmLayout(int joints) : n(joints) {}
  constexpr int torque() const { return 0; }                     // n
  constexpr int position() const { return n; }                   // of the tool, 3
  constexpr int rotation() const { return n + 3; }               // of the tool, 3 x 3
  constexpr int values() const { return n + 12; }                // the number of those above
  constexpr int torque_jacobian() const { return n + 12; }       // by [q, v, a], n x 3 n
  constexpr int tool_jacobian() const { return n + 12 + 3 * n * n; } // linear above angular velocity, world's axes, 6 x n
  constexpr int size() const { return n + 12 + 3 * n * n + 6 * n; }
  int n;
};

/// Points of several stages: x[t] = [q, v], and the accelerations a[t]; null for zeros.
struct ArmPoints {
  int count;
  const double *const *x, *const *a;
};

struct ArmKernel {
  const char *name;
  int lanes; // stages that are computed at once
  /// Doubles that the functions below need as working memory.
  std::size_t (*memory)(int joints);
  /// Writes out[t], see ArmLayout; what follows the values only with `derivatives`.
  void (*evaluate)(const ArmModel &arm, const ArmPoints &points, bool derivatives, double *const *out, double *memory);
  /// Second derivatives of weights[t]' torque, without damping: writes four n x n matrices to out[t], column by column: by
  /// q twice, q (rows) and v, v twice, q (rows) and a. The others are zero.
  void (*curvature)(const ArmModel &arm, const ArmPoints &points, const double *const *weights, double *const *out,
                    double *memory);
  /// J' W J for a matrix J and diagonal weights W, column by column; any memory will do for the result.
  void (*square)(int rows, int columns, const double *jacobian, const double *weights, double *out);
};

/// The widest that this processor has, or the one of that name, null if there is none.
const ArmKernel *find_arm_kernel(const char *name = "");

} // namespace sobo
