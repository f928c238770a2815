// A fixed-base arm: Pinocchio model, tool frame and collision geometry.
#pragma once

#include <Eigen/Core>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace sobo {

using Eigen::MatrixXd;
using Eigen::Vector3d;
using Eigen::VectorXd;
/// Poses are [x, y, z, qx, qy, qz, qw]. How far the squared norm of a quaternion may be from 1.
constexpr double quaternion_tolerance = 1e-3;
/// The rotation of a pose.
Eigen::Matrix3d rotation_of(const VectorXd &pose);

using RowMatrixXd = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Pinocchio's objects behind a Robot (robot_impl.hpp): only units that compute with them pay for its headers.
struct RobotImpl;
/// One of Coal's (shape.hpp).
class Shape;

/// How states follow from accelerations a within a step of length dt: v' = v + dt a, and q' = q + dt v' or
/// q' = q + dt (v + v') / 2, which is exact for a constant acceleration.
enum class Integrator { SemiImplicitEuler, ConstantAcceleration };
/// Throws RobotError for another name than "semi_implicit_euler" or "constant_acceleration".
Integrator integrator_of(const std::string &name);
/// The state after a step from x = [q, v] with the accelerations a.
VectorXd integrate(const VectorXd &x, const VectorXd &a, double dt, Integrator integrator);

/// Two bodies that touch: links of the robot, or a link or attached object and an object.
struct Contact {
  double time; // [s]
  std::string first, second;
  double distance; // negative where they overlap [m]
  bool object;     // whether the second one is an object, or the first one is attached
};

/// A shape with a name and a place: in the frame of a link, or in the root link's where that is empty.
struct PlacedShape {
  std::string name, link;
  std::shared_ptr<const Shape> shape;
  VectorXd pose;
};

/// A point mass [kg] in the frame of a link.
struct Load {
  std::string link;
  double mass;
  Vector3d centre;
};

class Robot {
public:
  /// Joints named in `locked` are frozen at the given position [rad or m]. `tool_frame` is a link or, if there is none of
  /// that name, a joint's frame. `armature` is the inertia of each
  /// remaining joint's rotor seen through its gear [kg m^2]; empty means none. Without `collision`, collision
  /// geometry is not read (meshes then need not exist).
  Robot(const std::string &urdf_xml, const std::string &tool_frame, const std::map<std::string, double> &locked,
        const VectorXd &armature, const std::vector<std::string> &package_dirs, bool collision);

  /// The same robot with the mass and inertia of every link multiplied by `factor`; rotors stay as they are.
  Robot with_mass_scale(double factor) const;
  /// The same robot with a point mass [kg] at a place in the tool's frame [m].
  Robot with_payload(double mass, const Vector3d &centre) const;
  /// The same robot with another gravity [m/s^2], in the root link's frame, and viscous damping of its joints [Nm s/rad].
  Robot with_surroundings(const Vector3d &gravity, const VectorXd &damping) const;

  const RobotImpl &impl() const { return *impl_; }
  std::string name() const;
  int nq() const;
  int nv() const;
  std::vector<std::string> joint_names() const;
  VectorXd position_lower() const;
  VectorXd position_upper() const;
  VectorXd velocity_limit() const;
  VectorXd effort_limit() const;

  Vector3d tool_position(const VectorXd &q) const;
  /// World pose of the tool, [x, y, z, qx, qy, qz, qw] with qw >= 0.
  VectorXd tool_pose(const VectorXd &q) const;
  /// From the tool to a target pose: translation [m] above the rotation vector [rad], both in the world frame.
  VectorXd pose_error(const VectorXd &q, const VectorXd &target) const;
  Vector3d frame_position(const VectorXd &q, const std::string &frame) const;
  /// d(tool position)/dq in the world frame, 3 x nv.
  RowMatrixXd tool_jacobian(const VectorXd &q) const;
  /// The same above the tool's angular velocity per joint velocity, in the world frame too, 6 x nv.
  RowMatrixXd tool_pose_jacobian(const VectorXd &q) const;
  /// World placement of joint `index` (0 = first joint): rotation (3 x 3) and translation (3) side by side.
  RowMatrixXd joint_placement(const VectorXd &q, int index) const;
  VectorXd forward_dynamics(const VectorXd &q, const VectorXd &v, const VectorXd &tau) const;
  VectorXd inverse_dynamics(const VectorXd &q, const VectorXd &v, const VectorXd &a) const;
  VectorXd gravity(const VectorXd &q) const;
  VectorXd damping() const;
  /// Dry friction of the joints [Nm]. No dynamics here include it.
  VectorXd friction() const;
  /// Inverse dynamics at rows of X = [q, v] and A, a row-major nv x (3 nv + 1) matrix a row: tau and d tau / d [q, v, a].
  RowMatrixXd linear_torques(const RowMatrixXd &X, const RowMatrixXd &A) const;
  /// One step of length dt [s] from x = [q, v] under the joint torques u.
  VectorXd step(const VectorXd &x, const VectorXd &u, double dt, Integrator integrator) const;

  /// The same robot among objects and with attached ones, instead of those that it had; links are `margin` or more from
  /// them [m]. Pairs of names that are `allowed` may touch. Loads come on top of those that it has.
  Robot with_world(const std::vector<PlacedShape> &shapes, const std::vector<Load> &loads,
                   const std::vector<std::pair<std::string, std::string>> &allowed, double margin) const;
  bool has_collision_geometry() const;
  /// The first pair of bodies in contact, if any; at time 0.
  std::optional<Contact> contact(const VectorXd &q) const;
  /// The names of `contact`.
  std::optional<std::pair<std::string, std::string>> colliding_pair(const VectorXd &q) const;
  /// The first row of Q (N x nq) in contact, and its pair of bodies, if any.
  std::optional<std::tuple<int, std::string, std::string>> first_collision(const RowMatrixXd &Q) const;
  /// See sweep.hpp.
  std::optional<Contact> first_contact(const VectorXd &times, const RowMatrixXd &Q, const RowMatrixXd &V,
                                       bool leaving) const;
  /// Over the rows of Q (N x nq), the smallest distance of a link or an attached object to an obstacle; its time is the row.
  /// None where there are no obstacles.
  std::optional<Contact> nearest_object(const RowMatrixXd &Q) const;

private:
  explicit Robot(std::shared_ptr<RobotImpl> impl);

  std::shared_ptr<RobotImpl> impl_;
};

} // namespace sobo
