#include <algorithm>
#include <mutex>

#include "device/device.h"
#include "device/host_streams.h"

namespace eisbach {
namespace {

// Allocates and computes nothing, and counts what a real device would hold.
class MetaDevice final : public Device {
 public:
  MetaDevice() : Device(DeviceType::kMeta), compute_(*this) {}

  Stream& compute_stream() override { return compute_; }
  absl::StatusOr<std::unique_ptr<Stream>> NewStream() override {
    return std::make_unique<InlineStream>(*this);
  }

  absl::StatusOr<std::shared_ptr<Storage>> Allocate(size_t bytes) override {
    std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.allocations;
    stats_.bytes_in_use += static_cast<int64_t>(bytes);
    stats_.peak_bytes_in_use =
        std::max(stats_.peak_bytes_in_use, stats_.bytes_in_use);
    return std::make_shared<Storage>(
        shared_from_this(), nullptr, bytes, [this, bytes](void*) {
          std::lock_guard<std::mutex> lock(mutex_);
          stats_.bytes_in_use -= static_cast<int64_t>(bytes);
        });
  }
  AllocatorStats memory() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
  }
  void ResetPeakMemory() override {
    std::lock_guard<std::mutex> lock(mutex_);
    stats_.peak_bytes_in_use = stats_.bytes_in_use;
  }

  absl::Status CopyToDevice(void*, const void*, size_t, Stream&) override {
    return absl::OkStatus();
  }
  // A host read would make the recorded program depend on values.
  absl::Status CopyToHost(void*, const void*, size_t, Stream&) override {
    return absl::FailedPreconditionError("a meta tensor holds no values");
  }
  absl::Status CopyOnDevice(void*, const void*, size_t, Stream&) override {
    return absl::OkStatus();
  }
  absl::Status SetZero(void*, size_t, Stream&) override {
    return absl::OkStatus();
  }

 private:
  mutable std::mutex mutex_;
  AllocatorStats stats_;
  InlineStream compute_;
};

[[maybe_unused]] const bool meta_registered =
    RegisterDevice(DeviceType::kMeta,
                   {.make = [](int) -> absl::StatusOr<std::shared_ptr<Device>> {
                      return std::make_shared<MetaDevice>();
                    },
                    .count = []() -> absl::StatusOr<int> { return 1; }});

}  // namespace
}  // namespace eisbach
