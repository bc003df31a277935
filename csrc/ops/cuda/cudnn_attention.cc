#include <cudnn.h>

#include <map>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "ops/cuda/attention_choice.h"
#include "ops/cuda/bridge.h"
#include "ops/cuda/cudnn_attention_plan.h"

namespace eisbach::cuda {
namespace {

absl::Status FromCudnn(cudnnStatus_t status, absl::string_view call) {
  if (status == CUDNN_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("cuDNN ", CudnnVersion(), ": ",
                                          cudnnGetErrorString(status), " in ",
                                          call));
}

// A GPU's handle; one thread at a time gives it work.
struct SharedHandle {
  std::mutex mutex;
  cudnnHandle_t handle = nullptr;
  cudaStream_t stream = nullptr;  // what the handle is bound to

  // With the mutex held.
  absl::Status Bind(cudaStream_t to) {
    if (to == stream) return absl::OkStatus();
    EISBACH_RETURN_IF_ERROR(
        FromCudnn(cudnnSetStream(handle, to), "cudnnSetStream"));
    stream = to;
    return absl::OkStatus();
  }
};

absl::StatusOr<SharedHandle*> HandleOf(const CudaDevice& device) {
  static std::mutex mutex;
  static auto* handles = new std::map<int, SharedHandle>;
  std::lock_guard<std::mutex> lock(mutex);
  SharedHandle& shared = (*handles)[device.index()];
  if (shared.handle == nullptr) {
    EISBACH_RETURN_IF_ERROR(
        FromCudnn(cudnnCreate(&shared.handle), "cudnnCreate"));
  }
  return &shared;
}

class CudnnRunner final : public AttentionRunner {
 public:
  CudnnRunner(SharedHandle& shared, std::unique_ptr<CudnnAttentionPlan> plan)
      : shared_(shared), plan_(std::move(plan)) {}

  absl::Status Run(const AttentionPointers& pointers, Stream& stream) override {
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor workspace,
        Tensor::Empty({static_cast<int64_t>(plan_->workspace_bytes())},
                      DType::kU8, stream.device()));
    std::lock_guard<std::mutex> lock(shared_.mutex);
    EISBACH_RETURN_IF_ERROR(shared_.Bind(Handle(stream)));
    return plan_->Run(shared_.handle, pointers, workspace.raw());
  }

  std::string Describe() const override {
    return absl::StrCat("cuDNN ", CudnnVersion(), ": ", plan_->Describe());
  }

 private:
  SharedHandle& shared_;
  const std::unique_ptr<CudnnAttentionPlan> plan_;
};

absl::StatusOr<std::unique_ptr<AttentionRunner>> MakeCudnnRunner(
    const AttentionKey& key, Stream& stream) {
  EISBACH_RETURN_IF_ERROR(CudnnAttentionPlan::Claims(key));
  const CudaDevice& device = DeviceOf(stream);
  EISBACH_ASSIGN_OR_RETURN(SharedHandle * shared, HandleOf(device));
  const PlanTarget target = {.architecture = device.architecture(),
                             .handle = shared->handle};
  std::lock_guard<std::mutex> lock(shared->mutex);
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<CudnnAttentionPlan> plan,
                           CudnnAttentionPlan::Make(key, target));
  return std::make_unique<CudnnRunner>(*shared, std::move(plan));
}

[[maybe_unused]] const bool cudnn_registered =
    RegisterAttentionProvider(&MakeCudnnRunner);

}  // namespace
}  // namespace eisbach::cuda
