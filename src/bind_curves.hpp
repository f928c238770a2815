// Python bindings of splines and of the bounds that they keep.
#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_curves(nanobind::module_ &m);

} // namespace sobo
