#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace eisbach::checkpoint {

// What was found out about a checkpoint.
struct Verification {
  size_t files = 0;    // that the manifest lists
  size_t tensors = 0;  // logical ones, parts of the optimizer's state included
  uint64_t bytes = 0;  // of all files
  // One line for each thing that is wrong, naming the file and, where one can
  // be told, the tensor. Empty for a checkpoint that can be gone on with.
  std::vector<std::string> faults;
};

// Is told from time to time how many of all bytes have been read; an error ends
// the verification.
using VerifyProgress =
    std::function<absl::Status(uint64_t done, uint64_t total)>;

// Reads everything in the checkpoint folder `path`, for one process: the
// manifest and its hash, the folder's name, size, hash and values (finite) of
// each file, that the slices cover each logical tensor exactly once, that
// optimizer state is as the manifest says, and that nothing else lies there.
// Looks for all faults; the only error is that of `progress`.
absl::StatusOr<Verification> Verify(const std::string& path,
                                    const VerifyProgress& progress);

}  // namespace eisbach::checkpoint
