#include "bind_arm.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "arm_terms.hpp"
#include "lq_terms.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {

void bind_arm(nb::module_ &m) {
  m.def("arm_terms", &arm_terms, "robot"_a, "X"_a, "A"_a, "W"_a, "kernel"_a = "");
  m.def("arm_kernels", &arm_kernels);
  m.def("integrator_minimum", &integrator_minimum, "joints"_a, "h"_a, "c"_a, "hessians"_a, "weights"_a, "rows"_a, "stages"_a,
        "gradient"_a, "kernel"_a = "");
  m.def("linear_minimum", &linear_minimum, "A"_a, "B"_a, "hessians"_a, "weights"_a, "rows"_a, "stages"_a, "gradient"_a,
        "kernel"_a = "", "last"_a = -1);
}

} // namespace sobo
