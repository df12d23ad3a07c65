#include "engine/backend/cuda/product.h"
#include "engine/ops/linear.h"

namespace longshadow {

template <class Device, class T, class P>
void linear(Device& device, MatrixView<const P> x, const PackedWeights<P>& weights, MatrixView<T> y,
            Write write) {
  product(device, x, weights.rows(), weights.layout(), y, write == Write::add);
}

template void linear(Cuda&, MatrixView<const float>, const PackedWeights<float>&, MatrixView<float>,
                     Write);
template void linear(Cuda&, MatrixView<const BF16>, const PackedWeights<BF16>&, MatrixView<float>,
                     Write);
template void linear(Cuda&, MatrixView<const double>, const PackedWeights<double>&,
                     MatrixView<double>, Write);

}  // namespace longshadow
