#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nn/module.h"
#include "ops/attention.h"
#include "tensor/parameter.h"

namespace eisbach::bindings {

// Before a function takes a parameter, or a layer's parameters:
// FailedPrecondition where it has no memory yet. What records keeps them alive.
absl::Status Use(const std::shared_ptr<Parameter>& parameter);
absl::Status Use(const std::shared_ptr<nn::Module>& layer);

// Heads of a packed qkv that is `width` wide and not divided among ranks.
absl::StatusOr<ops::AttentionHeads> PlainHeads(int64_t heads, int64_t kv_heads,
                                               int64_t width);

}  // namespace eisbach::bindings
