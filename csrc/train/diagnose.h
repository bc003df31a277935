#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "autograd/node.h"
#include "parallel/context.h"
#include "tensor/parameter.h"

namespace eisbach::train {

// Remembers the first tensor of this rank that holds NaN or infinity. Reads
// every tensor on the host: for a step that has gone wrong, not for others.
class Observations final : public autograd::Observer {
 public:
  enum class Phase : uint8_t { kParameter, kForward, kBackward, kNothing };

  explicit Observations(Device& device) : device_(device) {}

  absl::Status CheckParameters(absl::Span<Parameter* const> parameters);
  absl::Status OnForward(absl::string_view node, const Tensor& output) override;
  absl::Status OnBackward(absl::string_view node,
                          const Tensor& gradient) override;

  Phase phase() const { return phase_; }
  const std::string& what() const { return what_; }

 private:
  absl::Status Check(Phase phase, absl::string_view what, const Tensor& tensor);

  Device& device_;
  Phase phase_ = Phase::kNothing;
  std::string what_;
  std::string last_layer_;  // the latest node that bears a parameter's name
};

// InvalidArgument when tokens or targets, each i32 [samples, T], are outside
// the vocabulary (ops/ids.h). Waits for the stream.
absl::Status CheckInputIds(const Tensor& tokens, const Tensor& targets,
                           int64_t vocab, Stream& stream);

// The same of all ranks: names the first such rank and its first id. Collective
// over the world.
absl::Status ExplainIds(const Tensor& tokens, const Tensor& targets,
                        int64_t vocab,
                        const parallel::ParallelContext& context);

// A DataLoss error: `symptom`, the rank on which it began and the tensor, by
// comparing the observations of all ranks. Collective over the world.
absl::Status ExplainNonFinite(absl::string_view symptom,
                              const Observations& observations,
                              const parallel::ParallelContext& context);

}  // namespace eisbach::train
