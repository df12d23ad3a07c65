#include "engine/backend/packed_weights.h"

#include <array>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <utility>
#include <vector>

#include "engine/backend/cpu.h"
#include "engine/backend/dnnl_engine.h"
#include "engine/backend/tile_product.h"
#include "engine/core/error.h"
#include "engine/core/range.h"

namespace longshadow {
namespace {

using dnnl::memory;

/// Outputs of every tile but the last.
std::size_t outputs_of_tile(std::size_t outputs, std::size_t multiple) {
  require_at_least("PackedWeights", "multiple", multiple, kOutputMultiple);
  require_multiple("PackedWeights", "multiple", multiple, kOutputMultiple);
  const std::size_t tiles = (outputs + kMaxTileOutputs - 1) / kMaxTileOutputs;
  return round_up((outputs + tiles - 1) / tiles, multiple);
}

memory::data_type data_type_of(Element element) {
  if (element == Element::bf16) return memory::data_type::bf16;
  if (element == Element::i8) return memory::data_type::s8;
  return memory::data_type::f32;
}

memory::dim dim(std::size_t value) { return static_cast<memory::dim>(value); }

dnnl::matmul::primitive_desc describe(Element element, std::size_t rows, std::size_t inputs,
                                      std::size_t width, const memory::desc& weights) {
  const memory::desc x({dim(rows), dim(inputs)}, data_type_of(element), memory::format_tag::ab);
  const memory::desc y({dim(rows), dim(width)}, memory::data_type::f32, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return {{x, weights, y}, attributes, dnnl_engine()};
}

/// rows [up to width, inputs] as the packed factor of a tile of so many outputs.
memory pack_tile(ConstTensorView rows, std::size_t width) {
  Tensor with_zeros;
  if (width != rows.rows) {
    with_zeros = Tensor(host_memory(), rows.element, width, rows.cols);
    for (std::size_t r = 0; r < rows.rows; ++r) {
      std::memcpy(with_zeros.view().row_range(r, 1).data, rows.row_range(r, 1).data,
                  rows.cols * size_of(rows.element));
    }
    rows = with_zeros.view();
  }
  const memory::data_type type = data_type_of(rows.element);
  const memory::desc any({dim(rows.cols), dim(width)}, type, memory::format_tag::any);
  const memory::desc packed =
      describe(rows.element, kRowTile, rows.cols, width, any).weights_desc();
  const memory::desc plain({dim(rows.cols), dim(width)}, type, memory::dims{1, dim(rows.stride)});
  memory from(plain, dnnl_engine(), const_cast<std::byte*>(rows.data));
  memory tile(packed, dnnl_engine());
  dnnl::reorder(from, tile).execute(dnnl_stream(), from, tile);
  return tile;
}

void check_multiply_tile(const PackedWeights& weights, std::size_t tile, ConstTensorView x,
                         TensorView y) {
  if constexpr (kContracts) {
    constexpr const char* kName = "multiply_tile";
    require_at_most(kName, "tile", tile, weights.n_tiles() - 1);
    require_that(x.element == weights.element(), kName, "x.element", name_of(x.element),
                 name_of(weights.element()));
    const Element sum = weights.element() == Element::f64 ? Element::f64 : Element::f32;
    require_that(y.element == sum, kName, "y.element", name_of(y.element), name_of(sum));
    require_product_rows(kName, "x.rows", x.rows);
    require_at_most(kName, "x.rows", x.rows, kRowTile);
    require_shape(kName, "x", x, x.rows, weights.inputs());
    require_shape(kName, "y", y, x.rows, weights.padded_width(tile));
    require_dense(kName, "x", x);
    require_dense(kName, "y", y);
  }
}

}  // namespace

struct PackedWeights::Storage {
  /// On the processor, but for f64 weights, which stay in `w`: Eigen packs them itself.
  std::vector<memory> tiles;
  Tensor w;
  ConstTensorView rows;
  Tensor bf16_w;
  ConstTensorView bf16_rows;
  RightFactor layout = RightFactor::by_output;
};

PackedWeights::PackedWeights(PackedWeights&&) noexcept = default;
PackedWeights& PackedWeights::operator=(PackedWeights&&) noexcept = default;
PackedWeights::~PackedWeights() = default;

PackedWeights::PackedWeights(Element element, std::size_t outputs, std::size_t inputs,
                             std::size_t tile_outputs)
    : element_(element),
      outputs_(outputs),
      inputs_(inputs),
      tile_outputs_(tile_outputs),
      storage_(std::make_unique<Storage>()) {}

PackedWeights::PackedWeights(Cpu& cpu, ConstTensorView w, std::size_t multiple)
    : PackedWeights(w.element, w.rows, w.cols, outputs_of_tile(w.rows, multiple)) {
  if (w.element == Element::f64) {
    storage_->w = Tensor(cpu.memory(), w.element, round_up(outputs(), kOutputMultiple), inputs());
    for (std::size_t row = 0; row < outputs(); ++row) {
      std::memcpy(storage_->w.view().row_range(row, 1).data, w.row_range(row, 1).data,
                  inputs() * sizeof(double));
    }
    return;
  }
  storage_->tiles.resize(n_tiles());
  cpu.parallel_for(n_tiles(), [&](std::size_t tile) {
    storage_->tiles[tile] =
        pack_tile(w.row_range(tile_begin(tile), tile_width(tile)), padded_width(tile));
  });
}

PackedWeights::PackedWeights(ConstTensorView w) : PackedWeights(w.element, w.rows, w.cols, w.rows) {
  storage_->rows = w;
}

PackedWeights::PackedWeights(Tensor w) : PackedWeights(std::as_const(w).view()) {
  storage_->w = std::move(w);
}

PackedWeights PackedWeights::kept_in_bf16(Tensor w) {
  PackedWeights kept(Element::f32, w.rows(), w.cols(), w.rows());
  kept.storage_->bf16_rows = std::as_const(w).view();
  kept.storage_->bf16_w = std::move(w);
  return kept;
}

ConstTensorView PackedWeights::rows() const {
  if (storage_->rows.data == nullptr) {
    throw Error("weights [" + std::to_string(outputs()) + ", " + std::to_string(inputs()) +
                "]: expected rows as they are, found them " +
                (storage_->bf16_rows.data != nullptr ? "kept in bf16" : "packed in tiles"));
  }
  return storage_->rows;
}

ConstTensorView PackedWeights::bf16_rows() const { return storage_->bf16_rows; }

RightFactor PackedWeights::layout() const { return storage_->layout; }

PackedWeights PackedWeights::transposed() const {
  require_that(storage_->rows.data != nullptr || storage_->bf16_rows.data != nullptr,
               "PackedWeights::transposed", "W", "in tiles", "as it is");
  require_that(layout() == RightFactor::by_output, "PackedWeights::transposed", "W",
               "transposed itself", "as it is");
  PackedWeights turned(element_, inputs(), outputs(), inputs());
  turned.storage_->rows = storage_->rows;
  turned.storage_->bf16_rows = storage_->bf16_rows;
  turned.storage_->layout = RightFactor::by_input;
  return turned;
}

void PackedWeights::multiply_tile(std::size_t tile, ConstTensorView x, TensorView y) const {
  check_multiply_tile(*this, tile, x, y);
  const std::size_t width = padded_width(tile);
  if (element_ == Element::f64) {
    const ConstTensorView w = std::as_const(storage_->w).view();
    tile_product<double, double>(x.as<double>(), w.row_range(tile_begin(tile), width).as<double>(),
                                 RightFactor::by_output, y.as<double>(), false);
    return;
  }
  struct Primitive {
    dnnl::matmul matmul;
    memory::desc x, y;
    memory scratch;
  };
  thread_local std::map<std::array<std::size_t, 4>, Primitive> primitives;
  const std::array key{static_cast<std::size_t>(element_), x.rows, inputs(), width};
  try {
    auto found = primitives.find(key);
    if (found == primitives.end()) {
      const auto description =
          describe(element_, x.rows, inputs(), width, storage_->tiles[tile].get_desc());
      found = primitives
                  .emplace(key, Primitive{dnnl::matmul(description), description.src_desc(),
                                          description.dst_desc(),
                                          memory(description.scratchpad_desc(), dnnl_engine())})
                  .first;
    }
    const Primitive& primitive = found->second;
    primitive.matmul.execute(
        dnnl_stream(),
        {{DNNL_ARG_SRC, memory(primitive.x, dnnl_engine(), const_cast<std::byte*>(x.data))},
         {DNNL_ARG_WEIGHTS, storage_->tiles[tile]},
         {DNNL_ARG_DST, memory(primitive.y, dnnl_engine(), y.data)},
         {DNNL_ARG_SCRATCHPAD, primitive.scratch}});
  } catch (const dnnl::error& error) {
    throw Error("product with weights [" + std::to_string(outputs()) + ", " +
                std::to_string(inputs()) + "]: oneDNN says " + error.message);
  }
}

}  // namespace longshadow
