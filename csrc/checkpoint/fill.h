#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/box.h"
#include "checkpoint/shard_set.h"
#include "checkpoint/stored_tensor.h"
#include "device/stream.h"

namespace eisbach::checkpoint {

// A box of a stored tensor and the places that together have it.
struct BoxSources {
  BoxAt at;
  std::vector<SliceSource> sources;
};

// What a tensor that a rank keeps is filled with.
struct FillTarget {
  const StoredTensor* stored;
  std::vector<BoxSources> boxes;
};

// Where all of `stored` lies; nothing is written. Errors are those of
// ShardSet::Find. Views live as long as `stored` and `shards`.
absl::StatusOr<std::vector<FillTarget>> PlanFill(
    absl::Span<const StoredTensor> stored, ShardSet& shards);

// Copies it there, by the rank's threads, and zeros to padding. The system is
// asked for what comes next while that goes on, as another host may have read
// these files. Fails where a copy to a device does.
absl::Status Fill(absl::Span<const FillTarget> plan, Stream& stream);

}  // namespace eisbach::checkpoint
