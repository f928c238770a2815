// How fast the points of a path may be passed.
#pragma once

#include "robot.hpp"

namespace sobo {

/// Squares (N) of the speed along a path of N points, from rest to rest, as large as accelerations allow: a backward sweep
/// bounds them, a forward one takes them (Pham, Pham 2018: TOPP-RA). `slope` and `bend` (N x n) are the derivatives of the
/// joints by the path parameter, `most` (N) bounds the squares, `acceleration` (n) > 0 those of the joints, and points are
/// `step` > 0 of the parameter apart. Inner squares are 1e-9 at least. Throws RobotError on other sizes.
VectorXd fastest_squares(const RowMatrixXd &slope, const RowMatrixXd &bend, const VectorXd &most,
                         const VectorXd &acceleration, double step);

} // namespace sobo
