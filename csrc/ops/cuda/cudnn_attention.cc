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

// The deterministic backward of Hopper and older GPUs keeps a product of
// T x T for each head. Where that is more than this, sequences are computed a
// few at a time.
constexpr size_t kLargestWorkspace = size_t{2} << 30;

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
  CudnnRunner(const AttentionKey& key, int64_t batch, SharedHandle& shared,
              std::unique_ptr<CudnnAttentionPlan> plan)
      : key_(key), batch_(batch), shared_(shared), plan_(std::move(plan)) {}

  absl::Status Run(const AttentionPointers& pointers, Stream& stream) override {
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor workspace,
        Tensor::Empty({static_cast<int64_t>(plan_->workspace_bytes())},
                      DType::kU8, stream.device()));
    std::lock_guard<std::mutex> lock(shared_.mutex);
    EISBACH_RETURN_IF_ERROR(shared_.Bind(Handle(stream)));
    for (int64_t first = 0; first < key_.batch; first += batch_) {
      EISBACH_RETURN_IF_ERROR(
          plan_->Run(shared_.handle, From(pointers, first), workspace.raw()));
    }
    return absl::OkStatus();
  }

  std::string Describe() const override {
    return absl::StrCat("cuDNN ", CudnnVersion(), " ", plan_->engine(),
                        ", workspace ", plan_->workspace_bytes() >> 20, " MiB",
                        batch_ == key_.batch
                            ? ""
                            : absl::StrCat(", ", batch_, " of ", key_.batch,
                                           " sequences at a time"));
  }

 private:
  // Those of the sequences from `first` on.
  AttentionPointers From(const AttentionPointers& p, int64_t first) const {
    const int64_t rows = first * key_.length, half = 2;
    const int64_t packed = rows * key_.packed_width() * half;
    const int64_t dense = rows * key_.heads * key_.head_dim * half;
    const auto at = [](void* data, int64_t bytes) -> void* {
      return data == nullptr ? nullptr : static_cast<char*>(data) + bytes;
    };
    return {.qkv = at(p.qkv, packed),
            .out = at(p.out, dense),
            .lse = p.lse + rows * key_.heads,
            .dout = at(p.dout, dense),
            .dqkv = at(p.dqkv, packed)};
  }

  const AttentionKey key_;
  const int64_t batch_;  // sequences at a time, divides key_.batch
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
  const int64_t batch =
      SequencesAtOnce(key.batch, plan->workspace_bytes(), kLargestWorkspace);
  if (batch < key.batch) {
    AttentionKey part = key;
    part.batch = batch;
    EISBACH_ASSIGN_OR_RETURN(plan, CudnnAttentionPlan::Make(part, target));
  }
  return std::make_unique<CudnnRunner>(key, batch, *shared, std::move(plan));
}

[[maybe_unused]] const bool cudnn_registered =
    RegisterAttentionProvider(&MakeCudnnRunner);

}  // namespace
}  // namespace eisbach::cuda
