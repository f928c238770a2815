#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

// Adds the policy network to the module.
void bind_unet(nanobind::module_ &m);

} // namespace sobo
