#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "comm/world.h"
#include "core/philox.h"
#include "core/status_macros.h"
#include "train/engine.h"

// A small model and its batches, trained on any layout of rank threads: what
// tests of layouts, checkpoints and faults have in common.
namespace eisbach::test {

struct Layout {
  int data = 1;
  int tensor = 1;
  int pipeline = 1;
  std::vector<int> placement = {};  // rank at each position; empty: in order
  int context = 1;

  int ranks() const { return data * tensor * pipeline * context; }
  std::string ToString() const {
    return absl::StrCat("d", data, "t", tensor, "p", pipeline,
                        context == 1 ? "" : absl::StrCat("c", context));
  }
};

// The same with rows that `context` ranks divide.
inline Layout WithContext(int context, Layout layout = {}) {
  layout.context = context;
  return layout;
}

// 24 heads, 8 layers and batch 24 divide by everything up to 8; the vocabulary
// and, for llama, the key/value heads do not.
inline models::ModelConfig ToyModel(const std::string& family) {
  models::ModelConfig model{};
  model.family = family;
  model.architecture = models::FindFamily(family).value();
  model.layers = 8;
  model.hidden = 96;
  model.heads = 24;
  model.kv_heads = family == "gpt" ? 24 : 8;
  // Also a width that is not hidden / heads.
  model.head_dim = family == "qwen3" ? 6 : 4;
  model.ffn_hidden = 192;
  model.context = 8;
  model.vocab = 101;
  model.dropout = 0;
  model.tie_embeddings = family == "gpt";
  model.norm_eps = 1e-5f;
  return model;
}

inline train::EngineConfig ToyConfig(const std::string& family) {
  train::EngineConfig config{};
  config.model = ToyModel(family);
  // AdamW divides a gradient by its own size, rounding noise included. With an
  // eps of 1e-8 llama's norm of step 17 moves by 2e-5 where the layouts' first
  // gradients differ by 1e-8; with 1e-6 by 6e-7.
  config.update.optimizer = {.name = "adamw",
                             .beta1 = 0.9,
                             .beta2 = 0.95,
                             .eps = 1e-6,
                             .momentum = 0,
                             .weight_decay = 0.1};
  config.update.schedule = {.name = "constant",
                            .learning_rate = 3e-4,
                            .min_learning_rate = 3e-4,
                            .warmup_steps = 0,
                            .total_steps = 1000};
  config.update.clip_grad_norm = 1.0f;
  config.update.compute_dtype = DType::kF32;
  config.update.bucket_bytes = 1 << 18;
  config.update.seed = 1234;
  config.global_batch = 24;
  config.micro_batch = 1;
  config.recompute = nn::Recompute::kNothing;
  config.deferred_weights = false;
  config.pipeline_schedule = "1f1b";
  return config;
}

// The samples that rank `data_rank` of `data_size` sees in `step`: random
// tokens, small ones more often, that depend on the sample's global index
// alone.
inline absl::StatusOr<train::StepInput> ToyInput(
    const train::EngineConfig& config, int64_t step, int data_rank,
    int data_size, Device& device) {
  const int64_t samples = config.global_batch / data_size;
  const int64_t length = config.model.context;
  std::vector<int32_t> tokens(samples * length), targets(samples * length);
  std::vector<int64_t> index(samples);
  for (int64_t s = 0; s < samples; ++s) {
    index[s] = (step - 1) * config.global_batch + data_rank * samples + s;
    const auto token = [&](int64_t t) {
      const PhiloxCounter bits =
          Philox({static_cast<uint32_t>(index[s]), static_cast<uint32_t>(t)},
                 MakePhiloxKey(7));
      const auto vocab = static_cast<uint32_t>(config.model.vocab);
      return static_cast<int32_t>(std::min(bits[0] % vocab, bits[1] % vocab));
    };
    for (int64_t t = 0; t < length; ++t) {
      tokens[s * length + t] = token(t);
      targets[s * length + t] = token(t + 1);
    }
  }
  train::StepInput input;
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(
      input.tokens, Tensor::Empty(Shape{samples, length}, DType::kI32, device));
  EISBACH_ASSIGN_OR_RETURN(input.targets, Tensor::Empty(Shape{samples, length},
                                                        DType::kI32, device));
  EISBACH_ASSIGN_OR_RETURN(input.sample_index,
                           Tensor::Empty(Shape{samples}, DType::kI64, device));
  const auto copy = [&](const Tensor& to, const void* from) {
    return device.CopyToDevice(to.raw(), from, to.bytes(), stream);
  };
  EISBACH_RETURN_IF_ERROR(copy(input.tokens, tokens.data()));
  EISBACH_RETURN_IF_ERROR(copy(input.targets, targets.data()));
  EISBACH_RETURN_IF_ERROR(copy(input.sample_index, index.data()));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());  // the vectors end here
  return input;
}

inline absl::StatusOr<parallel::Mesh> MeshOf(const Layout& layout) {
  return parallel::MakeMesh(layout.ranks(), {.data = layout.data,
                                             .tensor = layout.tensor,
                                             .pipeline = layout.pipeline,
                                             .context = layout.context,
                                             .placement = layout.placement});
}

using EngineBody = std::function<absl::Status(train::Engine&)>;

// Makes an engine of `layout` in `world` and hands it to `body`.
inline absl::Status WithEngine(comm::World& world, const Layout& layout,
                               const train::EngineConfig& config,
                               const EngineBody& body) {
  EISBACH_ASSIGN_OR_RETURN(parallel::Mesh mesh, MeshOf(layout));
  EISBACH_ASSIGN_OR_RETURN(auto context,
                           parallel::ParallelContext::Make(world, mesh));
  EISBACH_ASSIGN_OR_RETURN(auto engine, train::Engine::Make(config, *context));
  return body(*engine);
}

// The same of an engine's rank.
inline absl::StatusOr<train::StepInput> ToyInput(const train::Engine& engine,
                                                 int64_t step) {
  const parallel::ParallelContext& context = engine.context();
  return ToyInput(engine.config(), step, context.index(Axis::kData),
                  context.size(Axis::kData), context.device());
}

// Those of `steps` steps; that of the first at [1].
inline absl::StatusOr<std::vector<train::StepInput>> ToyInputs(
    const train::Engine& engine, int steps) {
  std::vector<train::StepInput> inputs(steps + 1);
  for (int step = 1; step <= steps; ++step) {
    EISBACH_ASSIGN_OR_RETURN(inputs[step], ToyInput(engine, step));
  }
  return inputs;
}

// One training step on the toy's batch of that step.
inline absl::Status ToySubmit(train::Engine& engine) {
  EISBACH_ASSIGN_OR_RETURN(train::StepInput input,
                           ToyInput(engine, engine.update().step() + 1));
  return engine.Submit(input);
}
inline absl::StatusOr<train::StepResult> ToyStep(train::Engine& engine) {
  EISBACH_RETURN_IF_ERROR(ToySubmit(engine));
  return engine.Collect();
}

// The results of `steps` steps as rank 0 sees them, on rank threads.
inline absl::StatusOr<std::vector<train::StepResult>> Train(
    const Layout& layout, const train::EngineConfig& config, int steps) {
  std::vector<train::StepResult> results;
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, /*threads=*/1, [&](comm::World& world) {
        return WithEngine(world, layout, config,
                          [&](train::Engine& engine) -> absl::Status {
                            for (int step = 0; step < steps; ++step) {
                              EISBACH_ASSIGN_OR_RETURN(train::StepResult result,
                                                       ToyStep(engine));
                              if (world.rank() == 0) results.push_back(result);
                            }
                            return absl::OkStatus();
                          });
      }));
  return results;
}

// Every way to write `ranks` as data x tensor x pipeline.
inline std::vector<Layout> Factorings(int ranks) {
  std::vector<Layout> layouts;
  for (int data = 1; data <= ranks; ++data) {
    for (int tensor = 1; data * tensor <= ranks; ++tensor) {
      if (ranks % (data * tensor) != 0) continue;
      layouts.push_back({data, tensor, ranks / (data * tensor)});
    }
  }
  return layouts;
}

}  // namespace eisbach::test
