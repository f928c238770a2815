// Python bindings of shapes, placed shapes and contacts.
#include "bind_world.hpp"

#include <nanobind/eigen/dense.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include "global_path.hpp"
#include "near.hpp"
#include "robot.hpp"
#include "shape.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sobo {

void bind_world(nb::module_ &m) {
  nb::class_<Shape>(m, "Shape")
      .def_static("box", &Shape::box, "size"_a)
      .def_static("sphere", &Shape::sphere, "radius"_a)
      .def_static("cylinder", &Shape::cylinder, "radius"_a, "length"_a)
      .def_static("capsule", &Shape::capsule, "radius"_a, "length"_a)
      .def_static("half_space", &Shape::half_space, "normal"_a, "offset"_a)
      .def_static("mesh", &Shape::mesh, "vertices"_a, "faces"_a)
      .def_static("hull", &Shape::hull, "vertices"_a);
  nb::class_<PlacedShape>(m, "PlacedShape")
      .def("__init__",
           [](PlacedShape *self, const std::string &name, const std::string &link, std::shared_ptr<Shape> shape,
              const VectorXd &pose) { new (self) PlacedShape{name, link, std::move(shape), pose}; },
           "name"_a, "link"_a, "shape"_a, "pose"_a);
  nb::class_<Load>(m, "Load")
      .def("__init__",
           [](Load *self, const std::string &link, double mass, const Vector3d &centre) {
             new (self) Load{link, mass, centre};
           },
           "link"_a, "mass"_a, "centre"_a);
  nb::class_<Contact>(m, "Contact")
      .def_ro("time", &Contact::time)
      .def_ro("first", &Contact::first)
      .def_ro("second", &Contact::second)
      .def_ro("distance", &Contact::distance)
      .def_ro("object", &Contact::object);
  nb::class_<NearBodies>(m, "NearBodies")
      .def_ro("contact", &NearBodies::contact)
      .def_ro("gap", &NearBodies::gap)
      .def_ro("slope", &NearBodies::slope);
  nb::class_<GlobalPathOptions>(m, "GlobalPathOptions")
      .def(nb::init<>())
      .def_rw("seed", &GlobalPathOptions::seed)
      .def_rw("range", &GlobalPathOptions::range)
      .def_rw("max_samples", &GlobalPathOptions::max_samples)
      .def_rw("shortcuts", &GlobalPathOptions::shortcuts)
      .def_rw("beyond", &GlobalPathOptions::beyond)
      .def_rw("time_limit", &GlobalPathOptions::time_limit)
      .def_rw("interrupt", &GlobalPathOptions::interrupt, nb::arg().none());
}

} // namespace sobo
