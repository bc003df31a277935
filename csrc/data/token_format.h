#pragma once

#include <cstddef>
#include <cstdint>

namespace eisbach::data {

// Where things lie in an .idx file; token_file.h describes the formats.
inline constexpr char kMagic[9] = {'M', 'M', 'I', 'D', 'I', 'D', 'X', 0, 0};
inline constexpr uint64_t kVersion = 1;
inline constexpr size_t kVersionAt = 9;
inline constexpr size_t kTypeAt = 17;
inline constexpr size_t kSequencesAt = 18;
inline constexpr size_t kBoundsAt = 26;
inline constexpr size_t kHeaderBytes = 34;
inline constexpr uint64_t kBytesPerSequence = 4 + 8;  // length and offset
inline constexpr uint64_t kBytesPerBound = 8;

// The same of a .mask file.
inline constexpr char kMaskMagic[8] = {'E', 'I', 'S', 'M', 'A', 'S', 'K', 0};
inline constexpr uint32_t kMaskVersion = 1;
inline constexpr size_t kMaskVersionAt = 8;
inline constexpr size_t kMaskReservedAt = 12;
inline constexpr size_t kMaskHeaderBytes = 16;

}  // namespace eisbach::data
