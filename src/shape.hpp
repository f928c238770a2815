// Shapes of objects.
#pragma once

#include <memory>
#include <vector>

#include <Eigen/Core>

namespace coal {
class CollisionGeometry;
}

namespace sobo {

/// A shape about its own origin, axes of round ones along z [m]. Robots share them.
class Shape {
public:
  using Rows = Eigen::Matrix<double, Eigen::Dynamic, 3, Eigen::RowMajor>;
  using Faces = Eigen::Matrix<int, Eigen::Dynamic, 3, Eigen::RowMajor>;

  static std::shared_ptr<Shape> box(const Eigen::Vector3d &size);
  static std::shared_ptr<Shape> sphere(double radius);
  static std::shared_ptr<Shape> cylinder(double radius, double length);
  /// All points within a radius of a segment of this length.
  static std::shared_ptr<Shape> capsule(double radius, double length);
  /// All points x with normal . x <= offset.
  static std::shared_ptr<Shape> half_space(const Eigen::Vector3d &normal, double offset);
  /// Triangles: a surface without an inside.
  static std::shared_ptr<Shape> mesh(const Rows &vertices, const Faces &faces);
  /// The convex hull of points, which is solid.
  static std::shared_ptr<Shape> hull(const Rows &vertices);

  const std::shared_ptr<coal::CollisionGeometry> &geometry() const { return geometry_; }

private:
  explicit Shape(std::shared_ptr<coal::CollisionGeometry> geometry);
  static std::shared_ptr<Shape> of(std::shared_ptr<coal::CollisionGeometry> geometry);

  std::shared_ptr<coal::CollisionGeometry> geometry_;
};

} // namespace sobo
