#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "ops/optimizer.h"
#include "tensor/tensor.h"

namespace eisbach::optim {

// What changes from step to step, in device memory, where kernels read it: no
// kernel takes a step number or a learning rate by value.
class StepState {
 public:
  static absl::StatusOr<StepState> Make(Stream& stream);

  // Starts step `step`, counted from 1: writes the step, `learning_rate` and
  // the bias corrections 1 - beta^step (computed in double), a gradient factor
  // of 1 and "finite"; ops::ClipFactor then overwrites the last two. Ordered on
  // `stream`; blocks only when the stream is kSlots steps behind.
  absl::Status Begin(int64_t step, double learning_rate, double beta1,
                     double beta2, Stream& stream);

  // f32 [ops::kStepStateSize], indexed by ops::StepStateIndex.
  const Tensor& values() const { return values_; }
  // i64 [1]; the counter that dropout draws from.
  const Tensor& step() const { return step_; }

 private:
  static constexpr int kSlots = 4;

  // A copy reads its host memory when the stream comes to it, so the last few
  // steps each have memory of their own.
  struct Slot {
    std::array<float, ops::kStepStateSize> values = {};
    int64_t step = 0;
    Event copied;
  };

  StepState() = default;

  Tensor values_, step_;
  std::unique_ptr<std::array<Slot, kSlots>> slots_;  // stays where it is
  int next_ = 0;
};

}  // namespace eisbach::optim
