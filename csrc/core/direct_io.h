#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace eisbach {

// Reads and writes past the page cache (O_DIRECT): to find pages and to copy
// through them takes longer than a fast disk.

// Of memory, place and length of such a read or write, on any disk.
inline constexpr size_t kDirectAlignment = 4096;

struct FreeDirectMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using DirectMemory = std::unique_ptr<std::byte[], FreeDirectMemory>;

// At least so many bytes, aligned; null where there are none.
DirectMemory AllocateDirect(size_t bytes);

// Whether reads and writes of an open file go past the cache from now on, or
// through it again. False where that cannot be changed: not every file system
// knows it.
bool SetDirect(int fd, bool direct);

// The open file once more, to be read past the cache; -1 where that cannot be.
// To be closed by the caller.
int OpenDirect(int fd);

}  // namespace eisbach
