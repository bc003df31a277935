#include "ops/document_starts.h"

#include "ops/cuda/bridge.h"
#include "ops/cuda/document_starts_kernels.h"

namespace eisbach::ops {
namespace {

absl::Status DocumentPositionsCuda(const DocumentPositionsArgs& args,
                                   Stream& stream) {
  EISBACH_RETURN_IF_CUDA(cuda::LaunchDocumentPositions(
      args.starts.data<int32_t>(), args.starts.elements(), args.starts.dim(-1),
      args.positions.data<int32_t>(), cuda::Handle(stream)));
  return absl::OkStatus();
}

EISBACH_REGISTER_KERNEL(DocumentPositionsSlot, DeviceType::kCuda,
                        &DocumentPositionsCuda);

}  // namespace
}  // namespace eisbach::ops
