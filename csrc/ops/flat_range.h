#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "ops/op_check.h"
#include "tensor/tensor.h"

namespace eisbach::ops {

// What update rules take: master f32, of one dimension, `data` of its shape in
// the compute dtype (or master itself), and the state of the step.
absl::Status CheckFlatRange(absl::string_view op, const OpCheck& check,
                            const Tensor& master, const Tensor& data,
                            const Tensor& step_state);

// Bytes of a separate copy in the compute dtype.
double DataBytes(const Tensor& master, const Tensor& data);

}  // namespace eisbach::ops
