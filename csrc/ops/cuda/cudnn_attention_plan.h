#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ops/cuda/attention_choice.h"
#include "ops/cuda/attention_key.h"

struct cudnnContext;  // a cudnnHandle_t points to it

namespace eisbach::cuda {

// The GPU that a plan is for: the one of `handle`, or, without a handle, one
// that need not be here and that `description` stands for: the JSON of cuDNN's
// device properties (tests/golden/devices). Plans of a description cannot run.
struct PlanTarget {
  int architecture = 0;  // 90 for H100, 100 for GB200
  cudnnContext* handle = nullptr;
  absl::string_view description;
};

// One compiled cuDNN graph: causal scaled dot-product attention that reads
// query, key and value from the packed tensor and writes their gradients into
// one. Backward is the deterministic algorithm. cuDNN's statistics are the
// natural log-sum-exp [B, heads, T, 1], which is our lse.
//
// Files that include cudnn_frontend.h take half a minute to compile: only the
// .cc of this one does.
class CudnnAttentionPlan {
 public:
  // OK where cuDNN may be asked: bf16 or f16, head_dim a multiple of 8 up to
  // 256, even groups, elements. Else Unimplemented with the reason.
  static absl::Status Claims(const AttentionKey& key);
  // Unimplemented with cuDNN's reason when it has no engine for the shape;
  // Internal when it fails. 0.1 to 3 s.
  static absl::StatusOr<std::unique_ptr<CudnnAttentionPlan>> Make(
      const AttentionKey& key, const PlanTarget& target);
  ~CudnnAttentionPlan();

  const std::string& engine() const;  // cuDNN's name of it
  size_t workspace_bytes() const;

  // Starts it on the handle's stream.
  absl::Status Run(cudnnContext* handle, const AttentionPointers& pointers,
                   void* workspace) const;

 private:
  struct Compiled;
  explicit CudnnAttentionPlan(std::unique_ptr<Compiled> compiled);
  const std::unique_ptr<Compiled> compiled_;
};

// The largest divisor of `batch` of which a workspace is within `limit`, where
// that of the whole batch takes `bytes`; at least 1.
int64_t SequencesAtOnce(int64_t batch, size_t bytes, size_t limit);

std::string CudnnVersion();  // "9.28.1"

}  // namespace eisbach::cuda
