#pragma once

#include <array>

#include "absl/strings/string_view.h"
#include "device/recorder.h"
#include "parallel/mesh.h"
#include "plan/hardware.h"

namespace eisbach::plan {

// How a group of devices lies on a machine: `inside` of its `size` members
// share a domain with each other, and so do those of each other domain.
struct GroupPlace {
  int size = 1;
  int inside = 1;
};

// Of a group of `size` ranks whose neighbours in the group are `stride` ranks
// apart, where ranks fill domains one after another.
GroupPlace PlaceOf(int size, int64_t stride, const Hardware& hardware);

// Of the communicators that training uses (parallel/context.h), by their names.
// The ranks of a job are laid out in the mesh's order.
GroupPlace PlaceOf(absl::string_view group, int size,
                   const parallel::Mesh& mesh, const Hardware& hardware);

// Seconds of a collective whose members all arrive at once.
//
// Inside a domain a ring moves (n - 1)/n of the buffer for a gather, a
// reduce-scatter or an all-to-all and twice that for an all-reduce (Thakur et
// al. 2005, section 4), with log2(n) messages' latency for each half, as trees
// and switches have it. Across domains the collective goes in two levels: each
// member takes 1/inside of the buffer over the network, while what is inside
// goes over the domain's links; the slower of the two counts. All-to-all sends
// each other domain's part over the network.
//
// Inside a domain, one that was measured (Hardware::collectives) has its own
// bandwidth and latency. `staged`: its tensors lie where the other ranks do not
// reach them.
double CollectiveSeconds(absl::string_view name, double bytes,
                         const GroupPlace& place, const Hardware& hardware,
                         bool staged = true);

// Of the buffer, what each member of n sends, and how many messages' latency it
// takes.
double ShareSent(absl::string_view name, int n);
double MessagesSent(absl::string_view name, int n);

}  // namespace eisbach::plan
