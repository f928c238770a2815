// Arithmetic of the interior-point method for LQ problems on plain arrays: the barrier's terms of all rows, and Riccati
// recursions. lq_kernel.cpp is compiled once for each set of instructions; find_lq_kernel chooses at run
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

/// x = [q, v], q' = q + h v + c u, v' = v + h u. Variables of all stages lie one after the other: [q, v, u], ..., [q, v].
struct DoubleIntegrator {
  int joints, steps;
  double h, c;
  const double *hessians; // a stage's packed one after the other
  double *factors;        // of all steps
  GeneralRows rows;
};

/// x' = A x + B u. Variables of all stages lie one after the other: [x, u], ..., [x].
struct DenseProblem {
  int nx, nu, steps;
  const double *stages;   // packed one after the other
  double *factors, *work; // of all steps; memory of `DenseKernel::work` doubles
  double *values;         // of every `DenseKernel::kept`th step, `DenseKernel::value` doubles each, from step 0 on
  GeneralRows rows;
};

/// [Q S; S' R] + share * extra + diagonal * unit matrix, over [x, u], or Q alone, over x, where `last`. Matrices lie column by
/// column, a column so many numbers after the one before; there may be no extra one.
struct StageHessian {
  struct Block {
    const double *at;
    int stride;
    const double *column(int j) const { return at ? at + stride * j : nullptr; }
  };
  int nx, nu;
  bool last;
  Block Q, S, R, extra;
  double share, diagonal;

  /// Of a whole matrix.
  static StageHessian of(int nx, int nu, bool last, const double *matrix, int stride) {
    const double *of_u = matrix + stride * nx;
    return {nx, nu, last, {matrix, stride}, {of_u, stride}, {of_u + nx, stride}, {nullptr, 0}, 0.0, 0.0};
  }
};

/// As the functions of double integrators in LqKernel.
struct DenseKernel {
  std::size_t (*packed)(int nx, int nu);
  std::size_t (*factored)(int nx, int nu);
  std::size_t (*work)(int nx, int nu);
  std::size_t (*value)(int nx, int nu);
  int kept;
  /// A and B column by column; they do not matter where the Hessian is the last one.
  void (*pack)(const StageHessian &hessian, const double *A, const double *B, double *packed);
  void (*multiply)(int nx, int nu, bool last, const double *packed, const double *z, double *out);
  /// Of stages after `last`, weights and rows must be those of the call before, whose factors stay.
  bool (*factor)(const DenseProblem &lq, const double *weights, int last);
  void (*solve)(const DenseProblem &lq, const double *gradient, double *z, double *slope_at_start);
  void (*costates)(const DenseProblem &lq, const double *weights, const double *gradient, const double *z, double *out);
  void (*gains)(int nx, int nu, const double *factors, double *by_state, int stride, double *constant);
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
  /// The minimum z for this gradient, with x = 0 at first, and what that minimum's value changes with the first x, unless
  /// null. Writes up to kLqUnit entries beyond the last variable.
  void (*solve)(const DoubleIntegrator &lq, const double *gradient, double *z, double *slope_at_start);
  /// Slopes of the problem by the states [q, v] of all stages at z, with what the states after them contribute.
  void (*costates)(const DoubleIntegrator &lq, const double *weights, const double *gradient, const double *z, double *out);
  /// Of a stage's factors: u = by_state x + constant, row by row, `stride` numbers from one row to the next.
  void (*gains)(int joints, const double *factors, double *by_state, int stride, double *constant);

  DenseKernel dense;
};

/// The widest that this processor has, or the one of that name, null if there is none.
const LqKernel *find_lq_kernel(const char *name = "");

} // namespace sobo
