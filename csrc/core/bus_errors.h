#pragma once

#include <cstddef>
#include <string>

namespace eisbach {

// Says which file a bus error (SIGBUS) comes from. A file that is cut short
// while it is mapped, or lies on a disk that fails, answers a read with that
// signal, which says nothing of itself.
//
// While an object lives, a bus error within its memory is one line on standard
// error, with the rank of the thread that made the object, the file, the offset
// and its size then and now, and the process ends with status 1: a launcher
// takes the job down. All other bus errors go to the handler that was there
// before. Moves, never copies; thread-safe.
class BusErrorWatch {
 public:
  BusErrorWatch() = default;  // watches nothing
  // `size` bytes from `begin` are a mapping of all of the file `path`.
  BusErrorWatch(const void* begin, size_t size, std::string path);
  BusErrorWatch(BusErrorWatch&& other) noexcept;
  BusErrorWatch& operator=(BusErrorWatch&& other) noexcept;
  ~BusErrorWatch();

 private:
  struct Range;
  friend struct BusErrorHandler;

  Range* range_ = nullptr;
};

}  // namespace eisbach
