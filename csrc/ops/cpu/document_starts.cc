#include "ops/document_starts.h"

namespace eisbach::ops {
namespace {

absl::Status DocumentPositionsCpu(const DocumentPositionsArgs& args, Stream&) {
  const int32_t* starts = args.starts.data<int32_t>();
  int32_t* positions = args.positions.data<int32_t>();
  const int64_t length = args.starts.dim(-1);
  for (int64_t i = 0; i < args.starts.elements(); ++i) {
    positions[i] = static_cast<int32_t>(i % length) - starts[i];
  }
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(DocumentPositionsSlot, DeviceType::kCpu,
                        &DocumentPositionsCpu);

}  // namespace
}  // namespace eisbach::ops
