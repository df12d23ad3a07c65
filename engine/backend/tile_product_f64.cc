// Compiled once per instruction set (see CMakeLists.txt): LONGSHADOW_ISA names this copy. Renaming
// Eigen's namespace keeps its inline functions from being merged with those of another copy, which
// the processor at hand may be unable to run.
#define LONGSHADOW_CONCAT_(a, b) a##b
#define LONGSHADOW_CONCAT(a, b) LONGSHADOW_CONCAT_(a, b)
#define Eigen LONGSHADOW_CONCAT(Eigen_, LONGSHADOW_ISA)
#define EIGEN_DONT_PARALLELIZE
#include "engine/backend/tile_product_f64.h"

#include <Eigen/Core>

namespace longshadow {

void LONGSHADOW_CONCAT(f64_product_, LONGSHADOW_ISA)(MatrixView<const double> a,
                                                     MatrixView<const double> b, RightFactor layout,
                                                     MatrixView<double> c, bool accumulate) {
  using RowMajor = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Stride = Eigen::OuterStride<>;
  const auto map = [](MatrixView<const double> m) {
    return Eigen::Map<const RowMajor, 0, Stride>(m.data, m.rows, m.cols, Stride(m.stride));
  };
  Eigen::Map<RowMajor, 0, Stride> out(c.data, c.rows, c.cols, Stride(c.stride));
  if (!accumulate) out.setZero();
  if (layout == RightFactor::by_output) {
    out.noalias() += map(a) * map(b).transpose();
  } else {
    out.noalias() += map(a) * map(b);
  }
}

}  // namespace longshadow
