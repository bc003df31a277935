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

// What one launch computes: so many sequences, and of each so many key/value
// heads with the query heads that read them. Both divide the whole.
struct AttentionPart {
  int64_t sequences = 0;
  int64_t kv_heads = 0;
  friend bool operator==(const AttentionPart&, const AttentionPart&) = default;
};

// The largest part whose workspace is within `limit`, where that of the whole
// takes `bytes` and each key/value head an equal share; at least one key/value
// head. Sequences are divided first.
AttentionPart PartWithin(const AttentionKey& key, size_t bytes, size_t limit);

// A compiled cuDNN graph: causal scaled dot-product attention that reads query,
// key and value from the packed tensor and writes their gradients into one.
// Backward is the deterministic algorithm, which on Hopper, Ampere and the RTX
// PRO keeps a T x T product for each head; it is computed in parts where that
// is more than kLargestWorkspace. (On Hopper cuDNN has another one that keeps
// an eighth of that and, as it says, is slower: where the environment has
// CUDNN_FRONTEND_ATTN_DP_WORKSPACE_LIMIT=0.) cuDNN's statistics are the natural
// log-sum-exp [B, heads, T, 1], which is our lse.
//
// Files that include cudnn_frontend.h take half a minute to compile: only the
// .cc of this one does.
class CudnnAttentionPlan {
 public:
  static constexpr size_t kLargestWorkspace = size_t{2} << 30;

  // OK where cuDNN may be asked: bf16 or f16, head_dim a multiple of 8 up to
  // 256, even groups, elements, queries that see all before them, no cap. Else
  // Unimplemented with the reason.
  static absl::Status Claims(const AttentionKey& key);
  // Unimplemented with cuDNN's reason when it has no engine for the shape;
  // Internal when it fails. 0.3 to 3 s.
  static absl::StatusOr<std::unique_ptr<CudnnAttentionPlan>> Make(
      const AttentionKey& key, const PlanTarget& target);
  ~CudnnAttentionPlan();

  const std::string& engine() const;  // cuDNN's name of it
  const AttentionPart& part() const;
  size_t workspace_bytes() const;
  // "workspace 256 bytes, eng9...", and the part where it is not the whole
  std::string Describe() const;

  // Starts all parts, one after the other, on the handle's stream.
  absl::Status Run(cudnnContext* handle, const AttentionPointers& pointers,
                   void* workspace) const;

 private:
  struct Compiled;
  explicit CudnnAttentionPlan(std::unique_ptr<Compiled> compiled);
  static absl::StatusOr<std::unique_ptr<Compiled>> Compile(
      const AttentionKey& key, const AttentionPart& part,
      const PlanTarget& target);
  const std::unique_ptr<Compiled> compiled_;
};

std::string CudnnVersion();  // "9.28.1"

}  // namespace eisbach::cuda
