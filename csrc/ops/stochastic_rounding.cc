#include "ops/stochastic_rounding.h"

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(RoundStochasticallySlot, RoundStochasticallyKernel,
                      "round_stochastically")

absl::Status RoundStochastically(const Tensor& from, const Tensor& to,
                                 const StochasticRounding& rounding,
                                 Stream& stream) {
  const OpCheck check("round_stochastically", stream);
  EISBACH_RETURN_IF_ERROR(check.Dense("from", from, DType::kF32));
  EISBACH_RETURN_IF_ERROR(check.Dense("to", to, DType::kBF16, from.shape()));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("step", rounding.step, DType::kI64, Shape{1}));
  return RoundStochasticallySlot().Run(
      {.from = from, .to = to, .rounding = rounding},
      {.flops = static_cast<double>(from.elements()),
       .bytes_read = static_cast<double>(from.bytes() + rounding.step.bytes()),
       .bytes_written = static_cast<double>(to.bytes())},
      stream);
}

}  // namespace eisbach::ops
