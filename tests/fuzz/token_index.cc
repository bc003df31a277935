// A pair of token files: two bytes say how many the .bin has, the others are
// the .idx.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "data/token_file.h"
#include "fuzz/fuzzing.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using eisbach::data::TokenFile;
  static const eisbach::fuzz::ScratchFolder folder;
  uint16_t bytes = 0;
  if (size < sizeof(bytes)) return 0;
  std::memcpy(&bytes, data, sizeof(bytes));
  std::string tokens(bytes, '\0');
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = static_cast<char>(i * 37);
  }
  folder.Write("a.bin", tokens);
  folder.Write("a.idx",
               eisbach::fuzz::Text(data + sizeof(bytes), size - sizeof(bytes)));
  const auto file = TokenFile::Open(folder.File("a"));
  if (!file.ok()) return 0;
  int64_t total = 0;
  std::vector<int32_t> ids;
  for (int64_t d = 0; d < file->documents(); ++d) {
    const int64_t length = file->DocumentLength(d);
    EISBACH_CHECK(length >= 0);
    total += length;
    ids.resize(length);
    (void)file->Read(d, 0, 1 << 16, absl::MakeSpan(ids));
    if (length > 0) {
      (void)file->Read(d, length - 1, 256, absl::MakeSpan(ids).first(1));
    }
  }
  EISBACH_CHECK(total == file->tokens());
  (void)file->CheckVocab(100);
  return 0;
}
