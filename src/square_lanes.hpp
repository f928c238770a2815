// J' W J, see arm_kernel.hpp.
#pragma once

#include "lanes.hpp"

namespace sobo {
namespace {

constexpr int kSquareRows = 8, kSquareColumns = 64; // that are kept at once

/// What some rows of J add to a column of the result; `more`: to what is there.
inline void add_column(int rows, int columns, const double (*row)[kSquareColumns], const double *factors, bool more, bool last,
                       double *out) {
  for (int i = 0; i < columns; i += kLanes) {
    Lanes sum = more && !last ? load(out + i) : Lanes{};
    for (int k = 0; k < rows; ++k)
      sum += factors[k] * load(row[k] + i);
    if (!last) {
      store(out + i, sum); // what it writes below the column is zero, or the next column's and written again
      continue;
    }
    for (int l = 0; l < kLanes && i + l < columns; ++l)
      out[i + l] = (more ? out[i + l] : 0.0) + sum[l];
  }
}

void square(int rows, int columns, const double *jacobian, const double *weights, double *out) {
  for (int first = 0; first < rows; first += kSquareRows) {
    const int count = rows - first < kSquareRows ? rows - first : kSquareRows;
    for (int start = 0; start < columns; start += kSquareColumns) {
      const int width = columns - start < kSquareColumns ? columns - start : kSquareColumns;
      alignas(64) double row[kSquareRows][kSquareColumns] = {};
      for (int j = 0; j < width; ++j)
        for (int k = 0; k < count; ++k)
          row[k][j] = jacobian[first + k + rows * (start + j)];
      for (int j = 0; j < columns; ++j) {
        double factors[kSquareRows];
        for (int k = 0; k < count; ++k)
          factors[k] = weights[first + k] * jacobian[first + k + rows * j];
        const bool exact = columns > kSquareColumns || j + 1 == columns;
        add_column(count, width, row, factors, first > 0, exact, out + columns * j + start);
      }
    }
  }
}

} // namespace
} // namespace sobo
