// The header of a safetensors file: four bytes say how many bytes of data
// follow it, the others are its JSON.

#include "checkpoint/safetensors_header.h"

#include <cstring>
#include <string>

#include "fuzz/fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using eisbach::checkpoint::FormatSafetensorsHeader;
  using eisbach::checkpoint::ParseSafetensorsHeader;
  using eisbach::checkpoint::SafetensorsEntry;
  uint32_t bytes = 0;
  if (size < sizeof(bytes)) return 0;
  std::memcpy(&bytes, data, sizeof(bytes));
  const auto header = ParseSafetensorsHeader(
      eisbach::fuzz::Text(data + sizeof(bytes), size - sizeof(bytes)), bytes);
  if (!header.ok()) return 0;
  size_t covered = 0;
  for (const SafetensorsEntry& entry : header->entries) {
    EISBACH_CHECK(entry.begin == covered);
    EISBACH_CHECK(entry.end >= entry.begin);
    covered = entry.end;
    if (!entry.dtype) continue;
    EISBACH_CHECK(entry.bytes() ==
                  entry.shape.elements() * eisbach::SizeOf(*entry.dtype));
  }
  EISBACH_CHECK(covered == bytes);
  const auto text = FormatSafetensorsHeader(*header);
  EISBACH_CHECK(text.ok());
  const auto again = ParseSafetensorsHeader(*text, bytes);
  EISBACH_CHECK(again.ok());
  EISBACH_CHECK(again->metadata == header->metadata);
  EISBACH_CHECK(again->entries.size() == header->entries.size());
  return 0;
}
