#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_adjoint(nanobind::module_ &m);

} // namespace sobo
