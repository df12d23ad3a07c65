#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "engine/core/error.h"
#include "engine/core/half.h"

namespace longshadow {

/// The types that a matrix's elements may have.
enum class Element : std::uint8_t { f64, f32, bf16, i8 };

constexpr const char* name_of(Element element) {
  constexpr const char* kNames[] = {"f64", "f32", "bf16", "i8"};
  return kNames[static_cast<std::size_t>(element)];
}

constexpr std::size_t size_of(Element element) {
  constexpr std::size_t kSizes[] = {8, 4, 2, 1};
  return kSizes[static_cast<std::size_t>(element)];
}

/// The Element of a C++ type, const or not.
template <class T>
consteval Element element_of() {
  using Plain = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Plain, double>) {
    return Element::f64;
  } else if constexpr (std::is_same_v<Plain, float>) {
    return Element::f32;
  } else if constexpr (std::is_same_v<Plain, BF16>) {
    return Element::bf16;
  } else {
    static_assert(std::is_same_v<Plain, std::int8_t>);
    return Element::i8;
  }
}

/// Calls body.operator()<T>() with the one of the types that has this Element. Throws Error where
/// none has, naming the operation.
template <class... Types, class Body>
void with_element(const char* operation, Element element, const Body& body) {
  const bool found =
      ((element == element_of<Types>() && (body.template operator()<Types>(), true)) || ...);
  if (!found) {
    throw Error(std::string(operation) + ": has no form for elements in " + name_of(element));
  }
}

/// The types of a pass: that of its activations, T, and that of the factors of its products with
/// changes or gradients, P. Sums of products are in T.
struct PassElements {
  Element activations;
  Element products;
};

/// Calls body.operator()<T, P>() for the pass's and the products' element, one of (f64, f64),
/// (f32, f32) and (f32, bf16). Throws Error for another pair, naming the operation.
template <class Body>
void with_precisions(const char* operation, Element pass, Element product, const Body& body) {
  if (pass == Element::f64 && product == Element::f64) {
    body.template operator()<double, double>();
  } else if (pass == Element::f32 && product == Element::f32) {
    body.template operator()<float, float>();
  } else if (pass == Element::f32 && product == Element::bf16) {
    body.template operator()<float, BF16>();
  } else {
    throw Error(std::string(operation) + ": has no form for a pass in " + name_of(pass) +
                " with products in " + name_of(product));
  }
}

}  // namespace longshadow
