#include "checkpoint/shard_writer.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "checkpoint/safetensors_writer.h"
#include "core/status_macros.h"

namespace eisbach::checkpoint {
namespace {

using Clock = std::chrono::steady_clock;

// Between two looks at the limits.
constexpr size_t kChunkBytes = size_t{4} << 20;
// Longest sleep without a look at `cancelled`.
constexpr std::chrono::milliseconds kNap{50};

// Keeps a writer to its limits.
class Pace {
 public:
  explicit Pace(const WriteLimits& limits) : limits_(limits) {}

  // After `bytes` more were written.
  absl::Status Keep(size_t bytes) {
    bytes_ += bytes;
    while (true) {
      if (limits_.cancelled != nullptr && limits_.cancelled->load()) {
        return absl::CancelledError("the save was given up");
      }
      if (limits_.bytes_per_second <= 0) return absl::OkStatus();
      const std::chrono::duration<double> due(static_cast<double>(bytes_) /
                                              limits_.bytes_per_second);
      const auto left = due - (Clock::now() - begin_);
      if (left.count() <= 0) return absl::OkStatus();
      std::this_thread::sleep_for(
          std::min<std::chrono::duration<double>>(left, kNap));
    }
  }

 private:
  const WriteLimits& limits_;
  const Clock::time_point begin_ = Clock::now();
  size_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<WrittenFile> WriteShard(const std::string& path,
                                       absl::Span<const Piece> pieces,
                                       const PieceSource& source,
                                       const WriteLimits& limits) {
  std::vector<SavedSlice> slices;
  std::vector<SafetensorsSpec> specs;
  absl::flat_hash_map<std::string, size_t> by_key;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const SavedSlice& saved = pieces[i].saved;
    const std::string key = saved.Key();
    slices.push_back(saved);
    specs.push_back({key, DType::kF32, saved.box.extent});
    by_key[key] = i;
  }
  EISBACH_ASSIGN_OR_RETURN(
      const auto writer,
      SafetensorsWriter::Create(path, specs,
                                {{kSlicesKey, FormatSlices(slices)}}));
  Pace pace(limits);
  for (const SafetensorsEntry& entry : writer->entries()) {
    EISBACH_ASSIGN_OR_RETURN(const absl::Span<const float> values,
                             source(by_key[entry.name]));
    const auto* bytes = reinterpret_cast<const char*>(values.data());
    const size_t size = values.size() * sizeof(float);
    for (size_t at = 0; at < size; at += kChunkBytes) {
      const size_t chunk = std::min(kChunkBytes, size - at);
      EISBACH_RETURN_IF_ERROR(writer->Write(entry.name, bytes + at, chunk));
      EISBACH_RETURN_IF_ERROR(pace.Keep(chunk));
    }
  }
  EISBACH_RETURN_IF_ERROR(writer->Commit());
  return WrittenFile{static_cast<int64_t>(writer->bytes_written()),
                     writer->hash()};
}

}  // namespace eisbach::checkpoint
