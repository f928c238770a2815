// Python bindings of the native extension. Shapes and units are documented in sobo_planner/robot/robot.py and
// sobo_planner/solver/solver.py.
#include <nanobind/eigen/dense.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>

#include "bind_adjoint.hpp"
#include "bind_arm.hpp"
#include "bind_batch.hpp"
#include "bind_curves.hpp"
#include "bind_quadrotor.hpp"
#include "bind_rollout.hpp"
#include "bind_unet.hpp"
#include "bind_worker.hpp"
#include "bind_world.hpp"
#include "cost_terms.hpp"
#include "errors.hpp"
#include "global_path.hpp"
#include "inverse_kinematics.hpp"
#include "near.hpp"
#include "rollout.hpp"
#include "worker.hpp"

namespace nb = nanobind;
using namespace nb::literals;
using namespace sobo;

namespace {

// A reference that is kept for the life of the process.
PyObject *error_class(const char *name) {
  return nb::object(nb::module_::import_("sobo_planner.errors").attr(name)).release().ptr();
}

// A C++ error becomes the class of the same name in sobo_planner.errors.
void translate_errors() {
  static PyObject *robot_error = error_class("RobotError");
  static PyObject *solver_error = error_class("SolverError");
  static PyObject *policy_error = error_class("PolicyError");
  nb::register_exception_translator([](const std::exception_ptr &p, void *) {
    try {
      std::rethrow_exception(p);
    } catch (const RobotError &e) {
      PyErr_SetString(robot_error, e.what());
    } catch (const SolverError &e) {
      PyErr_SetString(solver_error, e.what());
    } catch (const PolicyError &e) {
      PyErr_SetString(policy_error, e.what());
    }
  });
}

void bind_robot(nb::module_ &m) {
  nb::class_<Robot>(m, "Robot")
      .def(nb::init<const std::string &, const std::string &, const std::map<std::string, double> &,
                    const VectorXd &, const std::vector<std::string> &, bool>(),
           "urdf_xml"_a, "tool_frame"_a, "locked"_a, "armature"_a, "package_dirs"_a, "collision"_a)
      .def("with_mass_scale", &Robot::with_mass_scale, "factor"_a)
      .def("with_payload", &Robot::with_payload, "mass"_a, "centre"_a)
      .def("with_surroundings", &Robot::with_surroundings, "gravity"_a, "damping"_a)
      .def_prop_ro("damping", &Robot::damping)
      .def_prop_ro("friction", &Robot::friction)
      .def("linear_torques", &Robot::linear_torques, "X"_a, "A"_a)
      .def_prop_ro("name", &Robot::name)
      .def_prop_ro("nq", &Robot::nq)
      .def_prop_ro("nv", &Robot::nv)
      .def_prop_ro("joint_names", &Robot::joint_names)
      .def_prop_ro("position_lower", &Robot::position_lower)
      .def_prop_ro("position_upper", &Robot::position_upper)
      .def_prop_ro("velocity_limit", &Robot::velocity_limit)
      .def_prop_ro("effort_limit", &Robot::effort_limit)
      .def_prop_ro("has_collision_geometry", &Robot::has_collision_geometry)
      .def("tool_position", &Robot::tool_position, "q"_a)
      .def("tool_pose", &Robot::tool_pose, "q"_a)
      .def("pose_error", &Robot::pose_error, "q"_a, "target"_a)
      .def("frame_position", &Robot::frame_position, "q"_a, "frame"_a)
      .def("tool_jacobian", &Robot::tool_jacobian, "q"_a)
      .def("tool_pose_jacobian", &Robot::tool_pose_jacobian, "q"_a)
      .def("joint_placement", &Robot::joint_placement, "q"_a, "index"_a)
      .def("forward_dynamics", &Robot::forward_dynamics, "q"_a, "v"_a, "tau"_a)
      .def("inverse_dynamics", &Robot::inverse_dynamics, "q"_a, "v"_a, "a"_a)
      .def("gravity", &Robot::gravity, "q"_a)
      .def(
          "step",
          [](const Robot &robot, const VectorXd &x, const VectorXd &u, double dt, const std::string &integrator) {
            return robot.step(x, u, dt, integrator_of(integrator));
          },
          "x"_a, "u"_a, "dt"_a, "integrator"_a)
      .def(
          "approach",
          [](const Robot &robot, const VectorXd &q, const VectorXd &target, int steps, const VectorXd &lower,
             const VectorXd &upper, double tolerance, double max_step, double lever) {
            nb::gil_scoped_release release;
            return approach(robot, q, target, steps, {lower, upper, tolerance, max_step, lever});
          },
          "q"_a, "target"_a, "steps"_a, nb::kw_only(), "lower"_a, "upper"_a, "tolerance"_a, "max_step"_a, "lever"_a)
      .def("with_world", &Robot::with_world, "shapes"_a, "loads"_a, "allowed"_a, "margin"_a)
      .def("contact", &Robot::contact, "q"_a)
      .def("colliding_pair", &Robot::colliding_pair, "q"_a)
      .def("first_contact", &Robot::first_contact, "times"_a, "Q"_a, "V"_a, "leaving"_a,
           nb::call_guard<nb::gil_scoped_release>())
      .def(
          "global_path",
          [](const Robot &robot, const VectorXd &start, const RowMatrixXd &goals, const VectorXd &lower,
             const VectorXd &upper, const GlobalPathOptions &options) {
            nb::gil_scoped_release release;
            return global_path(robot.impl(), start, goals, lower, upper, options);
          },
          "start"_a, "goals"_a, "lower"_a, "upper"_a, "options"_a)
      .def(
          "near", [](const Robot &robot, const VectorXd &q, double within) { return near_bodies(robot.impl(), q, within); },
          "q"_a, "within"_a)
      .def("nearest_object", &Robot::nearest_object, "Q"_a, nb::call_guard<nb::gil_scoped_release>())
      .def(
          "first_collision",
          [](const Robot &robot, const RowMatrixXd &Q) {
            nb::gil_scoped_release release;
            return robot.first_collision(Q);
          },
          "Q"_a);
  m.def(
      "simulate",
      [](const Robot &robot, const VectorXd &x0, const RowMatrixXd &U, double dt, const std::string &integrator) {
        nb::gil_scoped_release release;
        return simulate(robot, x0, U, dt, integrator_of(integrator));
      },
      "robot"_a, "x0"_a, "U"_a, "dt"_a, "integrator"_a);
  m.def(
      "track",
      [](const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, double dt, double blend,
         const VectorXd &torque_limit, const VectorXd &velocity_limit, const VectorXd &acceleration_limit,
         const std::string &integrator) {
        nb::gil_scoped_release release;
        const Limits limits{torque_limit, velocity_limit, acceleration_limit};
        Tracking out = track(robot, x0, desired, dt, blend, limits, integrator_of(integrator));
        return std::make_pair(out.X, out.U);
      },
      "robot"_a, "x0"_a, "desired"_a, "dt"_a, "blend"_a, "torque_limit"_a, "velocity_limit"_a,
      "acceleration_limit"_a, "integrator"_a);
  m.def(
      "follow_feedback",
      [](const Robot &robot, const VectorXd &x0, const RowMatrixXd &desired, const RowMatrixXd &torques,
         const RowMatrixXd &gains, const VectorXd &dt, const VectorXd &torque_limit, const std::string &integrator) {
        nb::gil_scoped_release release;
        return follow_feedback(robot, x0, desired, torques, gains, dt, torque_limit, integrator_of(integrator));
      },
      "robot"_a, "x0"_a, "desired"_a, "torques"_a, "gains"_a, "dt"_a,
        "torque_limit"_a, "integrator"_a);
}

void bind_specs(nb::module_ &m) {
  nb::class_<Box>(m, "Box")
      .def("__init__", [](Box *self, const VectorXd &lower, const VectorXd &upper) { new (self) Box{lower, upper}; },
           "lower"_a, "upper"_a);
  nb::class_<ReachWeights>(m, "ReachWeights")
      .def(nb::init<>())
      .def_rw("position", &ReachWeights::position)
      .def_rw("orientation", &ReachWeights::orientation)
      .def_rw("state", &ReachWeights::state)
      .def_rw("control", &ReachWeights::control)
      .def_rw("state_reference", &ReachWeights::state_reference)
      .def_rw("control_reference", &ReachWeights::control_reference)
      .def_rw("self_distance", &ReachWeights::self_distance)
      .def_rw("self_margin", &ReachWeights::self_margin)
      .def_rw("object_margin", &ReachWeights::object_margin);
  nb::class_<ReachSpec>(m, "ReachSpec")
      .def(nb::init<>())
      .def_rw("horizon", &ReachSpec::horizon)
      .def_rw("dt", &ReachSpec::dt)
      .def_rw("integrator", &ReachSpec::integrator)
      .def_rw("actuation", &ReachSpec::actuation)
      .def_rw("accelerations", &ReachSpec::accelerations)
      .def_rw("running", &ReachSpec::running)
      .def_rw("terminal", &ReachSpec::terminal)
      .def_rw("control", &ReachSpec::control)
      .def_rw("velocity", &ReachSpec::velocity)
      .def_rw("position", &ReachSpec::position)
      .def_rw("acceleration", &ReachSpec::acceleration)
      .def_rw("ramp_start", &ReachSpec::ramp_start)
      .def_rw("ramp_end", &ReachSpec::ramp_end)
      .def_rw("joints", &ReachSpec::joints)
      .def_rw("adaptable", &ReachSpec::adaptable);
  m.def(
      "reach_cost",
      [](const Robot &robot, const ReachWeights &weights, const VectorXd &target, const VectorXd &x) {
        CostTerms terms = reach_cost(robot, weights, target, x);
        return std::make_tuple(terms.value, terms.gradient, terms.hessian);
      },
      "robot"_a, "weights"_a, "target"_a, "x"_a);
  nb::class_<LinearSpec>(m, "LinearSpec")
      .def(nb::init<>())
      .def_rw("horizon", &LinearSpec::horizon)
      .def_rw("A", &LinearSpec::A)
      .def_rw("B", &LinearSpec::B)
      .def_rw("c", &LinearSpec::c)
      .def_rw("Q", &LinearSpec::Q)
      .def_rw("R", &LinearSpec::R)
      .def_rw("q", &LinearSpec::q)
      .def_rw("r", &LinearSpec::r)
      .def_rw("Qf", &LinearSpec::Qf)
      .def_rw("qf", &LinearSpec::qf)
      .def_rw("control", &LinearSpec::control)
      .def_rw("state", &LinearSpec::state);
}

} // namespace

NB_MODULE(_native, m) {
  m.doc() = "Solver, rollouts (Aligator, Pinocchio) and the policy network.";
  nb::set_leak_warnings(false); // robots and solvers may well live until the interpreter ends
  translate_errors();
  bind_world(m);
  bind_robot(m);
  bind_specs(m);
  bind_arm(m);
  bind_quadrotor(m);
  bind_batch(m);
  bind_curves(m);
  bind_worker(m);
  bind_adjoint(m);
  bind_unet(m);
  bind_rollout(m);
}
