// Python bindings of the policy's rollouts.
#pragma once

#include <nanobind/nanobind.h>

namespace sobo {

void bind_rollout(nanobind::module_ &m);

} // namespace sobo
