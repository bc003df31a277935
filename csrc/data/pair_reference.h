#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace eisbach::data {

// What a reference thinks of a pair: this many numbers (ops::PairSum).
inline constexpr int64_t kPairNumbers = 4;

// The numbers of all pairs of a corpus, by source and row.
using PairReference = std::vector<std::vector<double>>;

// A file of them, little-endian, appears whole or not at all:
//
//   8 bytes  "EISPAIR" 0
//   u32      version, 1
//   u32      sources
//   u64      ContentHash of `bound_to`, which says what was measured on what
//   u64      ContentHash of all that follows
//   u64[]    rows of each source
//   f64[]    kPairNumbers for each row, one source after another
absl::Status WritePairReference(const std::string& path,
                                const PairReference& reference,
                                absl::string_view bound_to);

// InvalidArgument where the file is damaged, or was bound to something else.
absl::StatusOr<PairReference> ReadPairReference(const std::string& path,
                                                absl::string_view bound_to);

}  // namespace eisbach::data
