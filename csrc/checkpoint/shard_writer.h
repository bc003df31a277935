#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "checkpoint/piece.h"

namespace eisbach::checkpoint {

// The f32 values of piece i, valid until the next call.
using PieceSource =
    std::function<absl::StatusOr<absl::Span<const float>>(size_t i)>;

struct WriteLimits {
  double bytes_per_second = 0;  // at most; 0: as fast as it goes
  // Once true the writing ends with Cancelled, soon.
  const std::atomic<bool>* cancelled = nullptr;
};

struct WrittenFile {
  int64_t bytes = 0;
  uint64_t hash = 0;  // ContentHash
};

// Writes pieces as a safetensors file whose metadata says what each is
// (ReadSlices). It is on the disk under its name when the call returns, or not
// there at all.
absl::StatusOr<WrittenFile> WriteShard(const std::string& path,
                                       absl::Span<const Piece> pieces,
                                       const PieceSource& source,
                                       const WriteLimits& limits = {});

}  // namespace eisbach::checkpoint
