// Python bindings of the native extension.
#include <nanobind/nanobind.h>

#include <aligator/config.hpp>

namespace nb = nanobind;

NB_MODULE(_native, m) {
  m.doc() = "Problems, solver and rollouts over Aligator and Pinocchio.";
  m.attr("aligator_version") = ALIGATOR_VERSION;
}
