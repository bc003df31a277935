#include "plan/collective_seconds.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"

namespace eisbach::plan {
namespace {

double Rate(const Link& link) { return link.bandwidth * link.fraction; }

// Of a collective inside a domain.
Link LinkOf(absl::string_view name, const Hardware& h, bool staged) {
  const auto it = h.collectives.find(name);
  if (it == h.collectives.end()) return h.domain;
  const CollectiveSpeed& speed = it->second;
  return {.devices = h.domain.devices,
          .bandwidth = staged ? speed.staged_bandwidth : speed.bandwidth,
          .latency = speed.latency};
}

}  // namespace

double ShareSent(absl::string_view name, int n) {
  const double others = static_cast<double>(n - 1) / n;
  if (name == "all_reduce") return 2 * others;
  if (name == "broadcast" || name == "exchange") return 1;
  return others;
}

double MessagesSent(absl::string_view name, int n) {
  if (name == "exchange") return 1;
  const double halves = name == "all_reduce" ? 2 : 1;
  return halves * std::ceil(std::log2(n));
}

GroupPlace PlaceOf(int size, int64_t stride, const Hardware& hardware) {
  const int64_t reach = hardware.domain.devices / std::max<int64_t>(stride, 1);
  int inside = static_cast<int>(std::clamp<int64_t>(reach, 1, size));
  while (size % inside != 0) --inside;  // domains hold equal parts
  return {size, inside};
}

GroupPlace PlaceOf(absl::string_view group, int size,
                   const parallel::Mesh& mesh, const Hardware& hardware) {
  const int64_t tensor = mesh.size(Axis::kTensor);
  const int64_t context = mesh.size(Axis::kContext);
  const int stages = mesh.size(Axis::kPipeline);
  const int64_t of_stage = tensor * context * mesh.size(Axis::kData);
  if (group == "model") {
    const int inside = PlaceOf(mesh.size(Axis::kTensor), 1, hardware).inside;
    if (inside < tensor) return {size, inside};
    return {size, inside * PlaceOf(stages, of_stage, hardware).inside};
  }
  if (group == "tied") {
    // The first stage and the last.
    return {size, of_stage * stages <= hardware.domain.devices ? size : 1};
  }
  int64_t stride = 1;
  if (group == "context ring") {
    // Of contexts in two levels, between groups of neighbours.
    stride = tensor * context / size;
  } else if (group == "zero") {
    // Neighbours of a data group that divide state, and those of others that
    // have the same part of it.
    stride = tensor;
  } else if (group == "zero replicas" || group == "expert data") {
    // Or, of experts, those that have the same.
    stride = of_stage / size;
  } else if (absl::StartsWith(group, "context") ||
             absl::StartsWith(group, "data")) {
    // Of data groups context ranks, if any, are the nearest members.
    stride = tensor;
  } else if (group == "pipeline") {
    stride = of_stage;
  }
  return PlaceOf(size, stride, hardware);
}

double CollectiveSeconds(absl::string_view name, double bytes,
                         const GroupPlace& place, const Hardware& h,
                         bool staged) {
  const int n = place.size;
  if (n <= 1) return 0;
  const Link inner = LinkOf(name, h, staged);
  if (name == "exchange") {
    const Link& link = place.inside > 1 ? inner : h.network;
    return link.latency + bytes / Rate(link);
  }
  const int outside = n / place.inside;
  double seconds = 0, latency = 0;
  if (place.inside > 1) {
    seconds = bytes * ShareSent(name, place.inside) / Rate(inner);
    latency = MessagesSent(name, place.inside) * inner.latency;
  }
  if (outside > 1) {
    const double part = name == "all_to_all"
                            ? static_cast<double>(n - place.inside) / n
                            : ShareSent(name, outside) / place.inside;
    seconds = std::max(seconds, bytes * part / Rate(h.network));
    latency += MessagesSent(name, outside) * h.network.latency;
  }
  return seconds + latency;
}

}  // namespace eisbach::plan
