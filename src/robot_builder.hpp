// What a Robot is made of, from a URDF.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "robot_impl.hpp"

namespace sobo {

/// As the constructor of Robot.
std::shared_ptr<RobotImpl> build_robot(const std::string &urdf_xml, const std::string &tool_frame,
                                       const std::map<std::string, double> &locked, const VectorXd &armature,
                                       const std::vector<std::string> &package_dirs, bool collision);

/// The link of a name, or else the joint or fixed frame.
std::optional<pinocchio::FrameIndex> find_frame(const pinocchio::Model &model, const std::string &name);

} // namespace sobo
