// A safetensors file, its tensors read.

#include "checkpoint/safetensors_file.h"

#include "fuzz/fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using eisbach::checkpoint::SafetensorsEntry;
  using eisbach::checkpoint::SafetensorsFile;
  static const eisbach::fuzz::ScratchFolder folder;
  folder.Write("a", eisbach::fuzz::Text(data, size));
  const auto file = SafetensorsFile::Open(folder.File("a"));
  if (!file.ok()) return 0;
  size_t total = 0;
  uint8_t mixed = 0;
  for (const SafetensorsEntry& entry : file->entries()) {
    EISBACH_CHECK(file->Find(entry.name) == &entry);
    const auto bytes = file->Bytes(entry);
    for (const std::byte byte : bytes) mixed ^= static_cast<uint8_t>(byte);
    total += bytes.size();
    if (!entry.dtype) continue;
    const auto found = file->Bytes(entry.name, *entry.dtype, entry.shape);
    EISBACH_CHECK(found.ok() && found->data() == bytes.data());
  }
  EISBACH_CHECK(total <= size);
  (void)file->CheckFinite();
  static volatile uint8_t sink;  // so that the bytes are read
  sink = mixed;
  return 0;
}
