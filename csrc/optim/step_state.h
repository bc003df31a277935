#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "ops/optimizer.h"
#include "tensor/tensor.h"

namespace eisbach::optim {

// What gradients are multiplied by until the update (see ops/loss_scale.h).
struct LossScale {
  float scale = 1;
  int good_steps = 0;  // finite steps since it changed
};

// What changes from step to step, in device memory, where kernels read it: no
// kernel takes a step number or a learning rate by value.
class StepState {
 public:
  static absl::StatusOr<StepState> Make(Stream& stream);

  // Starts step `step`, counted from 1: writes the step, `learning_rate`, the
  // bias corrections 1 - beta^step (computed in double) and a gradient factor
  // of 1, which ops::ClipFactor then overwrites. Ordered on `stream`; blocks
  // only when the stream is kSlots steps behind.
  absl::Status Begin(int64_t step, double learning_rate, double beta1,
                     double beta2, Stream& stream);

  // Sets kFinite to 1 and kVoid to 0, as they are at first. Ordered on
  // `stream`.
  absl::Status SetFinite(Stream& stream);

  // The loss scale, 1 at first. Both wait for `stream`.
  absl::Status SetLossScale(const LossScale& scale, Stream& stream);
  absl::StatusOr<LossScale> ReadLossScale(Stream& stream) const;
  // f32 [1]: where kernels read it.
  const Tensor& loss_scale() const { return loss_scale_; }

  // f32 [ops::kStepStateSize], indexed by ops::StepStateIndex.
  const Tensor& values() const { return values_; }
  // i64 [1]; the counter that dropout draws from.
  const Tensor& step() const { return step_; }

 private:
  static constexpr int kSlots = 4;

  // A copy reads its host memory when the stream comes to it, so the last few
  // steps each have memory of their own.
  struct Slot {
    float values[ops::kFinite];  // what is before it
    int64_t step;
  };
  struct Memory {
    Slot slots[kSlots];
    float finite[2];      // kFinite and kVoid
    float loss_scale[2];  // kLossScale and kGoodSteps
  };
  Memory& memory() { return *static_cast<Memory*>(memory_.get()); }

  StepState() = default;

  Tensor values_, step_, loss_scale_;
  std::shared_ptr<void> memory_;
  std::array<Event, kSlots> copied_;
  int next_ = 0;
};

}  // namespace eisbach::optim
