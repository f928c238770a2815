// Quadratic terms that callers add to the cost of each stage.
#pragma once

#include <memory>
#include <vector>

#include "robot.hpp"

namespace sobo {

struct Problem;

/// 1/2 z'Hz + g'z + c.
struct QuadraticTerm {
  MatrixXd H;
  VectorXd g;
  double c = 0.0;
};

/// One over z = [x, u] a stage, where u are the controls that callers see, and one over z = x at the end, where no entries stand for no term.
struct StageTerms {
  /// `hessians` are a stage's in a row, row by row, and are made symmetric. Throws SolverError on sizes that disagree, a NaN
  /// or an infinity.
  StageTerms(const RowMatrixXd &hessians, const RowMatrixXd &gradients, const VectorXd &constants, const MatrixXd &last_hessian,
             const VectorXd &last_gradient, double last_constant);

  std::vector<QuadraticTerm> terms; // the last one at the end
};

/// What all stages of a problem look at, so that their terms change in place.
struct TermsSlot {
  std::shared_ptr<const StageTerms> terms; // null for none
  const QuadraticTerm *term(std::size_t t) const {
    return terms && terms->terms[t].g.size() > 0 ? &terms->terms[t] : nullptr;
  }
};

/// Gives each stage of a problem, and its end, a cost that adds the terms of its slot, if it has none yet. A solver has to be
/// set up again for it.
void make_room_for_terms(Problem &problem);

} // namespace sobo
