#include "device/cpu/reduce.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "absl/container/inlined_vector.h"
#include "core/check.h"
#include "device/cpu/reduce_sum.h"

namespace eisbach::cpu {
namespace {

// What sums of T are kept in: f32 for the short floats, and unsigned integers,
// whose overflow is defined.
template <typename T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<BFloat16> {
  using type = float;
};
template <>
struct Accumulator<Float16> {
  using type = float;
};

constexpr int64_t kBlock = 1024;  // elements; stays in the first-level cache

template <typename A, Reduction kOp>
A Combine(A a, A b) {
  if constexpr (kOp == Reduction::kSum) {
    if constexpr (std::is_integral_v<A>) {
      using U = std::make_unsigned_t<A>;
      return static_cast<A>(static_cast<U>(a) + static_cast<U>(b));
    } else {
      return a + b;
    }
  } else {
    // The comparison is false for NaN: keep a NaN on the left, take one on the
    // right.
    const bool keep = kOp == Reduction::kMax ? !(b > a) : !(b < a);
    const A chosen = keep ? a : b;
    return b != b ? b : chosen;
  }
}

template <typename T, Reduction kOp>
void Reduce(absl::Span<const void* const> inputs, void* out, int64_t elements) {
  using A = typename Accumulator<T>::type;
  A sums[kBlock];
  T* const to = static_cast<T*>(out);
  for (int64_t begin = 0; begin < elements; begin += kBlock) {
    const int64_t n = std::min(kBlock, elements - begin);
    const T* first = static_cast<const T*>(inputs[0]) + begin;
    for (int64_t i = 0; i < n; ++i) sums[i] = static_cast<A>(first[i]);
    for (size_t k = 1; k < inputs.size(); ++k) {
      const T* next = static_cast<const T*>(inputs[k]) + begin;
      for (int64_t i = 0; i < n; ++i) {
        sums[i] = Combine<A, kOp>(sums[i], static_cast<A>(next[i]));
      }
    }
    for (int64_t i = 0; i < n; ++i) to[begin + i] = static_cast<T>(sums[i]);
  }
}

template <typename T>
void ReduceAs(Reduction op, absl::Span<const void* const> inputs, void* out,
              int64_t elements) {
  switch (op) {
    case Reduction::kSum:
      return Reduce<T, Reduction::kSum>(inputs, out, elements);
    case Reduction::kMax:
      return Reduce<T, Reduction::kMax>(inputs, out, elements);
    case Reduction::kMin:
      return Reduce<T, Reduction::kMin>(inputs, out, elements);
  }
}

void ReducePlainly(DType dtype, Reduction op,
                   absl::Span<const void* const> inputs, void* out,
                   int64_t elements) {
  switch (dtype) {
    case DType::kF32:
      return ReduceAs<float>(op, inputs, out, elements);
    case DType::kF64:
      return ReduceAs<double>(op, inputs, out, elements);
    case DType::kBF16:
      return ReduceAs<BFloat16>(op, inputs, out, elements);
    case DType::kF16:
      return ReduceAs<Float16>(op, inputs, out, elements);
    case DType::kI32:
      return ReduceAs<int32_t>(op, inputs, out, elements);
    case DType::kI64:
      return ReduceAs<int64_t>(op, inputs, out, elements);
    case DType::kU8:
      return ReduceAs<uint8_t>(op, inputs, out, elements);
    case DType::kU16:
      return ReduceAs<uint16_t>(op, inputs, out, elements);
  }
}

// Sums of f16 whose accumulators come from elsewhere or go there. Of `sums` and
// `rounded` one is null.
void SumNextF16(const float* before, absl::Span<const void* const> inputs,
                float* sums, Float16* rounded, int64_t elements) {
  for (int64_t i = 0; i < elements; ++i) {
    const auto in = [&](size_t k) {
      return static_cast<float>(static_cast<const Float16*>(inputs[k])[i]);
    };
    size_t k = 0;
    float sum = before != nullptr ? before[i] : in(k++);
    for (; k < inputs.size(); ++k) sum = sum + in(k);
    if (sums != nullptr) {
      sums[i] = sum;
    } else {
      rounded[i] = Float16(sum);
    }
  }
}

}  // namespace

DType AccumulatorOf(DType dtype, Reduction op) {
  const bool is_short = dtype == DType::kBF16 || dtype == DType::kF16;
  return op == Reduction::kSum && is_short ? DType::kF32 : dtype;
}

void ReduceNextInOrder(DType dtype, Reduction op, const void* before,
                       absl::Span<const void* const> inputs, void* out,
                       bool last, int64_t elements) {
  if (AccumulatorOf(dtype, op) != dtype) {
    const auto* from = static_cast<const float*>(before);
    float* const sums = last ? nullptr : static_cast<float*>(out);
    void* const rounded = last ? out : nullptr;
    if (dtype == DType::kBF16) {
      return SumNextBF16(from, inputs.data(), inputs.size(), sums,
                         static_cast<BFloat16*>(rounded), elements);
    }
    return SumNextF16(from, inputs, sums, static_cast<Float16*>(rounded),
                      elements);
  }
  absl::InlinedVector<const void*, 16> all;
  if (before != nullptr) all.push_back(before);
  all.insert(all.end(), inputs.begin(), inputs.end());
  ReduceInOrder(dtype, op, all, out, elements);
}

void ReduceInOrder(DType dtype, Reduction op,
                   absl::Span<const void* const> inputs, void* out,
                   int64_t elements) {
  ReduceInOrder(dtype, op, inputs, absl::Span<void* const>(&out, 1), elements);
}

void ReduceInOrder(DType dtype, Reduction op,
                   absl::Span<const void* const> inputs,
                   absl::Span<void* const> outputs, int64_t elements) {
  EISBACH_CHECK(!inputs.empty() && !outputs.empty());
  if (elements == 0) return;
  if (op == Reduction::kSum && dtype == DType::kF32) {
    return SumF32(inputs.data(), inputs.size(), outputs.data(), outputs.size(),
                  elements);
  }
  if (op == Reduction::kSum && dtype == DType::kBF16) {
    return SumBF16(inputs.data(), inputs.size(), outputs.data(), outputs.size(),
                   elements);
  }
  ReducePlainly(dtype, op, inputs, outputs[0], elements);
  for (void* output : outputs.subspan(1)) {
    std::memmove(output, outputs[0], elements * SizeOf(dtype));
  }
}

}  // namespace eisbach::cpu
