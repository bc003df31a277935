#include "ops/softcap.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/op_check.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(SoftcapSlot, SoftcapKernel, "softcap")
EISBACH_DEFINE_KERNEL(SoftcapBackwardSlot, SoftcapBackwardKernel,
                      "softcap_backward")

namespace {

absl::Status CheckCap(absl::string_view op, double cap) {
  if (static_cast<float>(cap) > 0 && std::isfinite(static_cast<float>(cap))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(op, ": cap=", cap, " must be above 0 and finite, in f32"));
}

}  // namespace

absl::Status Softcap(const Tensor& x, double cap, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CheckCap("softcap", cap));
  EISBACH_RETURN_IF_ERROR(OpCheck("softcap", stream).DenseFloat("x", x));
  const double bytes = static_cast<double>(x.bytes());
  return SoftcapSlot().Run({.x = x, .cap = static_cast<float>(cap)},
                           {.flops = 3 * static_cast<double>(x.elements()),
                            .bytes_read = bytes,
                            .bytes_written = bytes,
                            .dtype = x.dtype()},
                           stream);
}

absl::Status SoftcapBackward(const Tensor& dy, const Tensor& y, double cap,
                             Stream& stream) {
  constexpr absl::string_view kOp = "softcap_backward";
  EISBACH_RETURN_IF_ERROR(CheckCap(kOp, cap));
  const OpCheck check(kOp, stream);
  EISBACH_RETURN_IF_ERROR(check.DenseFloat("dy", dy));
  EISBACH_RETURN_IF_ERROR(check.Dense("y", y, dy.dtype(), dy.shape()));
  const double bytes = static_cast<double>(dy.bytes());
  return SoftcapBackwardSlot().Run(
      {.dy = dy, .y = y, .cap = static_cast<float>(cap)},
      {.flops = 4 * static_cast<double>(dy.elements()),
       .bytes_read = 2 * bytes,
       .bytes_written = bytes,
       .dtype = dy.dtype()},
      stream);
}

}  // namespace eisbach::ops
