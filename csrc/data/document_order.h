#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "data/token_file.h"

namespace eisbach::data {

// The documents of a file joined to one stream of tokens, in the order that a
// key shuffles them into. 16 bytes of memory a document.
class DocumentOrder {
 public:
  // `file` must outlive the order.
  DocumentOrder(const TokenFile& file, uint64_t key);

  // Copies the tokens [begin, begin + out.size()) of the stream, which has
  // them, across documents, and the mask of each into `mask`, which is as long.
  // Errors as TokenFile::Read.
  absl::Status Read(int64_t begin, int64_t vocab, absl::Span<int32_t> out,
                    absl::Span<uint8_t> mask) const;

 private:
  const TokenFile& file_;
  std::vector<int64_t> documents_;
  // Of documents_[i] in the stream; then the end of the stream.
  std::vector<int64_t> starts_;
};

}  // namespace eisbach::data
