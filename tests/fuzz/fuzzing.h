#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/check.h"

// What each target implements, for libFuzzer and for replay.cc: reads `size`
// bytes in every way that a user's file is read. Damage is an error, and what
// is accepted holds what its header promises; anything else ends the process.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace eisbach::fuzz {

inline absl::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A folder that is gone when the process ends by itself.
class ScratchFolder {
 public:
  ScratchFolder() {
    path_ = std::filesystem::temp_directory_path() / "eisbach_fuzz_XXXXXX";
    EISBACH_CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string File(absl::string_view name) const {
    return absl::StrCat(path_, "/", name);
  }
  const std::string& path() const { return path_; }

  // Another file of that name goes, so that who has mapped it keeps it.
  void Write(absl::string_view name, absl::string_view bytes) const {
    const std::string file = File(name);
    unlink(file.c_str());
    const int fd = open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0600);
    EISBACH_CHECK(fd >= 0);
    EISBACH_CHECK(write(fd, bytes.data(), bytes.size()) ==
                  static_cast<ssize_t>(bytes.size()));
    close(fd);
  }

 private:
  std::string path_;
};

}  // namespace eisbach::fuzz
