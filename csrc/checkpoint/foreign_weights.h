#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "parallel/context.h"
#include "tensor/parameter.h"

namespace eisbach::checkpoint {

// Where a logical tensor lies in a safetensors file that others have written.
struct ForeignTensor {
  std::string file;  // its path
  std::string name;  // in the file
  // Ours are the rows from this one on, of a tensor that stacks several.
  int64_t first_row = 0;
  bool transposed = false;  // the file has columns before rows
  // Which rows of the file's ours are, one by one; empty: those from first_row
  // on.
  std::vector<int64_t> rows = {};
  // Rows [known_rows, known_rows + new_rows), counted in the file's tensor,
  // which may end before them, are new: each is the mean of the known_rows
  // rows before them, summed in f64 in their order, whatever the layout.
  int64_t known_rows = 0;
  int64_t new_rows = 0;
};

// By logical name.
using ForeignTensors = std::map<std::string, ForeignTensor>;

// Fills the masters of `parameters` from files of others, whatever their float
// type; padding becomes zero. Adapters that `tensors` does not name stay as
// they are. Each rank copies its own slices from the mapped files, so that no
// rank holds more of the model than it keeps, and checks what it copies: that
// it is finite, and that the tensor is of a float type and has the rows and
// columns that ours has.
//
// Collective over the world; all ranks get the same status, which names the
// file and the tensor. After an error some weights may have been written. On
// meta, where there are no values, it is the check alone, of one rank.
absl::Status LoadForeignWeights(const ForeignTensors& tensors,
                                absl::Span<Parameter* const> parameters,
                                const parallel::ParallelContext& context);

}  // namespace eisbach::checkpoint
