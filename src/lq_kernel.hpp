// Arithmetic of the interior-point method for LQ problems on plain arrays: the barrier's terms of all rows, and the Riccati
// recursion of double integrators. lq_kernel.cpp is compiled once for each set of instructions; find_lq_kernel chooses at run
// time.
#pragma once

#include <cstddef>

namespace sobo {

/// Sizes of arrays that the functions below walk through are multiples of this.
constexpr std::size_t kLqUnit = 8;

/// Rows with upper and lower bounds, an array entry each. A row is start + z, where z is what is solved for.
struct Barrier {
  struct Side {
    double sign;                  // of the rows in bound - row: 1 for upper bounds, -1 for lower ones
    const double *bound, *present; // present: 1, or 0 where there is no bound; then slack is 1 and all else 0
    double *slack, *inverse;      // inverse: of the slack
    double *multiplier, *slack_step, *multiplier_step;
    double *residual, *offset;    // bound - row - slack (with the sign); the multiplier's step where the row stays
  };
  std::size_t size;
  double mu;
  const double *start, *before; // before: multipliers of the solver's last step
  double *z, *next;             // now, and after a whole step
  double *elastic, *weights;    // 1 / (1 + mu d) with d = the barrier's weight of each row; d times that
  const double *gradient;       // of the cost by each variable, zero for general rows
  double *slope;                // gradient and what the barrier adds to it
  Side upper, lower;
};

struct BarrierStep {
  double largest;                  // share of any slack or multiplier that the whole step takes away
  double constant, linear, square; // sum of slack * multiplier after a step, by its length
  double gap(double length) const { return constant + length * (linear + length * square); }
};

/// Rows over [x, u] of a stage that are more than a bound on a variable.
struct GeneralRows {
  int count;
  const int *stage;
  const double *coefficients; // a row's one after the other, as many as a stage has variables
};

/// x = [q, v], q' = q + h v + h^2/2 u, v' = v + h u. Variables of all stages lie one after the other: [q, v, u], ..., [q, v].
struct DoubleIntegrator {
  int joints, steps;
  double h;
  const double *hessians; // a stage's packed one after the other
  double *factors;        // of all steps
  GeneralRows rows;
};

/// matrix + share * extra + diagonal * unit matrix, over [q, v, u], or [q, v] where `last`. Matrices lie column by column, a
/// column so many numbers after the one before; there may be no extra one.
struct StageHessian {
  int joints;
  bool last;
  const double *matrix, *extra;
  int stride, extra_stride;
  double share, diagonal;
};

struct LqKernel {
  const char *name;
  /// Sets elastic, weights, and residuals.
  void (*weigh)(const Barrier &rows);
  /// Sets offsets and slope for a step towards slack * multiplier = target; as a corrector with the products of the last step.
  void (*aim)(const Barrier &rows, double target, bool corrector);
  /// Sets the steps of slacks and multipliers that follow from `next`.
  BarrierStep (*step)(const Barrier &rows);
  /// Takes the step; the largest residual before it.
  double (*advance)(const Barrier &rows, double length);

  int most_joints;
  std::size_t (*packed)(int joints);   // doubles of a packed Hessian, which must be aligned to 64 bytes
  std::size_t (*factored)(int joints); // doubles of a stage's factors, likewise
  void (*pack)(const StageHessian &hessian, double *packed);
  /// A packed Hessian times z = [q, v, u]; without u where `last`.
  void (*multiply)(int joints, bool last, const double *packed, const double *z, double *out);
  /// False where the problem is not convex in the controls of some stage, or not finite. `weights`: of bounds on variables,
  /// then of the general rows.
  bool (*factor)(const DoubleIntegrator &lq, const double *weights);
  /// The minimum z for this gradient, with x = 0 at first. Writes up to kLqUnit entries beyond the last variable.
  void (*solve)(const DoubleIntegrator &lq, const double *gradient, double *z);
  /// Of a stage's factors: u = by_state x + constant, row by row, `stride` numbers from one row to the next.
  void (*gains)(int joints, const double *factors, double *by_state, int stride, double *constant);
};

/// The widest that this processor has, or the one of that name, null if there is none.
const LqKernel *find_lq_kernel(const char *name = "");

} // namespace sobo
