#include "robot.hpp"

#include <pinocchio/algorithm/aba.hpp>
#include <pinocchio/algorithm/frames.hpp>
#include <pinocchio/algorithm/kinematics.hpp>
#include <pinocchio/algorithm/rnea.hpp>

#include "errors.hpp"
#include "inverse_dynamics.hpp"
#include "robot_builder.hpp"

namespace sobo {
namespace {

/// Pinocchio ships aba compiled for this type; any other argument costs a minute of compilation.
using Ref = Eigen::Ref<const VectorXd>;

using pinocchio::Model;

void check_size(const VectorXd &value, Eigen::Index size, const char *what) {
  if (value.size() != size)
    throw RobotError(std::string(what) + " has " + std::to_string(value.size()) + " entries, expected " +
                     std::to_string(size));
}

std::shared_ptr<RobotImpl> with_model(const RobotImpl &robot, const Model &model) {
  return std::make_shared<RobotImpl>(std::make_shared<const Model>(model), robot.bodies, robot.tool);
}

pinocchio::SE3 placement_of(const RobotImpl &robot, pinocchio::FrameIndex frame, const VectorXd &q) {
  check_size(q, robot.model->nq, "q");
  const auto scratch = robot.borrow();
  pinocchio::forwardKinematics(*robot.model, scratch->data, q);
  return pinocchio::updateFramePlacement(*robot.model, scratch->data, frame);
}

} // namespace

Eigen::Matrix3d rotation_of(const VectorXd &pose) {
  return Eigen::Quaterniond(pose[6], pose[3], pose[4], pose[5]).normalized().toRotationMatrix();
}

Robot::Robot(const std::string &urdf_xml, const std::string &tool_frame, const std::map<std::string, double> &locked,
             const VectorXd &armature, const std::vector<std::string> &package_dirs, bool collision) {
  try {
    impl_ = build_robot(urdf_xml, tool_frame, locked, armature, package_dirs, collision);
  } catch (const RobotError &) {
    throw;
  } catch (const std::exception &e) { // of Pinocchio or Coal
    throw RobotError(std::string("no robot can be made of the URDF: ") + e.what());
  }
}

Robot::Robot(std::shared_ptr<RobotImpl> impl) : impl_(std::move(impl)) {}

Robot Robot::with_mass_scale(double factor) const {
  if (!(factor > 0.0))
    throw RobotError("the mass scale must be positive, got " + std::to_string(factor));
  Model scaled = *impl_->model;
  for (auto &inertia : scaled.inertias) {
    const Eigen::Matrix3d rotational = factor * inertia.inertia().matrix();
    inertia = pinocchio::Inertia(factor * inertia.mass(), inertia.lever(), pinocchio::Symmetric3(rotational));
  }
  return Robot(with_model(*impl_, scaled));
}

Robot Robot::with_payload(double mass, const Vector3d &centre) const {
  if (!(mass >= 0.0) || !std::isfinite(mass) || !centre.allFinite())
    throw RobotError("a payload needs a mass of 0 or more and a finite centre of mass, got " + std::to_string(mass));
  Model loaded = *impl_->model;
  const pinocchio::Frame &tool = loaded.frames[impl_->tool];
  const pinocchio::Inertia load(mass, centre, Eigen::Matrix3d::Zero());
  loaded.inertias[tool.parentJoint] += tool.placement.act(load);
  return Robot(with_model(*impl_, loaded));
}

Robot Robot::with_surroundings(const Vector3d &gravity, const VectorXd &damping) const {
  check_size(damping, impl_->model->nv, "damping");
  if (!gravity.allFinite() || !(damping.array() >= 0.0).all() || !damping.allFinite())
    throw RobotError("gravity must be finite, and damping too and not negative");
  Model other = *impl_->model;
  other.gravity.linear() = gravity;
  other.damping = damping;
  return Robot(with_model(*impl_, other));
}

VectorXd Robot::damping() const { return impl_->model->damping; }
VectorXd Robot::friction() const { return impl_->model->upperDryFrictionLimit; }

RowMatrixXd Robot::linear_torques(const RowMatrixXd &X, const RowMatrixXd &A) const {
  const int n = impl_->model->nv;
  if (X.cols() != 2 * n || A.cols() != n || X.rows() != A.rows())
    throw RobotError("linear_torques needs as many rows of " + std::to_string(2 * n) + " and " + std::to_string(n) +
                     " numbers");
  std::vector<VectorXd> xs, as;
  for (Eigen::Index t = 0; t < X.rows(); ++t) {
    xs.emplace_back(X.row(t));
    as.emplace_back(A.row(t));
  }
  InverseDynamics dynamics(impl_->model, impl_->tool);
  dynamics.follow(xs, as);
  RowMatrixXd out(X.rows(), n * (3 * n + 1));
  for (std::size_t t = 0; t < xs.size(); ++t) {
    Eigen::Map<RowMatrixXd> block(out.row(static_cast<Eigen::Index>(t)).data(), n, 3 * n + 1);
    block.rightCols(3 * n) = dynamics.jacobian(xs[t], as[t]);
    block.col(0) = dynamics.torque(xs[t], as[t]);
  }
  return out;
}

std::string Robot::name() const { return impl_->model->name; }
int Robot::nq() const { return impl_->model->nq; }
int Robot::nv() const { return impl_->model->nv; }
VectorXd Robot::position_lower() const { return impl_->model->lowerPositionLimit; }
VectorXd Robot::position_upper() const { return impl_->model->upperPositionLimit; }
VectorXd Robot::velocity_limit() const { return impl_->model->upperVelocityLimit; }
VectorXd Robot::effort_limit() const { return impl_->model->upperEffortLimit; }

std::vector<std::string> Robot::joint_names() const {
  const auto &names = impl_->model->names;
  return std::vector<std::string>(names.begin() + 1, names.end()); // names[0] is the universe
}

Vector3d Robot::tool_position(const VectorXd &q) const { return placement_of(*impl_, impl_->tool, q).translation(); }

VectorXd Robot::tool_pose(const VectorXd &q) const {
  const auto placement = placement_of(*impl_, impl_->tool, q);
  Eigen::Quaterniond turn(placement.rotation());
  if (turn.w() < 0.0)
    turn.coeffs() *= -1.0;
  VectorXd out(7);
  out << placement.translation(), turn.coeffs();
  return out;
}

VectorXd Robot::pose_error(const VectorXd &q, const VectorXd &target) const {
  check_size(target, 7, "the target");
  VectorXd out(6);
  const auto placement = placement_of(*impl_, impl_->tool, q);
  out.head<3>() = target.head<3>() - placement.translation();
  const Eigen::Matrix3d offset = rotation_of(target) * placement.rotation().transpose();
  out.tail<3>() = pinocchio::log3(offset);
  return out;
}

Vector3d Robot::frame_position(const VectorXd &q, const std::string &frame) const {
  check_size(q, impl_->model->nq, "q");
  const auto index = find_frame(*impl_->model, frame);
  if (!index)
    throw RobotError("the frame '" + frame + "' is not in the URDF");
  return placement_of(*impl_, *index, q).translation();
}

RowMatrixXd Robot::tool_jacobian(const VectorXd &q) const { return tool_pose_jacobian(q).topRows<3>(); }

RowMatrixXd Robot::tool_pose_jacobian(const VectorXd &q) const {
  check_size(q, impl_->model->nq, "q");
  pinocchio::Data::Matrix6x jacobian(6, impl_->model->nv);
  jacobian.setZero();
  pinocchio::computeFrameJacobian(*impl_->model, impl_->borrow()->data, q, impl_->tool, pinocchio::LOCAL_WORLD_ALIGNED,
                                  jacobian);
  return jacobian;
}

RowMatrixXd Robot::joint_placement(const VectorXd &q, int index) const {
  check_size(q, impl_->model->nq, "q");
  if (index < 0 || index + 1 >= impl_->model->njoints)
    throw RobotError("joint index " + std::to_string(index) + " is out of range");
  const auto scratch = impl_->borrow();
  pinocchio::forwardKinematics(*impl_->model, scratch->data, q);
  const auto &placement = scratch->data.oMi[index + 1];
  RowMatrixXd out(3, 4);
  out << placement.rotation(), placement.translation();
  return out;
}

VectorXd Robot::forward_dynamics(const VectorXd &q, const VectorXd &v, const VectorXd &tau) const {
  check_size(q, impl_->model->nq, "q");
  check_size(v, impl_->model->nv, "v");
  check_size(tau, impl_->model->nv, "tau");
  const VectorXd free = tau - impl_->model->damping.cwiseProduct(v);
  return pinocchio::aba(*impl_->model, impl_->borrow()->data, Ref(q), Ref(v), Ref(free), pinocchio::Convention::WORLD);
}

VectorXd Robot::inverse_dynamics(const VectorXd &q, const VectorXd &v, const VectorXd &a) const {
  check_size(q, impl_->model->nq, "q");
  check_size(v, impl_->model->nv, "v");
  check_size(a, impl_->model->nv, "a");
  return pinocchio::rnea(*impl_->model, impl_->borrow()->data, q, v, a) + impl_->model->damping.cwiseProduct(v);
}

VectorXd Robot::gravity(const VectorXd &q) const {
  check_size(q, impl_->model->nq, "q");
  return pinocchio::computeGeneralizedGravity(*impl_->model, impl_->borrow()->data, q);
}

VectorXd Robot::step(const VectorXd &x, const VectorXd &u, double dt, Integrator integrator) const {
  check_size(x, 2 * impl_->model->nv, "x");
  check_size(u, impl_->model->nv, "u");
  const int n = impl_->model->nv;
  return integrate(x, forward_dynamics(x.head(n), x.tail(n), u), dt, integrator);
}

Integrator integrator_of(const std::string &name) {
  if (name == "semi_implicit_euler")
    return Integrator::SemiImplicitEuler;
  if (name == "constant_acceleration")
    return Integrator::ConstantAcceleration;
  throw RobotError("unknown integrator '" + name + "'; use constant_acceleration or semi_implicit_euler");
}

VectorXd integrate(const VectorXd &x, const VectorXd &a, double dt, Integrator integrator) {
  const Eigen::Index n = a.size();
  VectorXd out(2 * n);
  out.tail(n) = x.tail(n) + dt * a;
  if (integrator == Integrator::SemiImplicitEuler)
    out.head(n) = x.head(n) + dt * out.tail(n);
  else
    out.head(n) = x.head(n) + 0.5 * dt * (x.tail(n) + out.tail(n));
  return out;
}

} // namespace sobo
