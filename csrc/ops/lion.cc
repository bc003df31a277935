#include "ops/lion.h"

#include "core/status_macros.h"
#include "ops/flat_range.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(LionSlot, LionKernel, "lion")

absl::Status Lion(const LionArgs& args, Stream& stream) {
  constexpr double kFlops = 10;
  const OpCheck check("lion", stream);
  EISBACH_RETURN_IF_ERROR(
      CheckFlatRange("lion", check, args.master, args.data, args.step_state));
  const Shape& shape = args.master.shape();
  EISBACH_RETURN_IF_ERROR(check.Dense("grad", args.grad, DType::kF32, shape));
  EISBACH_RETURN_IF_ERROR(check.Dense("m", args.m, DType::kF32, shape));
  const double bytes = static_cast<double>(args.master.bytes());
  return LionSlot().Run(
      args,
      {.flops = kFlops * args.master.elements(),
       .bytes_read = 3 * bytes,
       .bytes_written = 2 * bytes + DataBytes(args.master, args.data)},
      stream);
}

}  // namespace eisbach::ops
