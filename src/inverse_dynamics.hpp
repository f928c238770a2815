// Torques and tool of an arm as functions of [q, v, a], for problems whose controls are accelerations.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <pinocchio/multibody.hpp>

#include "arm_model.hpp"
#include "robot.hpp"

namespace sobo {

/// Inverse dynamics tau(q, v, a), damping included, and the tool's place, with first and contracted second derivatives. Cost
/// and bounds of all stages share one: what several of them ask for is computed once, and that of the next stages with it, as
/// many as fit into the processor's vectors (arm_kernel.hpp). Arms with joints that the kernel does not know are computed by
/// Pinocchio, stage by stage.
class InverseDynamics {
public:
  using ConstVectorRef = Eigen::Ref<const VectorXd>;
  using Vectors = std::vector<VectorXd>;
  using ConstVector = Eigen::Map<const VectorXd>;
  using ConstMatrix = Eigen::Map<const MatrixXd>;

  /// `kernel`: a kernel's name; "" for the best one, "pinocchio" for none. Throws RobotError where there is none of that name.
  InverseDynamics(std::shared_ptr<const pinocchio::Model> model, pinocchio::FrameIndex tool, const char *kernel = "");

  int nv() const { return model_->nv; }
  /// Refers to a trajectory, whose vectors must stay where they are: when one of its points is asked for, the next ones are
  /// computed too.
  void follow(const Vectors &xs, const Vectors &as);

  /// tau at x = [q, v] and the acceleration a. Valid, as all that follows, until another point is asked for.
  ConstVector torque(const ConstVectorRef &x, const ConstVectorRef &a);
  /// d tau / d [q, v, a], nv x 3 nv; the last columns are the inertia matrix.
  ConstMatrix jacobian(const ConstVectorRef &x, const ConstVectorRef &a);
  /// Of the tool, which does not depend on a: position, rotation, and linear above angular velocity per joint velocity, in the
  /// world's axes.
  Eigen::Map<const Vector3d> position(const ConstVectorRef &x, const ConstVectorRef &a);
  Eigen::Map<const Eigen::Matrix3d> rotation(const ConstVectorRef &x, const ConstVectorRef &a);
  ConstMatrix tool_jacobian(const ConstVectorRef &x, const ConstVectorRef &a);

  /// jacobian' weights jacobian for any matrix of `weights.size()` rows: a Gauss-Newton Hessian.
  void square(const double *jacobian, const VectorXd &weights, Eigen::Ref<MatrixXd> out) const;
  /// Adds the second derivatives of weights' tau to a block over [q, v, a], not before `flush`. Points, weights and block must
  /// stay until then.
  void add_curvature(const VectorXd &x, const VectorXd &a, const ConstVectorRef &weights, MatrixXd &block);
  void flush();

  /// The model has changed: what was computed is void.
  void forget();

private:
  /// What is known about a point [q, v, a].
  struct Point {
    VectorXd x, a;
    VectorXd numbers; // see ArmLayout
    int level = 0;    // 0: nothing, 1: values, 2: derivatives too
  };
  struct Trajectory {
    const Vectors *xs, *as;
  };
  /// Second derivatives to be added to a block.
  struct Curved {
    const VectorXd *x, *a;
    VectorXd weights;
    MatrixXd *block;
  };

  const double *at(const ConstVectorRef &x, const ConstVectorRef &a, bool derivatives);
  const Trajectory *find(const double *x);
  void compute(Point *points, int count, bool derivatives);
  void compute_by_pinocchio(Point &point, bool derivatives);

  std::shared_ptr<const pinocchio::Model> model_;
  pinocchio::FrameIndex tool_;
  ArmLayout layout_;
  const ArmKernel *kernel_ = nullptr;
  std::optional<ArmTree> tree_;
  std::optional<pinocchio::Data> scratch_; // where there is no kernel
  std::vector<double> memory_;
  std::vector<Trajectory> trajectories_;
  std::vector<Point> points_; // one of each stage, and one for points of no trajectory
  std::size_t stage_ = 0;     // that was asked for last
  std::vector<Curved> curved_;
  std::size_t waiting_ = 0;   // of these
  std::vector<double> second_; // derivatives of those
};

} // namespace sobo
