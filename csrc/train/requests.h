#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "device/device.h"
#include "device/event.h"
#include "tensor/tensor.h"

namespace eisbach::train {

// What one rank may ask all for. A checkpoint that is being written advances
// when all have asked.
enum class Request { kStop, kSave, kAdvance };
inline constexpr int kRequests = 3;

// What this rank asks for, on its way into the sums of the next step: all ranks
// then read in the result of the same step whether one of them has asked.
class Requests {
 public:
  static absl::StatusOr<std::unique_ptr<Requests>> Make(Stream& stream);

  // The next step begun carries it, and that step alone. From any thread, also
  // while a step is given to the device.
  void Ask(Request request) {
    asked_[static_cast<int>(request)].store(true, std::memory_order_relaxed);
  }

  // Starts a step: writes what was asked since the last one. Ordered on
  // `stream`; blocks only when the stream is kSlots steps behind.
  absl::Status Begin(Stream& stream);

  // f64 [kRequests]: 1 where this rank asks, else 0.
  const Tensor& values() const { return values_; }

 private:
  static constexpr int kSlots = 4;
  using Slot = std::array<double, kRequests>;

  Requests() = default;

  std::array<std::atomic<bool>, kRequests> asked_{};
  Tensor values_;
  // A copy reads its host memory when the stream comes to it, so the last few
  // steps each have memory of their own.
  std::shared_ptr<void> memory_;
  std::array<Event, kSlots> copied_;
  int next_ = 0;
};

}  // namespace eisbach::train
