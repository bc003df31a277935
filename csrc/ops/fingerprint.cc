#include "ops/fingerprint.h"

#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(FingerprintSlot, FingerprintKernel, "fingerprint")

absl::Status Fingerprint(const Tensor& x, const Tensor& out, Stream& stream) {
  const OpCheck check("fingerprint", stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("x", x));
  EISBACH_RETURN_IF_ERROR(check.Dense("out", out, DType::kI64, Shape{1}));
  return FingerprintSlot().Run(
      {.x = x, .out = out},
      {.flops = static_cast<double>(x.elements()),
       .bytes_read = static_cast<double>(x.bytes()),
       .bytes_written = static_cast<double>(out.bytes())},
      stream);
}

}  // namespace eisbach::ops
