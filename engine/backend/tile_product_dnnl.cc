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

/// m, k, n, layout and accumulate.
using Key = std::array<std::size_t, 5>;

struct Primitive {
  dnnl::matmul matmul;
  memory a, b, c, scratch;
};

template <class In>
constexpr memory::data_type kDataType =
    std::is_same_v<In, BF16> ? memory::data_type::bf16 : memory::data_type::f32;

template <class In>
Primitive make_primitive(const Key& key) {
  const auto [m, k, n, by_output, accumulate] = key;
  const auto shape = [](std::size_t rows, std::size_t cols) {
    return memory::dims{static_cast<memory::dim>(rows), static_cast<memory::dim>(cols)};
  };
  const memory::desc a(shape(m, k), kDataType<In>, memory::format_tag::ab);
  const memory::desc b(shape(k, n), kDataType<In>,
                       by_output ? memory::format_tag::ba : memory::format_tag::ab);
  const memory::desc c(shape(m, n), memory::data_type::f32, memory::format_tag::ab);
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
  check_tile_product(a, b, layout, c);
  thread_local std::map<Key, Primitive> primitives;
  const Key key{c.rows, a.cols, c.cols, layout == RightFactor::by_output, accumulate};
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

#ifdef __x86_64__
namespace {

bool has(dnnl::cpu_isa needed) {
  const auto bits = static_cast<unsigned>(needed);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace
#endif

bool has_bf16_products() {
#ifdef __x86_64__
  return has(dnnl::cpu_isa::avx512_core_bf16);
#else
  try {
    make_primitive<BF16>({16, 16, 16, true, false});
    return true;
  } catch (const dnnl::error&) {
    return false;
  }
#endif
}

bool has_byte_products() {
#ifdef __x86_64__
  return has(dnnl::cpu_isa::avx512_core_vnni);
#else
  return false;
#endif
}

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
