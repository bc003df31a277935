#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace eisbach::cpu {

// Sums of f32 and bf16 with the widest vectors that the machine has; the same
// bits as the plain loops of reduce.cc, for which see reduce.h. `inputs` and
// `outputs` are arrays of so many pointers; all outputs get the same.
void SumF32(const void* const* inputs, size_t num_inputs, void* const* outputs,
            size_t num_outputs, int64_t elements);
void SumBF16(const void* const* inputs, size_t num_inputs, void* const* outputs,
             size_t num_outputs, int64_t elements);

// Goes on from `before`, f32, unless it is null. Of `sums` and `rounded` one is
// null, the other gets the result.
void SumNextBF16(const float* before, const void* const* inputs,
                 size_t num_inputs, float* sums, BFloat16* rounded,
                 int64_t elements);

}  // namespace eisbach::cpu
