#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "comm/activity.h"
#include "core/dtype.h"

namespace eisbach::comm {

enum class ReduceOp : uint8_t { kSum, kMax, kMin };

// What must be the same on all ranks of a collective call.
struct CallShape {
  CallKind kind = CallKind::kNone;
  DType dtype = DType::kU8;
  ReduceOp op = ReduceOp::kSum;
  int32_t root = 0;
  int64_t elements = 0;  // of the input; 0 where ranks may differ

  // "all_reduce (sum) of 100 f32".
  std::string ToString() const;
  friend bool operator==(const CallShape&, const CallShape&) = default;
};

// Who calls what, where the ranks of a group do not call the same, the fewest
// first; empty where they do: "ranks of a group disagree: rank 1 calls
// all_reduce (sum) of 90 f32; ranks 0 and 2 call all_reduce (sum) of 100 f32".
std::string Disagreement(const std::vector<CallShape>& by_rank);

// `all` has a row of each rank: what it sends to each, then what it expects
// from each. Names the first two that differ; empty where none do.
std::string CountDisagreement(absl::Span<const int64_t> all, int size);

// What one partner of a transfer says of it.
struct TransferShape {
  static constexpr uint64_t kTold = 0x6569736261636874;
  uint64_t told = 0;  // kTold, or it has not come
  int64_t bytes = 0;
  int32_t peer = 0;
  DType dtype = DType::kU8;
  bool sends = false;
};

// What `rank` says of a transfer and what its peer does; the same text on both,
// empty where they agree: "rank 0 sends 40 bytes of f32 to rank 1, which
// expects 36 of f32".
std::string TransferDisagreement(int rank, const TransferShape& mine,
                                 const TransferShape& theirs);

// InvalidArgument "all_reduce on "data" (rank 1 of 3): <text>
// (fault.check_collectives)"; OK where there is no text.
absl::Status DisagreementError(absl::string_view where, absl::string_view text);

}  // namespace eisbach::comm
