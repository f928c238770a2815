// Second derivatives of inverse dynamics, weighted and summed over the joints.
#pragma once

#include <pinocchio/multibody.hpp>

#include "robot.hpp"

namespace sobo {

/// Second derivatives of w'tau(q, v, a), nv x nv each: by q twice, v twice, q and v, q and a. The others are zero.
struct TorqueCurvature {
  MatrixXd qq, vv, qv, qa;
};

TorqueCurvature contracted_second_derivatives(const pinocchio::Model &model, pinocchio::Data &scratch, const VectorXd &q,
                                              const VectorXd &v, const VectorXd &a, const VectorXd &weights);

} // namespace sobo
