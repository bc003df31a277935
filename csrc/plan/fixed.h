#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "nn/module.h"
#include "plan/layout.h"

namespace eisbach::plan {

// What may not be chosen; nothing: it is free.
struct Fixed {
  std::optional<int> data, tensor, pipeline, context, expert;
  std::optional<std::string> schedule;
  std::optional<int> chunks, zero;
  std::optional<int64_t> micro_batch;
  std::optional<nn::Recompute> recompute;
  std::optional<int64_t> recompute_layers;
};

// The values of a key, or the one that is fixed.
template <typename T>
std::vector<T> Choices(const std::optional<T>& fixed, std::vector<T> free) {
  if (fixed) return {*fixed};
  return free;
}

// What a layout may do to fit memory, from what costs nothing on. With a number
// of blocks that is fixed, only what has a meaning for some of them.
std::vector<int> ZerosOf(const Fixed& fixed, const Layout& layout);
std::vector<nn::Recompute> RecomputesOf(const Fixed& fixed);

// A key that Fixed may have, of those that divide the devices and the batch.
enum class Key : uint8_t {
  kData,
  kTensor,
  kPipeline,
  kContext,
  kExpert,
  kSchedule,
  kChunks,
  kMicroBatch,
  kOther,  // all that a layout does on the devices that it has
};

// One of the keys, to be looked at by itself.
struct FixedKey {
  Key key;
  absl::string_view name;  // as users write it
  bool (*given)(const Fixed& fixed);
  void (*copy)(const Fixed& from, Fixed& to);
  // Has it as a layout does.
  void (*take)(Fixed& to, const Layout& layout);
  // How far a layout is from what is given, and the layout's own number: what
  // is least is nearest.
  std::pair<double, double> (*distance)(const Fixed& fixed,
                                        const Layout& layout);
  // "parallel.tensor=8".
  std::string (*spell)(const Fixed& fixed);
};

// All of them.
absl::Span<const FixedKey> FixedKeys();
// Those that are given.
std::vector<const FixedKey*> GivenKeys(const Fixed& fixed);

}  // namespace eisbach::plan
