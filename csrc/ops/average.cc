#include "ops/average.h"

#include "core/status_macros.h"
#include "ops/flat_range.h"

namespace eisbach::ops {

EISBACH_DEFINE_KERNEL(AverageSlot, AverageKernel, "average")

absl::Status Average(const AverageArgs& args, Stream& stream) {
  const OpCheck check("average", stream);
  EISBACH_RETURN_IF_ERROR(CheckFlatRange("average", check, args.master,
                                         args.master, args.step_state));
  EISBACH_RETURN_IF_ERROR(
      check.Dense("average", args.average, DType::kF32, args.master.shape()));
  const double bytes = static_cast<double>(args.master.bytes());
  return AverageSlot().Run(args,
                           {.flops = 4.0 * args.master.elements(),
                            .bytes_read = 2 * bytes,
                            .bytes_written = bytes},
                           stream);
}

}  // namespace eisbach::ops
