#include "comm/mpi/host_blocks.h"

#include <set>

namespace eisbach::comm {

std::optional<HostBlocks> FindHostBlocks(absl::Span<const int> hosts) {
  size_t per_host = 0;
  while (per_host < hosts.size() && hosts[per_host] == hosts[0]) ++per_host;
  if (per_host < 2 || per_host == hosts.size()) return std::nullopt;
  if (hosts.size() % per_host != 0) return std::nullopt;
  std::set<int> seen;
  for (size_t begin = 0; begin < hosts.size(); begin += per_host) {
    if (!seen.insert(hosts[begin]).second) return std::nullopt;
    for (size_t i = 1; i < per_host; ++i) {
      if (hosts[begin + i] != hosts[begin]) return std::nullopt;
    }
  }
  return HostBlocks{.hosts = static_cast<int>(seen.size()),
                    .per_host = static_cast<int>(per_host)};
}

}  // namespace eisbach::comm
