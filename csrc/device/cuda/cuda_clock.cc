#include "device/cuda/cuda_clock.h"

#include <cmath>
#include <utility>

#include "core/status_macros.h"
#include "device/cuda/status.h"
#include "device/tracer.h"

namespace eisbach::cuda {
namespace {

// Elapsed time is an f32 of milliseconds: a microsecond's worth at ten seconds.
constexpr int64_t kOriginLivesNs = 10'000'000'000;
constexpr int kReadings = 5;

}  // namespace

class CudaTimestamp final : public Timestamp {
 public:
  CudaTimestamp(PooledEvent event,
                std::shared_ptr<const CudaClock::Origin> origin,
                std::shared_ptr<Device> device)
      : event_(std::move(event)),
        origin_(std::move(origin)),
        device_(std::move(device)) {}

  absl::StatusOr<int64_t> Nanoseconds() override {
    EISBACH_RETURN_IF_ERROR(static_cast<const CudaDevice&>(*device_).failure());
    EISBACH_RETURN_IF_CUDA(cudaEventSynchronize(event_.get()));
    float milliseconds = 0;
    EISBACH_RETURN_IF_CUDA(cudaEventElapsedTime(
        &milliseconds, origin_->event.get(), event_.get()));
    return origin_->ns + std::llround(static_cast<double>(milliseconds) * 1e6);
  }

 private:
  const PooledEvent event_;
  const std::shared_ptr<const CudaClock::Origin> origin_;
  const std::shared_ptr<Device> device_;
};

absl::StatusOr<std::unique_ptr<CudaClock>> CudaClock::Make(CudaDevice&) {
  return std::make_unique<CudaClock>();
}

absl::StatusOr<std::shared_ptr<Timestamp>> CudaClock::Stamp(
    CudaStream& stream) {
  std::shared_ptr<const Origin> origin;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (origin_ == nullptr || Tracer::Now() - origin_->ns > kOriginLivesNs) {
      EISBACH_ASSIGN_OR_RETURN(origin_, Measure(stream));
    }
    origin = origin_;
  }
  EISBACH_ASSIGN_OR_RETURN(PooledEvent event,
                           RecordEvent(stream.handle(), Timing::kOn));
  return std::make_shared<CudaTimestamp>(std::move(event), std::move(origin),
                                         stream.device().shared_from_this());
}

absl::StatusOr<std::shared_ptr<const CudaClock::Origin>> CudaClock::Measure(
    CudaStream& stream) {
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  std::shared_ptr<const Origin> best;
  int64_t least = INT64_MAX;
  for (int i = 0; i < kReadings; ++i) {
    EISBACH_ASSIGN_OR_RETURN(PooledEvent event, TakeEvent(Timing::kOn));
    const int64_t before = Tracer::Now();
    EISBACH_RETURN_IF_CUDA(cudaEventRecord(event.get(), stream.handle()));
    EISBACH_RETURN_IF_CUDA(cudaEventSynchronize(event.get()));
    const int64_t after = Tracer::Now();
    if (after - before >= least) continue;
    least = after - before;
    best = std::make_shared<const Origin>(
        Origin{std::move(event), before + (after - before) / 2});
  }
  return best;
}

}  // namespace eisbach::cuda
