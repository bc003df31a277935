// The mask beside a sound pair of token files, and the rows that are packed by
// it.

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "data/row_packing.h"
#include "data/token_file.h"
#include "fuzz/fuzzing.h"

namespace {

constexpr int64_t kContext = 3;

// Documents of 4, 1 and 6 tokens of a byte.
void WritePair(const eisbach::fuzz::ScratchFolder& folder) {
  const int32_t lengths[] = {4, 1, 6};
  const int64_t begins[] = {0, 4, 5}, bounds[] = {0, 1, 2, 3};
  std::string index("MMIDIDX\0\0", 9);
  const auto put = [&index](const auto& value) {
    index.append(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  put(uint64_t{1});
  put(uint8_t{1});
  put(uint64_t{3});
  put(uint64_t{4});
  put(lengths);
  put(begins);
  put(bounds);
  folder.Write("a.idx", index);
  folder.Write("a.bin", "ABCDEFGHIJK");
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using eisbach::data::RowPacking;
  using eisbach::data::TokenFile;
  static const eisbach::fuzz::ScratchFolder folder;
  static const bool written = (WritePair(folder), true);
  (void)written;
  folder.Write("a.mask", eisbach::fuzz::Text(data, size));
  const auto file = TokenFile::Open(folder.File("a"));
  if (!file.ok()) return 0;
  EISBACH_CHECK(file->masked());
  int64_t trained = 0, predicted = 0;
  for (int64_t d = 0; d < file->documents(); ++d) {
    std::vector<uint8_t> mask(file->DocumentLength(d));
    EISBACH_CHECK(file->ReadMask(d, 0, absl::MakeSpan(mask)).ok());
    for (size_t i = 0; i < mask.size(); ++i) {
      EISBACH_CHECK(mask[i] <= 1);
      trained += mask[i];
      predicted += i > 0 && mask[i] == 1;
    }
  }
  EISBACH_CHECK(trained == file->trained());
  const auto packing = RowPacking::Make(*file, kContext);
  EISBACH_CHECK(packing.ok() == (predicted > 0));
  if (!packing.ok()) return 0;
  std::vector<int32_t> tokens(kContext), targets(kContext), starts(kContext);
  for (int64_t row = 0; row < packing->rows(); ++row) {
    EISBACH_CHECK(packing
                      ->Read(row, 256, absl::MakeSpan(tokens),
                             absl::MakeSpan(targets), absl::MakeSpan(starts))
                      .ok());
    for (const int32_t target : targets) predicted -= target >= 0;
  }
  EISBACH_CHECK(predicted == 0);
  return 0;
}
