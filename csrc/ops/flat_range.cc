#include "ops/flat_range.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/optimizer.h"

namespace eisbach::ops {

absl::Status CheckFlatRange(absl::string_view op, const OpCheck& check,
                            const Tensor& master, const Tensor& data,
                            const Tensor& step_state) {
  EISBACH_RETURN_IF_ERROR(check.Dense("master", master, DType::kF32));
  if (master.rank() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        op, ": master=", master.ToString(), " must have one dimension"));
  }
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("data", data));
  EISBACH_RETURN_IF_ERROR(check.SameShape("data", data, master.shape()));
  return check.Dense("step_state", step_state, DType::kF32,
                     Shape{kStepStateSize});
}

double DataBytes(const Tensor& master, const Tensor& data) {
  return data.raw() == master.raw() && data.dtype() == DType::kF32
             ? 0.0
             : static_cast<double>(data.bytes());
}

}  // namespace eisbach::ops
