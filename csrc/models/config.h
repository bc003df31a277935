#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/adapter.h"
#include "models/architecture.h"

namespace eisbach::models {

// A decoder-only transformer. Carries no defaults: whoever fills it in (the
// configuration, a test) says everything.
struct ModelConfig {
  std::string family;  // whose choices `architecture` started from
  Architecture architecture;
  int64_t layers;
  int64_t hidden;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;
  int64_t ffn_hidden;
  int64_t context;
  int64_t vocab;
  double dropout;
  bool tie_embeddings;
  double norm_eps;
  Adapter adapter{};
};

// The width of a head where nobody says it: hidden / heads, which must divide.
absl::StatusOr<int64_t> DefaultHeadDim(int64_t hidden, int64_t heads);

// What holds on any layout: positive sizes, kv_heads that divide heads, and
// so on. Messages name the key, the value and the nearest that works.
absl::Status Validate(const ModelConfig& config);

// Numbers of the whole model, tied tables once, without padding and adapters.
int64_t ParameterCount(const ModelConfig& config);

// Of these, or of the adapters and the tables that train beside them, what is
// trained.
int64_t TrainedParameterCount(const ModelConfig& config);

// Matrix weights of a layer, and of its adapters.
int64_t MatrixWeightsOfLayer(const ModelConfig& config);
int64_t AdapterWeightsOfLayer(const ModelConfig& config);

// Floating-point operations that training on one token needs, forward and
// backward, without recomputation: 6 a matrix weight, 4 where it has no
// gradient (the base of adapters), and 12 layers * heads *
// head_dim * context for attention scores and values (Chowdhery et al., "PaLM",
// arXiv:2204.02311, appendix B; causal masking is not discounted, and a layer
// with a window counts that instead of the context).
double TrainingFlopsPerToken(const ModelConfig& config);
// Of these the head's.
double HeadFlopsPerToken(const ModelConfig& config);

}  // namespace eisbach::models
