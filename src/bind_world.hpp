#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_world(nanobind::module_ &m);

} // namespace sobo
