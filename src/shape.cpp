#include "shape.hpp"

#include <coal/BVH/BVH_model.h>
#include <coal/shape/geometric_shapes.h>

#include "errors.hpp"

namespace sobo {

Shape::Shape(std::shared_ptr<coal::CollisionGeometry> geometry) : geometry_(std::move(geometry)) {
  geometry_->computeLocalAABB(); // here: robots that share the shape are used by several threads
}

std::shared_ptr<Shape> Shape::of(std::shared_ptr<coal::CollisionGeometry> geometry) {
  return std::shared_ptr<Shape>(new Shape(std::move(geometry)));
}

std::shared_ptr<Shape> Shape::box(const Eigen::Vector3d &size) { return of(std::make_shared<coal::Box>(size)); }
std::shared_ptr<Shape> Shape::sphere(double radius) { return of(std::make_shared<coal::Sphere>(radius)); }
std::shared_ptr<Shape> Shape::cylinder(double radius, double length) {
  return of(std::make_shared<coal::Cylinder>(radius, length));
}
std::shared_ptr<Shape> Shape::capsule(double radius, double length) {
  return of(std::make_shared<coal::Capsule>(radius, length));
}
std::shared_ptr<Shape> Shape::half_space(const Eigen::Vector3d &normal, double offset) {
  return of(std::make_shared<coal::Halfspace>(normal, offset));
}

std::shared_ptr<Shape> Shape::mesh(const Rows &vertices, const Faces &faces) {
  const auto model = std::make_shared<coal::BVHModel<coal::OBBRSS>>();
  std::vector<coal::Vec3s> points;
  std::vector<coal::Triangle> triangles;
  for (Eigen::Index i = 0; i < vertices.rows(); ++i)
    points.push_back(vertices.row(i).transpose());
  for (Eigen::Index i = 0; i < faces.rows(); ++i) {
    if (faces.row(i).minCoeff() < 0 || faces.row(i).maxCoeff() >= vertices.rows())
      throw RobotError("a face names a vertex that is not there");
    triangles.emplace_back(faces(i, 0), faces(i, 1), faces(i, 2));
  }
  if (model->beginModel() != coal::BVH_OK || model->addSubModel(points, triangles) != coal::BVH_OK ||
      model->endModel() != coal::BVH_OK)
    throw RobotError("no mesh can be made of these vertices and faces");
  return of(model);
}

std::shared_ptr<Shape> Shape::hull(const Rows &vertices) {
  auto points = std::make_shared<std::vector<coal::Vec3s>>();
  for (Eigen::Index i = 0; i < vertices.rows(); ++i)
    points->push_back(vertices.row(i).transpose());
  try {
    return of(std::shared_ptr<coal::ConvexBase>(
        coal::ConvexBase::convexHull(points, static_cast<unsigned int>(points->size()), false, nullptr)));
  } catch (const std::exception &) {
    throw RobotError("there is no convex hull of these vertices");
  }
}

} // namespace sobo
