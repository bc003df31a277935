#pragma once

#include <cstdint>

namespace eisbach::cpu {

// Copies like memcpy, and writes past the caches: for outputs that are larger
// than those, a third less memory traffic. What it wrote is ordered before
// every later store of this thread.
void CopyPastCaches(void* to, const void* from, int64_t bytes);

}  // namespace eisbach::cpu
