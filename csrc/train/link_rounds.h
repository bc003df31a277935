#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "parallel/mesh.h"

namespace eisbach::train {

// Pairs of ranks that are neighbours along some axes, apart from one another:
// all of them may talk at once.
struct LinkRound {
  parallel::AxisSet axes;
  int ring = 0;              // rounds of one number make a ring, or two ranks
  std::vector<int> partner;  // of each rank; -1: it rests
};

// The links that a job sends most over, each once: of every group that several
// ranks share (network_use.h) the ring of its ranks in their order, and, where
// a group has as many ranks on each of several hosts, one after the other,
// rings of those with the same number on their hosts. `hosts` names the host of
// each rank. At most three rounds a ring, whatever the number of ranks.
std::vector<LinkRound> LinkRounds(const parallel::Mesh& mesh,
                                  absl::Span<const std::string> hosts);

}  // namespace eisbach::train
