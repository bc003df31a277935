#pragma once

#include <optional>

#include "absl/types/span.h"

namespace eisbach::comm {

// A group whose ranks come host by host, as many of each.
struct HostBlocks {
  int hosts;
  int per_host;
};

// The blocks of a group by the host of each of its ranks, in their order.
// Nothing when it has no two hosts with two ranks each, or another shape.
std::optional<HostBlocks> FindHostBlocks(absl::Span<const int> hosts);

}  // namespace eisbach::comm
