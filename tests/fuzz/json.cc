// The JSON that the core reads: headers, manifests, configurations.

#include "core/json.h"

#include <string>

#include "fuzz/fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using eisbach::ReadJson;
  const absl::string_view text = eisbach::fuzz::Text(data, size);
  // Lower bounds than any caller's are refused or obeyed.
  (void)ReadJson(text, "it", {.depth = 3, .values = 20});
  const auto value = ReadJson(text, "it");
  if (!value.ok()) return 0;
  const std::string dumped = value->dump();
  const auto again = ReadJson(dumped, "it");
  EISBACH_CHECK(again.ok());
  EISBACH_CHECK(again->dump() == dumped);
  return 0;
}
