#pragma once

#include <cstdint>
#include <string>

namespace eisbach {

// Bytes of memory that the processes of this host have, or, where that is less,
// those of the calling process's control group (a container's limit). `root` is
// what "/" is: empty, but in tests. 0 where nothing is told.
int64_t HostMemory(const std::string& root = "");

}  // namespace eisbach
