// Python bindings of batches of rollouts.
#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_batch(nanobind::module_ &m);

} // namespace sobo
