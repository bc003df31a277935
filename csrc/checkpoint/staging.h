#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/piece.h"
#include "device/device.h"
#include "device/event.h"

namespace eisbach::checkpoint {

// Host memory that holds the pieces of one save, so that training can change
// them while they are written. Its pages are there, and pinned where the device
// is a GPU, from the beginning: no copy waits for the system.
class Staging {
 public:
  // What pieces like these take.
  static size_t BytesFor(absl::Span<const Piece> pieces);
  static absl::StatusOr<std::unique_ptr<Staging>> Make(size_t bytes,
                                                       Device& device);

  // Copies the pieces as `stream` has them at this point of its order; it need
  // not be over when the call returns. InvalidArgument where they do not fit.
  absl::Status Copy(absl::Span<const Piece> pieces, Stream& stream);
  // Waits for that copy. From any thread.
  absl::Status Wait() const { return copied_.Wait(); }
  // Of piece i of the last copy, in its own type.
  const std::byte* data(size_t i) const { return data() + offsets_[i]; }

  size_t bytes() const { return bytes_; }

 private:
  Staging(size_t bytes, std::shared_ptr<void> memory)
      : bytes_(bytes), memory_(std::move(memory)) {}

  std::byte* data() const { return static_cast<std::byte*>(memory_.get()); }

  const size_t bytes_;
  const std::shared_ptr<void> memory_;
  std::vector<size_t> offsets_;
  Event copied_;
};

}  // namespace eisbach::checkpoint
