#pragma once

#include <cstdint>
#include <string>

namespace eisbach {

// Bytes of the cache of the highest level that the first core sees; 0 where
// the system does not tell.
int64_t LastLevelCacheBytes();

// The same from a folder of Linux's, by default that of the first core:
// index<i>/level and index<i>/size ("116736K").
int64_t LastLevelCacheBytes(const std::string& folder);

}  // namespace eisbach
