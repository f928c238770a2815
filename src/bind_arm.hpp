// Python bindings of what the solver computes of an arm.
#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_arm(nanobind::module_ &m);

} // namespace sobo
