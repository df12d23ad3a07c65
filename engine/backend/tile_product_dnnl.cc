#include <array>
#include <cstdint>
#include <dnnl.hpp>
#include <map>
#include <string>
#include <vector>

#include "engine/backend/dnnl_engine.h"
#include "engine/backend/tile_product.h"
#include "engine/core/error.h"

namespace longshadow {
namespace {

using dnnl::memory;

/// m, k, n, the three strides, layout and accumulate.
using Key = std::array<std::size_t, 8>;

struct Primitive {
  dnnl::matmul matmul;
  memory a, b, c, scratch;
};

template <class In>
constexpr memory::data_type kDataType =
    std::is_same_v<In, BF16> ? memory::data_type::bf16 : memory::data_type::f32;

memory::desc strided(std::size_t rows, std::size_t cols, memory::data_type type,
                     std::size_t row_stride, std::size_t col_stride) {
  const auto dim = [](std::size_t value) { return static_cast<memory::dim>(value); };
  return {{dim(rows), dim(cols)}, type, memory::dims{dim(row_stride), dim(col_stride)}};
}

template <class In>
Primitive make_primitive(const Key& key) {
  const auto [m, k, n, a_stride, b_stride, c_stride, by_output, accumulate] = key;
  const memory::desc a = strided(m, k, kDataType<In>, a_stride, 1);
  const memory::desc b = by_output ? strided(k, n, kDataType<In>, 1, b_stride)
                                   : strided(k, n, kDataType<In>, b_stride, 1);
  const memory::desc c = strided(m, n, memory::data_type::f32, c_stride, 1);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (accumulate) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::primitive_desc description({a, b, c}, attributes, dnnl_engine());
  return {dnnl::matmul(description), memory(a, dnnl_engine(), nullptr),
          memory(b, dnnl_engine(), nullptr), memory(c, dnnl_engine(), nullptr),
          memory(description.scratchpad_desc(), dnnl_engine())};
}

template <class In>
void dnnl_product(MatrixView<const In> a, MatrixView<const In> b, RightFactor layout,
                  MatrixView<float> c, bool accumulate) {
  thread_local std::map<Key, Primitive> primitives;
  const Key key{c.rows,   a.cols,   c.cols,
                a.stride, b.stride, c.stride,
                layout == RightFactor::by_output, accumulate};
  try {
    auto found = primitives.find(key);
    if (found == primitives.end()) {
      found = primitives.emplace(key, make_primitive<In>(key)).first;
    }
    Primitive& primitive = found->second;
    primitive.a.set_data_handle(const_cast<In*>(a.data));
    primitive.b.set_data_handle(const_cast<In*>(b.data));
    primitive.c.set_data_handle(c.data);
    primitive.matmul.execute(dnnl_stream(), {{DNNL_ARG_SRC, primitive.a},
                                             {DNNL_ARG_WEIGHTS, primitive.b},
                                             {DNNL_ARG_DST, primitive.c},
                                             {DNNL_ARG_SCRATCHPAD, primitive.scratch}});
  } catch (const dnnl::error& error) {
    throw Error("matrix product [" + std::to_string(c.rows) + ", " + std::to_string(a.cols) +
                "] x [" + std::to_string(a.cols) + ", " + std::to_string(c.cols) +
                "]: oneDNN says " + error.message);
  }
}

}  // namespace

template <>
void tile_product(MatrixView<const float> a, MatrixView<const float> b, RightFactor layout,
                  MatrixView<float> c, bool accumulate) {
  dnnl_product<float>(a, b, layout, c, accumulate);
}

template <>
void tile_product(MatrixView<const BF16> a, MatrixView<const BF16> b, RightFactor layout,
                  MatrixView<float> c, bool accumulate) {
  dnnl_product<BF16>(a, b, layout, c, accumulate);
}

}  // namespace longshadow
