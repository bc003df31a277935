#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "device/device.h"
#include "device/host_streams.h"

namespace eisbach {
namespace {

class MetaEvent final : public EventState {
 public:
  explicit MetaEvent(int64_t number) : number_(number) {}
  bool Done() override { return true; }
  absl::Status Wait() override { return absl::OkStatus(); }
  int64_t number() const { return number_; }

 private:
  const int64_t number_;
};

// Has nothing to wait for; tells the recorder who would.
class MetaStream final : public InlineStream {
 public:
  using InlineStream::InlineStream;
  absl::StatusOr<Event> Record() override {
    if (device().recorder() == nullptr) return Event();
    static std::atomic<int64_t> events{0};
    auto event = std::make_shared<MetaEvent>(events.fetch_add(1));
    device().recorder()->OnRecord(event->number(), *this);
    return Event(std::move(event));
  }
  absl::Status Wait(const Event& event) override {
    const auto* meta = dynamic_cast<const MetaEvent*>(event.state().get());
    if (meta != nullptr && device().recorder() != nullptr) {
      device().recorder()->OnWait(meta->number(), *this);
    }
    return event.Wait();
  }
};

// Allocates and computes nothing, and counts what a real device would hold.
class MetaDevice final : public Device {
 public:
  MetaDevice() : Device(DeviceType::kMeta), compute_(*this) {}

  Stream& compute_stream() override { return compute_; }
  absl::StatusOr<std::unique_ptr<Stream>> NewStream() override {
    return std::make_unique<MetaStream>(*this);
  }

  absl::StatusOr<std::shared_ptr<Storage>> Allocate(size_t bytes) override {
    return AllocateFrom(stats_, bytes);
  }
  absl::StatusOr<std::shared_ptr<Storage>> AllocateShared(
      size_t bytes) override {
    return AllocateFrom(apart_ ? shared_ : stats_, bytes);
  }
  // What peers reach is counted apart from here on, as a real device keeps it:
  // the one pool does not take what the other has left.
  void SetSharedSource(std::unique_ptr<MemorySource> /*source*/) override {
    apart_ = true;
  }
  AllocatorStats memory() const override {
    std::lock_guard<std::mutex> lock(mutex_);
    AllocatorStats all = stats_;
    return all += shared_;
  }
  // Shared memory stays taken.
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
  absl::Status CopyOnDevice(void*, const void*, size_t bytes,
                            Stream& stream) override {
    const double moved = static_cast<double>(bytes);
    Tell("copy", {.bytes_read = moved, .bytes_written = moved}, stream);
    return absl::OkStatus();
  }
  absl::Status SetZero(void*, size_t bytes, Stream& stream) override {
    Tell("set_zero", {.bytes_written = static_cast<double>(bytes)}, stream);
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<std::shared_ptr<Storage>> AllocateFrom(AllocatorStats& stats,
                                                        size_t bytes) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++stats.allocations;
    stats.bytes_in_use += static_cast<int64_t>(bytes);
    stats.peak_bytes_in_use =
        std::max(stats.peak_bytes_in_use, stats.bytes_in_use);
    return std::make_shared<Storage>(
        shared_from_this(), nullptr, bytes, [this, &stats, bytes](void*) {
          std::lock_guard<std::mutex> lock(mutex_);
          stats.bytes_in_use -= static_cast<int64_t>(bytes);
        });
  }
  void Tell(absl::string_view name, const OpCost& cost, const Stream& stream) {
    if (recorder() != nullptr) recorder()->OnOp(name, cost, stream);
  }

  mutable std::mutex mutex_;
  AllocatorStats stats_, shared_;
  bool apart_ = false;
  MetaStream compute_;
};

[[maybe_unused]] const bool meta_registered =
    RegisterDevice(DeviceType::kMeta,
                   {.make = [](int) -> absl::StatusOr<std::shared_ptr<Device>> {
                      return std::make_shared<MetaDevice>();
                    },
                    .count = []() -> absl::StatusOr<int> { return 1; }});

}  // namespace
}  // namespace eisbach
