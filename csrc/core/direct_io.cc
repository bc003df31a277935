#include "core/direct_io.h"

#include <fcntl.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace eisbach {

DirectMemory AllocateDirect(size_t bytes) {
  const size_t whole =
      (bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
  return DirectMemory(
      static_cast<std::byte*>(std::aligned_alloc(kDirectAlignment, whole)));
}

bool SetDirect(int fd, bool direct) {
  const int flags = fcntl(fd, F_GETFL);
  const int wanted = direct ? flags | O_DIRECT : flags & ~O_DIRECT;
  return flags >= 0 && fcntl(fd, F_SETFL, wanted) == 0;
}

int OpenDirect(int fd) {
  // Not by its path, which may be another file's by now.
  const std::string name = absl::StrCat("/proc/self/fd/", fd);
  return open(name.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
}

}  // namespace eisbach
