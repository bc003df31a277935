#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "device/stream.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// What an id stands for. A token is in [0, vocab). A target is below vocab, and
// one below 0 is masked: it counts neither in a loss nor in its mean.
enum class IdKind : uint8_t { kToken, kTarget };

// InvalidArgument for the first id that is outside: its kind, value, position
// and sample (of i32 [..., T]: the last dimension, and all before it), and the
// vocabulary.
absl::Status CheckIds(IdKind kind, absl::Span<const int32_t> ids,
                      const Shape& shape, int64_t vocab);

// The same of a tensor in the host's memory. Of others (cuda, meta) nothing is
// read, as that would wait for the device: kernels read nothing outside a
// table, and make NaN of what they find.
absl::Status CheckIds(IdKind kind, const Tensor& ids, int64_t vocab);

// The same of a tensor wherever it is: waits for `stream`. Nothing on meta.
absl::Status ReadAndCheckIds(IdKind kind, const Tensor& ids, int64_t vocab,
                             Stream& stream);

}  // namespace eisbach::ops
