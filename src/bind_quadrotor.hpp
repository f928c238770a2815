// Python bindings of quadrotors.
#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_quadrotor(nanobind::module_ &m);

} // namespace sobo
