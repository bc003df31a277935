#include "checkpoint/staging.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "device/cpu/parallel_for.h"

namespace eisbach::checkpoint {
namespace {

// Of a stretch that one thread copies: pieces differ too much in size.
constexpr size_t kStretchBytes = size_t{4} << 20;
constexpr size_t kAlignment = 64;

struct Stretch {
  std::byte* to;
  const std::byte* from;
  size_t bytes;
};

size_t Aligned(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Where a copy is over when its call returns, the rank's threads share them.
absl::Status CopyAll(absl::Span<const Stretch> stretches, Stream& stream) {
  Device& device = stream.device();
  if (!stream.runs_inline()) {
    for (const Stretch& each : stretches) {
      EISBACH_RETURN_IF_ERROR(
          device.CopyToHost(each.to, each.from, each.bytes, stream));
    }
    return absl::OkStatus();
  }
  std::mutex mutex;
  absl::Status first;
  cpu::ParallelFor(
      static_cast<int64_t>(stretches.size()), 1,
      [&](int64_t begin, int64_t end) {
        for (const Stretch& each : stretches.subspan(begin, end - begin)) {
          const absl::Status copied =
              device.CopyToHost(each.to, each.from, each.bytes, stream);
          if (copied.ok()) continue;
          const std::lock_guard lock(mutex);
          first.Update(copied);
        }
      });
  return first;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Staging>> Staging::Make(size_t bytes,
                                                       Device& device) {
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<void> memory,
                           device.AllocateHost(std::max(bytes, kAlignment)));
  std::byte* data = static_cast<std::byte*>(memory.get());
  cpu::ParallelFor(static_cast<int64_t>(bytes), kStretchBytes,
                   [data](int64_t begin, int64_t end) {
                     std::memset(data + begin, 0, end - begin);
                   });
  return std::unique_ptr<Staging>(new Staging(bytes, std::move(memory)));
}

absl::Status Staging::Copy(absl::Span<const Piece> pieces, Stream& stream) {
  offsets_.clear();
  size_t end = 0;
  std::vector<Stretch> stretches;
  for (const Piece& piece : pieces) {
    const size_t bytes = piece.view.bytes();
    offsets_.push_back(end);
    const auto* from = static_cast<const std::byte*>(piece.view.raw());
    for (size_t at = 0; at < bytes; at += kStretchBytes) {
      stretches.push_back(
          {data() + end + at, from + at, std::min(kStretchBytes, bytes - at)});
    }
    end += Aligned(bytes);
  }
  if (end > bytes_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a save of ", end, " bytes was given memory for ", bytes_));
  }
  EISBACH_RETURN_IF_ERROR(CopyAll(stretches, stream));
  EISBACH_ASSIGN_OR_RETURN(copied_, stream.Record());
  return absl::OkStatus();
}

size_t Staging::BytesFor(absl::Span<const Piece> pieces) {
  size_t bytes = 0;
  for (const Piece& piece : pieces) bytes += Aligned(piece.view.bytes());
  return bytes;
}

}  // namespace eisbach::checkpoint
