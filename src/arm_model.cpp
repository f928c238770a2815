#include "arm_model.hpp"

#include <Eigen/Geometry>
#include <pinocchio/multibody/joint/joint-generic.hpp>

#include "processor.hpp"

namespace sobo {

extern const ArmKernel arm_kernel_baseline;
#ifdef SOBO_X86_KERNELS
extern const ArmKernel arm_kernel_avx2, arm_kernel_avx512;
#endif

namespace {

using Eigen::Matrix3d;
using Eigen::Vector3d;

struct Axis {
  bool prismatic;
  Vector3d direction; // in the joint's frame
};

/// Of a joint that turns about, or moves along, a constant axis by its position variable; none of others.
std::optional<Axis> axis_of(const pinocchio::JointModel &joint) {
  const std::string kind = joint.shortname();
  for (const char axis : {'X', 'Y', 'Z'}) {
    const Vector3d direction = Vector3d::Unit(axis - 'X');
    if (kind == std::string("JointModelR") + axis)
      return Axis{false, direction};
    if (kind == std::string("JointModelP") + axis)
      return Axis{true, direction};
  }
  const bool prismatic = kind == "JointModelPrismaticUnaligned";
  if (!prismatic && kind != "JointModelRevoluteUnaligned")
    return std::nullopt;
  auto data = joint.createData();
  joint.calc(data, Eigen::VectorXd::Zero(1));
  const Eigen::Matrix<double, 6, 1> motion = data.S().matrix();
  return Axis{prismatic, prismatic ? motion.head<3>() : motion.tail<3>()};
}

void write(const pinocchio::SE3 &place, double *rotation, double *translation) {
  Eigen::Map<Eigen::Matrix<double, 3, 3, Eigen::RowMajor>>{rotation} = place.rotation();
  Eigen::Map<Vector3d>{translation} = place.translation();
}

/// From a joint's frame to one whose z axis is that of the joint.
pinocchio::SE3 turned(const Vector3d &axis) {
  return {Eigen::Quaterniond::FromTwoVectors(Vector3d::UnitZ(), axis).toRotationMatrix(), Vector3d::Zero()};
}

} // namespace

const ArmKernel *find_arm_kernel(const char *name) {
  return choose<ArmKernel>({
#ifdef SOBO_X86_KERNELS
                               {Instructions::Avx512, &arm_kernel_avx512},
                               {Instructions::Avx2, &arm_kernel_avx2},
#endif
                               {Instructions::Baseline, &arm_kernel_baseline}},
                           name);
}

std::optional<ArmTree> ArmTree::of(const pinocchio::Model &model, pinocchio::FrameIndex tool) {
  ArmTree out;
  std::vector<pinocchio::SE3> frames{pinocchio::SE3::Identity()}; // ours in Pinocchio's
  for (pinocchio::JointIndex i = 1; i < static_cast<pinocchio::JointIndex>(model.njoints); ++i) {
    const auto axis = axis_of(model.joints[i]);
    if (!axis || model.idx_qs[i] != static_cast<int>(i) - 1 || model.idx_vs[i] != static_cast<int>(i) - 1)
      return std::nullopt;
    frames.push_back(turned(axis->direction));
    ArmJoint joint{};
    joint.parent = static_cast<int>(model.parents[i]) - 1;
    joint.prismatic = axis->prismatic;
    write(frames[model.parents[i]].actInv(model.jointPlacements[i]).act(frames[i]), joint.rotation, joint.translation);
    const pinocchio::Inertia inertia = frames[i].actInv(model.inertias[i]);
    joint.mass = inertia.mass();
    Eigen::Map<Vector3d>{joint.centre} = inertia.lever();
    const Matrix3d m = inertia.inertia().matrix();
    const double entries[] = {m(0, 0), m(0, 1), m(1, 1), m(0, 2), m(1, 2), m(2, 2)};
    std::copy(std::begin(entries), std::end(entries), joint.inertia);
    joint.armature = model.armature[i - 1];
    joint.damping = model.damping[i - 1];
    out.joints_.push_back(joint);
  }
  const auto &frame = model.frames[tool];
  out.model_.joints = model.nv;
  Eigen::Map<Vector3d>{out.model_.gravity} = model.gravity.linear();
  out.model_.tool_joint = static_cast<int>(frame.parentJoint) - 1;
  write(frames[frame.parentJoint].actInv(frame.placement), out.model_.tool_rotation, out.model_.tool_translation);
  return out;
}

ArmModel ArmTree::model() const {
  ArmModel out = model_;
  out.joint = joints_.data();
  return out;
}

} // namespace sobo
