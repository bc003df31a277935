#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "core/dtype.h"

namespace eisbach::cpu {

enum class Reduction : uint8_t { kSum, kMax, kMin };

// out[i] = (inputs[0][i] op inputs[1][i]) op inputs[2][i] ..., in this order.
//
// bf16 and f16 are accumulated in f32 and rounded once. Integer sums wrap. A
// NaN in any input of a max or min gives NaN. `out` may be one of the inputs;
// any other overlap is not allowed. The result of an element does not depend
// on where it lies in the buffer. Single-threaded.
void ReduceInOrder(DType dtype, Reduction op,
                   absl::Span<const void* const> inputs, void* out,
                   int64_t elements);

// The same, with the result in several places, of which each may be one of the
// inputs.
void ReduceInOrder(DType dtype, Reduction op,
                   absl::Span<const void* const> inputs,
                   absl::Span<void* const> outputs, int64_t elements);

// What ReduceInOrder keeps its results in until all inputs are in: f32 for sums
// of bf16 and f16, else the dtype itself.
DType AccumulatorOf(DType dtype, Reduction op);

// A reduction whose inputs come in parts, with the bits of one that has them
// all at once. `before` is the accumulator of the inputs that come first, null
// when there are none. `out` gets the accumulator, or with `last` the result,
// rounded to `dtype`. It overlaps nothing. Single-threaded.
void ReduceNextInOrder(DType dtype, Reduction op, const void* before,
                       absl::Span<const void* const> inputs, void* out,
                       bool last, int64_t elements);

}  // namespace eisbach::cpu
