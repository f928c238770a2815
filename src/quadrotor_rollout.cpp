#include "quadrotor_rollout.hpp"

#include "errors.hpp"
#include "quadrotor_model.hpp"

namespace sobo {
namespace {

void check_size(Eigen::Index size, int expected, const char *what) {
  if (size != expected)
    throw SolverError(std::string("quadrotor: ") + what + " has " + std::to_string(size) + " entries, expected " +
                      std::to_string(expected));
}

} // namespace

VectorXd quadrotor_step(const QuadrotorSpec &spec, const VectorXd &x, const VectorXd &u) {
  check_size(x.size(), QuadrotorModel::nx, "x");
  check_size(u.size(), QuadrotorModel::nu, "u");
  return QuadrotorModel(spec).step(x, u);
}

RowMatrixXd quadrotor_simulate(const QuadrotorSpec &spec, const VectorXd &x0, const RowMatrixXd &U) {
  check_size(x0.size(), QuadrotorModel::nx, "x0");
  check_size(U.cols(), QuadrotorModel::nu, "a row of U");
  const QuadrotorModel model(spec);
  RowMatrixXd X(U.rows() + 1, x0.size());
  X.row(0) = x0.transpose();
  QuadrotorModel::State x = x0;
  for (Eigen::Index t = 0; t < U.rows(); ++t) {
    x = model.step(x, U.row(t).transpose());
    X.row(t + 1) = x.transpose();
  }
  return X;
}

Tracking quadrotor_track(const QuadrotorSpec &spec, const VectorXd &x0, const RowMatrixXd &desired, double blend,
                         const VectorXd &lower, const VectorXd &upper) {
  check_size(x0.size(), QuadrotorModel::nx, "x0");
  check_size(desired.cols(), QuadrotorModel::nx, "a row of the desired states");
  check_size(lower.size(), QuadrotorModel::nu, "the lower limit");
  check_size(upper.size(), QuadrotorModel::nu, "the upper limit");
  const QuadrotorModel model(spec);
  Tracking out{RowMatrixXd(desired.rows() + 1, x0.size()), RowMatrixXd(desired.rows(), lower.size())};
  out.X.row(0) = x0.transpose();
  QuadrotorModel::State x = x0;
  for (Eigen::Index t = 0; t < desired.rows(); ++t) {
    const QuadrotorModel::State goal = desired.row(t).transpose();
    const QuadrotorModel::State rate = (goal - x) / model.dt();
    const Vector3d theta = x.segment<3>(3), v = goal.segment<3>(6), omega = goal.tail<3>();
    const Vector3d turn = Rodrigues::inverse_right_jacobian(theta).matrix().inverse() * rate.segment<3>(3);
    const auto thrusts = model.inverse(x, v + blend * (rate.head<3>() - v), omega + blend * (turn - omega));
    const QuadrotorModel::Control u = thrusts.cwiseMax(lower).cwiseMin(upper);
    x = model.step(x, u);
    out.U.row(t) = u.transpose();
    out.X.row(t + 1) = x.transpose();
  }
  return out;
}

} // namespace sobo
