#pragma once

#include <string>

#include "support/toy.h"

namespace eisbach::test {

// The toy as it is trained on a GPU, in bf16, and small enough for an emulated
// one: micro-batches of two samples, one bucket. The learning rate is another
// in each step.
inline train::EngineConfig GpuToyConfig(const std::string& family,
                                        int64_t layers, int64_t micro_batches) {
  train::EngineConfig config = ToyConfig(family);
  config.model.layers = layers;
  config.model.hidden = 64;
  config.model.heads = config.model.kv_heads = 4;
  config.model.head_dim = 16;
  config.model.ffn_hidden = 128;
  config.model.vocab = 64;
  config.update.compute_dtype = DType::kBF16;
  config.update.schedule.warmup_steps = 10;
  config.update.bucket_bytes = int64_t{1} << 30;
  config.micro_batch = 2;
  config.global_batch = 2 * micro_batches;
  return config;
}

// Two documents in each row, divided elsewhere from step to step.
inline absl::Status AddDocuments(int64_t step, train::StepInput& input) {
  Device& device = input.tokens.device();
  EISBACH_ASSIGN_OR_RETURN(
      input.starts, Tensor::Empty(input.tokens.shape(), DType::kI32, device));
  const int64_t length = input.tokens.dim(1);
  std::vector<int32_t> starts(input.starts.elements());
  for (size_t i = 0; i < starts.size(); ++i) {
    const auto border = static_cast<int32_t>(1 + step % (length - 1));
    starts[i] = static_cast<int64_t>(i) % length < border ? 0 : border;
  }
  EISBACH_RETURN_IF_ERROR(device.CopyToDevice(input.starts.raw(), starts.data(),
                                              input.starts.bytes(),
                                              device.compute_stream()));
  return device.compute_stream().Synchronize();
}

}  // namespace eisbach::test
