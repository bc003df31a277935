#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace eisbach {

// A limit on the processor time of all processes of a control group together,
// as containers have it.
struct CpuQuota {
  uint64_t group = 0;  // the same number for whoever sees the same group
  double cores = 0;    // 1.5: three cores half of the time
};

// The limits on the calling process: of its cgroup and of those above it, as
// far as they are mounted here; of cgroup v2 and v1. `root` is what "/" is:
// empty, but in tests. Nothing fails: what cannot be read is no limit.
std::vector<CpuQuota> CpuQuotas(const std::string& root = "");

// The smallest of them in cores.
std::optional<double> LeastCpuQuota(const std::vector<CpuQuota>& quotas);

}  // namespace eisbach
