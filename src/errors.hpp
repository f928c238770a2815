// Errors of the native extension; bindings.cpp translates each into the Python class of the same name.
#pragma once

#include <stdexcept>

namespace sobo {

struct RobotError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct SolverError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct PolicyError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

} // namespace sobo
