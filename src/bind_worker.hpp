// Python bindings of solvers.
#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_worker(nanobind::module_ &m);

} // namespace sobo
