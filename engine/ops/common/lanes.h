#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "engine/core/half.h"

/// Compiles a function for the baseline, AVX2 and AVX-512 and picks one when the program starts.
/// Elsewhere than on x86-64 with GCC the compiler's own target (NEON on aarch64) is all there is,
/// and so it is under ThreadSanitizer, which would watch the choice before it is ready.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(LONGSHADOW_ONE_TARGET) && !defined(__SANITIZE_THREAD__)
#define LONGSHADOW_PER_CPU \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define LONGSHADOW_PER_CPU
#endif
#define LONGSHADOW_INLINE inline __attribute__((always_inline))

/// A vector of 64 bytes and the few functions the ops need on it, by the compiler's vector types:
/// the same lanes, and so the same order of sums, whatever registers the processor has.
namespace longshadow {

template <class T>
struct LaneTypes;
template <>
struct LaneTypes<float> {
  typedef float Lanes __attribute__((vector_size(64)));
  typedef std::int32_t Integer;
  typedef Integer Integers __attribute__((vector_size(64)));
};
template <>
struct LaneTypes<double> {
  typedef double Lanes __attribute__((vector_size(64)));
  typedef std::int64_t Integer;
  typedef Integer Integers __attribute__((vector_size(64)));
};

template <class T>
using Lanes = typename LaneTypes<T>::Lanes;
template <class T>
inline constexpr std::size_t kLanes = 64 / sizeof(T);

template <class T>
LONGSHADOW_INLINE Lanes<T> load(const T* from) {
  Lanes<T> lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}

template <class T>
LONGSHADOW_INLINE void store(T* to, Lanes<T> lanes) {
  std::memcpy(to, &lanes, sizeof lanes);
}

/// The first `count` elements, 0 in the other lanes.
template <class T>
LONGSHADOW_INLINE Lanes<T> load_first(const T* from, std::size_t count) {
  Lanes<T> lanes{};
  std::memcpy(&lanes, from, count * sizeof(T));
  return lanes;
}

/// Stores what to_bf16 gives for every lane.
template <class T>
LONGSHADOW_INLINE void store(BF16* to, Lanes<T> lanes) {
  static_assert(sizeof(T) == sizeof(float));
  typedef std::uint32_t Bits __attribute__((vector_size(64)));
  typedef std::uint16_t Halves __attribute__((vector_size(32)));
  Bits bits;
  std::memcpy(&bits, &lanes, sizeof bits);
  const Bits high = bits >> 16;
  const Bits rounded =
      lanes != lanes ? high | 0x40u : (bits + 0x7fffu + (high & 1u)) >> 16;  // NaN: made quiet
  const Halves halves = __builtin_convertvector(rounded, Halves);
  std::memcpy(to, &halves, sizeof halves);
}

/// Stores the first `count` lanes as the store() of P does.
template <class T, class P>
LONGSHADOW_INLINE void store_first(P* to, std::size_t count, Lanes<T> lanes) {
  P whole[kLanes<T>];
  store<T>(whole, lanes);
  std::memcpy(to, whole, count * sizeof(P));
}

template <class T>
LONGSHADOW_INLINE Lanes<T> broadcast(T value) {
  return value - Lanes<T>{};
}

template <class T>
LONGSHADOW_INLINE Lanes<T> maximum(Lanes<T> a, Lanes<T> b) {
  return a > b ? a : b;
}

template <class T>
LONGSHADOW_INLINE Lanes<T> minimum(Lanes<T> a, Lanes<T> b) {
  return a < b ? a : b;
}

template <class T>
LONGSHADOW_INLINE Lanes<T> magnitude(Lanes<T> a) {
  typename LaneTypes<T>::Integers bits;
  std::memcpy(&bits, &a, sizeof bits);
  bits &= std::numeric_limits<typename LaneTypes<T>::Integer>::max();  // all but the sign
  std::memcpy(&a, &bits, sizeof bits);
  return a;
}

template <class Half>
struct Halves {
  Half low, high;
};
template <class Half, class Whole>
LONGSHADOW_INLINE Halves<Half> halves(Whole whole) {
  static_assert(sizeof(Halves<Half>) == sizeof whole);
  Halves<Half> parts;
  std::memcpy(&parts, &whole, sizeof parts);
  return parts;
}

/// The lanes' sum in f64: halves are added to each other until one number is left.
template <class T>
LONGSHADOW_INLINE double sum(Lanes<T> lanes) {
  typedef double Eight __attribute__((vector_size(64)));
  typedef double Four __attribute__((vector_size(32)));
  typedef double Two __attribute__((vector_size(16)));
  Eight eight;
  if constexpr (sizeof(T) == sizeof(double)) {
    eight = lanes;
  } else {
    typedef T EightNarrow __attribute__((vector_size(32)));
    const auto [low, high] = halves<EightNarrow>(lanes);
    eight = __builtin_convertvector(low, Eight) + __builtin_convertvector(high, Eight);
  }
  const auto fours = halves<Four>(eight);
  const auto twos = halves<Two>(fours.low + fours.high);
  const Two two = twos.low + twos.high;
  return two[0] + two[1];
}

template <class T>
LONGSHADOW_INLINE T largest(Lanes<T> lanes) {
  typedef T Half __attribute__((vector_size(32)));
  typedef T Quarter __attribute__((vector_size(16)));
  const auto [low, high] = halves<Half>(lanes);
  const auto [first, second] = halves<Quarter>(low > high ? low : high);
  const Quarter quarter = first > second ? first : second;
  T value = quarter[0];
  for (std::size_t i = 1; i < sizeof quarter / sizeof(T); ++i) {
    value = quarter[i] > value ? quarter[i] : value;
  }
  return value;
}

/// Constants of exp per type: e^x = 2^k e^r with |r| <= log(2) / 2, log(2) split in two so that
/// k * high is exact, and a Taylor series whose first dropped term is below half an ulp:
/// (log(2)/2)^8 / 8! = 5e-9 < 2^-25 for f32, (log(2)/2)^14 / 14! = 4e-18 < 2^-54 for f64.
template <class T>
struct ExpConstants;
template <>
struct ExpConstants<float> {
  static constexpr int terms = 8;
  static constexpr float log2_high = 0.693145752f, log2_low = 1.42860677e-6f;
  static constexpr float lowest = -87.3f, highest = 88.3f;
  static constexpr float shift = 0x1.8p23f;
  static constexpr std::int32_t exponent_bias = 127, mantissa_bits = 23;
};
template <>
struct ExpConstants<double> {
  static constexpr int terms = 14;
  static constexpr double log2_high = 0.69314718036912382, log2_low = 1.9082149292705877e-10;
  static constexpr double lowest = -708.3, highest = 709.3;
  static constexpr double shift = 0x1.8p52;
  static constexpr std::int64_t exponent_bias = 1023, mantissa_bits = 52;
};

/// 1/i! for i up to `last`.
template <class T, int last>
constexpr std::array<T, last + 1> inverse_factorials() {
  std::array<T, last + 1> inverse{T(1)};
  double factorial = 1;
  for (int i = 1; i <= last; ++i) inverse[i] = static_cast<T>(1 / (factorial *= i));
  return inverse;
}

/// 1/first! + x/(first + 1)! + ... up to x^(last - first)/last!, by Horner's rule.
template <class T, int first, int last>
LONGSHADOW_INLINE Lanes<T> taylor(Lanes<T> x) {
  static constexpr std::array kInverse = inverse_factorials<T, last>();
  Lanes<T> value = x * kInverse[last] + kInverse[last - 1];
  for (int i = last - 2; i >= first; --i) value = value * x + kInverse[i];
  return value;
}

/// x = k log(2) + r with |r| <= log(2) / 2, after clamping x to where 2^k is a normal number.
template <class T>
struct ReducedExponent {
  Lanes<T> power;  ///< 2^k
  Lanes<T> r;
};

template <class T>
LONGSHADOW_INLINE ReducedExponent<T> reduce_exponent(Lanes<T> x) {
  using C = ExpConstants<T>;
  using Integers = typename LaneTypes<T>::Integers;
  // In this order the comparisons, false for NaN, choose x.
  x = minimum<T>(broadcast<T>(C::highest), maximum<T>(broadcast<T>(C::lowest), x));
  // Beside 1.5 2^mantissa_bits a sum has no bits left for a fraction: its last ones are k.
  const Lanes<T> shifted = x * static_cast<T>(1.4426950408889634) + C::shift;
  const Lanes<T> k_real = shifted - C::shift;
  Integers power_bits;
  std::memcpy(&power_bits, &shifted, sizeof power_bits);
  power_bits = (power_bits + C::exponent_bias) << C::mantissa_bits;
  ReducedExponent<T> reduced;
  std::memcpy(&reduced.power, &power_bits, sizeof reduced.power);
  reduced.r = (x - k_real * C::log2_high) - k_real * C::log2_low;
  return reduced;
}

/// e^x within 2 ulp; 0 below the smallest normal result, and clamped above the largest; NaN stays.
template <class T>
LONGSHADOW_INLINE Lanes<T> exp(Lanes<T> x) {
  using C = ExpConstants<T>;
  const auto [power, r] = reduce_exponent<T>(x);
  return x < C::lowest ? Lanes<T>{} : taylor<T, 0, C::terms>(r) * power;
}

/// Where the series of e^x - 1 - x serves, and the difference would lose bits.
template <class T>
LONGSHADOW_INLINE auto is_small(Lanes<T> x) {
  return (x < T(0.5)) & (x > T(-0.5));
}

/// The series of e^x - 1 - x for small x: the first dropped term is below 2^-26 and 2^-55 of x^2/2.
template <class T>
LONGSHADOW_INLINE Lanes<T> small_exp_minus_linear(Lanes<T> x) {
  constexpr int last = sizeof(T) == 4 ? 9 : 16;
  return x * x * taylor<T, 2, last>(x);
}

/// e^x - 1 - x without cancellation: within 4 ulp of its series, else the difference, within 16.
template <class T>
LONGSHADOW_INLINE Lanes<T> exp_minus_linear(Lanes<T> x) {
  const Lanes<T> difference = exp<T>(x) - 1 - x;
  return is_small<T>(x) ? small_exp_minus_linear<T>(x) : difference;
}

template <class T>
struct ExpPair {
  Lanes<T> minus_one;  ///< e^x - 1
  Lanes<T> whole;      ///< e^x
};

/// e^x - 1 within 5 ulp: 2^k (e^r - 1) + (2^k - 1), which is the series alone where k is 0; and
/// beside it, nearly free, e^x within 2 ulp.
template <class T>
LONGSHADOW_INLINE ExpPair<T> expm1_and_exp(Lanes<T> x) {
  const auto [power, r] = reduce_exponent<T>(x);
  const Lanes<T> growth = r * taylor<T, 1, ExpConstants<T>::terms>(r);
  return {power * growth + (power - 1), power * (growth + 1)};
}

template <class T>
LONGSHADOW_INLINE Lanes<T> expm1(Lanes<T> x) {
  return expm1_and_exp<T>(x).minus_one;
}

/// e^x - 1 for |x| <= 1/4, at half the price: the first dropped term is below 2^-29 and 2^-62 of x.
template <class T>
LONGSHADOW_INLINE Lanes<T> expm1_of_small(Lanes<T> x) {
  constexpr int last = sizeof(T) == 4 ? 7 : 13;
  return x * taylor<T, 1, last>(x);
}

/// tanh x within 8 ulp, its sign and a NaN kept: expm1(2|x|) / (expm1(2|x|) + 2), which is 1 from
/// |x| = 20 on.
template <class T>
LONGSHADOW_INLINE Lanes<T> tanh(Lanes<T> x) {
  const Lanes<T> twice = 2 * minimum<T>(broadcast<T>(20), magnitude<T>(x));
  const Lanes<T> growth = expm1<T>(twice);
  const Lanes<T> size = growth / (growth + 2);
  return x < 0 ? -size : size;
}

/// tanh(a + b) - tanh a from tanh a and b, with an error relative to itself: with t_b = tanh b it
/// is t_b (1 - tanh² a) / (1 + tanh a t_b).
template <class T>
LONGSHADOW_INLINE Lanes<T> tanh_change(Lanes<T> tanh_a, Lanes<T> b) {
  const Lanes<T> tanh_b = tanh<T>(b);
  return tanh_b * ((1 - tanh_a) * (1 + tanh_a)) / (1 + tanh_a * tanh_b);
}

}  // namespace longshadow
