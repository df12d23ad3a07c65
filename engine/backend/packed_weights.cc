#include "engine/backend/packed_weights.h"

#include <algorithm>
#include <array>
#include <dnnl.hpp>
#include <map>
#include <utility>

#include "engine/backend/dnnl_engine.h"
#include "engine/backend/tile_product.h"
#include "engine/core/error.h"
#include "engine/core/range.h"

namespace longshadow {
namespace {

using dnnl::memory;

std::size_t tile_outputs(std::size_t outputs, std::size_t multiple) {
  require_at_least("PackedWeights", "multiple", multiple, kOutputMultiple);
  require_multiple("PackedWeights", "multiple", multiple, kOutputMultiple);
  const std::size_t tiles = (outputs + kMaxTileOutputs - 1) / kMaxTileOutputs;
  return round_up((outputs + tiles - 1) / tiles, multiple);
}

template <class T>
constexpr memory::data_type kDataType = std::is_same_v<T, BF16>          ? memory::data_type::bf16
                                        : std::is_same_v<T, std::int8_t> ? memory::data_type::s8
                                                                         : memory::data_type::f32;

memory::dim dim(std::size_t value) { return static_cast<memory::dim>(value); }

template <class T>
dnnl::matmul::primitive_desc describe(std::size_t rows, std::size_t inputs, std::size_t width,
                                      const memory::desc& weights) {
  const memory::desc x({dim(rows), dim(inputs)}, kDataType<T>, memory::format_tag::ab);
  const memory::desc y({dim(rows), dim(width)}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return {{x, weights, y}, attributes, dnnl_engine()};
}

template <class T, class Sum>
void check_multiply_tile(const PackedWeights<T>& weights, std::size_t tile, MatrixView<const T> x,
                         MatrixView<Sum> y) {
  if constexpr (kContracts) {
    constexpr const char* kName = "multiply_tile";
    require_at_most(kName, "tile", tile, weights.n_tiles() - 1);
    require_product_rows(kName, "x.rows", x.rows);
    require_at_most(kName, "x.rows", x.rows, kRowTile);
    require_shape(kName, "x", x, x.rows, weights.inputs());
    require_shape(kName, "y", y, x.rows, weights.padded_width(tile));
    require_dense(kName, "x", x);
    require_dense(kName, "y", y);
  }
}

template <class T>
memory::desc any_packing(std::size_t inputs, std::size_t width) {
  return {{dim(inputs), dim(width)}, kDataType<T>, memory::format_tag::any};
}

}  // namespace

template <class T>
struct PackedWeights<T>::Storage {
  /// On the processor, but for f64 weights, which stay in `w`: Eigen packs them itself.
  std::vector<memory> tiles;
  Matrix<T> w;
  MatrixView<const T> rows;
  Matrix<BF16> bf16_w;
  MatrixView<const BF16> bf16_rows;
  RightFactor layout = RightFactor::by_output;
};

template <class T>
PackedWeights<T>::PackedWeights(PackedWeights&&) noexcept = default;
template <class T>
PackedWeights<T>& PackedWeights<T>::operator=(PackedWeights&&) noexcept = default;
template <class T>
PackedWeights<T>::~PackedWeights() = default;

template <class T>
PackedWeights<T>::PackedWeights(Cpu& cpu, MatrixView<const T> w, std::size_t multiple)
    : ProductWeights(element_of<T>(), w.rows, w.cols, tile_outputs(w.rows, multiple)),
      storage_(std::make_unique<Storage>()) {
  storage_->tiles.resize(n_tiles());
  cpu.parallel_for(n_tiles(), [&](std::size_t tile) {
    const std::size_t width = padded_width(tile);
    MatrixView<const T> rows = w.row_range(tile_begin(tile), tile_width(tile));
    Matrix<T> with_zeros;
    if (width != rows.rows) {
      with_zeros = Matrix<T>(cpu.memory(), width, inputs());
      for (std::size_t r = 0; r < rows.rows; ++r) {
        std::copy_n(rows.row(r), inputs(), with_zeros.row(r));
      }
      rows = with_zeros.view();
    }
    const memory::desc packed =
        describe<T>(kRowTile, inputs(), width, any_packing<T>(inputs(), width)).weights_desc();
    const memory::desc plain({dim(inputs()), dim(width)}, kDataType<T>,
                             memory::dims{1, dim(rows.stride)});
    memory from(plain, dnnl_engine(), const_cast<T*>(rows.data));
    storage_->tiles[tile] = memory(packed, dnnl_engine());
    dnnl::reorder(from, storage_->tiles[tile]).execute(dnnl_stream(), from, storage_->tiles[tile]);
  });
}

template <>
PackedWeights<double>::PackedWeights(Cpu& cpu, MatrixView<const double> w, std::size_t multiple)
    : ProductWeights(Element::f64, w.rows, w.cols, tile_outputs(w.rows, multiple)),
      storage_(std::make_unique<Storage>()) {
  storage_->w = Matrix<double>(cpu.memory(), round_up(outputs(), kOutputMultiple), inputs());
  for (std::size_t row = 0; row < outputs(); ++row) {
    std::copy_n(w.row(row), inputs(), storage_->w.row(row));
  }
}

template <class T>
PackedWeights<T>::PackedWeights(std::size_t outputs, std::size_t inputs)
    : ProductWeights(element_of<T>(), outputs, inputs, outputs),
      storage_(std::make_unique<Storage>()) {}

template <class T>
PackedWeights<T>::PackedWeights(MatrixView<const T> w) : PackedWeights(w.rows, w.cols) {
  storage_->rows = w;
}

template <class T>
PackedWeights<T>::PackedWeights(Matrix<T> w) : PackedWeights(std::as_const(w).view()) {
  storage_->w = std::move(w);
}

template <class T>
PackedWeights<T> PackedWeights<T>::kept_in_bf16(Matrix<BF16> w) {
  PackedWeights kept(w.rows(), w.cols());
  kept.storage_->bf16_rows = std::as_const(w).view();
  kept.storage_->bf16_w = std::move(w);
  return kept;
}

template <class T>
MatrixView<const T> PackedWeights<T>::rows() const {
  if (storage_->rows.data == nullptr) {
    throw Error("weights [" + std::to_string(outputs()) + ", " + std::to_string(inputs()) +
                "]: expected rows as they are, found them " +
                (storage_->bf16_rows.data != nullptr ? "kept in bf16" : "packed in tiles"));
  }
  return storage_->rows;
}

template <class T>
MatrixView<const BF16> PackedWeights<T>::bf16_rows() const {
  return storage_->bf16_rows;
}

template <class T>
RightFactor PackedWeights<T>::layout() const {
  return storage_->layout;
}

template <class T>
PackedWeights<T> PackedWeights<T>::transposed() const {
  require_that(storage_->rows.data != nullptr || storage_->bf16_rows.data != nullptr,
               "PackedWeights::transposed", "W", "in tiles", "as it is");
  require_that(layout() == RightFactor::by_output, "PackedWeights::transposed", "W",
               "transposed itself", "as it is");
  PackedWeights turned(inputs(), outputs());
  turned.storage_->rows = storage_->rows;
  turned.storage_->bf16_rows = storage_->bf16_rows;
  turned.storage_->layout = RightFactor::by_input;
  return turned;
}

template <class T>
template <class Sum>
void PackedWeights<T>::multiply_tile(std::size_t tile, MatrixView<const T> x,
                                     MatrixView<Sum> y) const {
  check_multiply_tile(*this, tile, x, y);
  struct Primitive {
    dnnl::matmul matmul;
    memory::desc x, y;
    memory scratch;
  };
  thread_local std::map<std::array<std::size_t, 3>, Primitive> primitives;
  const std::size_t width = padded_width(tile);
  const std::array key{x.rows, inputs(), width};
  try {
    auto found = primitives.find(key);
    if (found == primitives.end()) {
      const auto description =
          describe<T>(x.rows, inputs(), width, storage_->tiles[tile].get_desc());
      found = primitives
                  .emplace(key, Primitive{dnnl::matmul(description), description.src_desc(),
                                          description.dst_desc(),
                                          memory(description.scratchpad_desc(), dnnl_engine())})
                  .first;
    }
    const Primitive& primitive = found->second;
    primitive.matmul.execute(
        dnnl_stream(), {{DNNL_ARG_SRC, memory(primitive.x, dnnl_engine(), const_cast<T*>(x.data))},
                        {DNNL_ARG_WEIGHTS, storage_->tiles[tile]},
                        {DNNL_ARG_DST, memory(primitive.y, dnnl_engine(), y.data)},
                        {DNNL_ARG_SCRATCHPAD, primitive.scratch}});
  } catch (const dnnl::error& error) {
    throw Error("product with weights [" + std::to_string(outputs()) + ", " +
                std::to_string(inputs()) + "]: oneDNN says " + error.message);
  }
}

template <>
template <>
void PackedWeights<double>::multiply_tile(std::size_t tile, MatrixView<const double> x,
                                          MatrixView<double> y) const {
  check_multiply_tile(*this, tile, x, y);
  tile_product<double, double>(x,
                               storage_->w.view().row_range(tile_begin(tile), padded_width(tile)),
                               RightFactor::by_output, y, false);
}

template class PackedWeights<float>;
template class PackedWeights<BF16>;
template class PackedWeights<std::int8_t>;
template class PackedWeights<double>;
template void PackedWeights<float>::multiply_tile(std::size_t, MatrixView<const float>,
                                                  MatrixView<float>) const;
template void PackedWeights<BF16>::multiply_tile(std::size_t, MatrixView<const BF16>,
                                                 MatrixView<float>) const;
template void PackedWeights<std::int8_t>::multiply_tile(std::size_t, MatrixView<const std::int8_t>,
                                                        MatrixView<float>) const;

}  // namespace longshadow
