#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "tensor/parameter.h"
#include "tensor/tensor.h"

namespace eisbach::autograd {

// Rows of a table that are trained while the table is not. `weight` [rows, H]
// has them as they are trained, the table as they were.
struct TrainedRows {
  // Rows that follow one another, in `weight` from `row` on, in this rank's
  // part of the table from `table_row` on.
  struct Run {
    int64_t row;
    int64_t table_row;
    int64_t count;
  };

  bool train() const { return weight->trains(); }

  Parameter* weight;
  std::vector<Run> runs;  // none of rows that other ranks' parts have
};

// Whether a table, or some of its rows, has a gradient to compute.
inline bool Trains(const Parameter& table, const TrainedRows* rows) {
  return table.trains() || (rows != nullptr && rows->train());
}

// Tells whichever of them trains that its gradient has been written.
inline absl::Status GradientWritten(Parameter& table, const TrainedRows* rows) {
  if (table.trains()) return table.GradientWritten();
  return Trains(table, rows) ? rows->weight->GradientWritten()
                             : absl::OkStatus();
}

// Puts trained rows into their table for as long as it lives, and then what was
// there before. Those who compute with the table need not know of them.
class RowsInPlace {
 public:
  // `rows`: null for none. `table` [n, H]: of the dtype of their data.
  static absl::StatusOr<RowsInPlace> Put(const TrainedRows* rows,
                                         Parameter& table, Stream& stream);
  RowsInPlace(RowsInPlace&& other) noexcept
      : stream_(other.stream_), kept_(std::exchange(other.kept_, {})) {}
  RowsInPlace& operator=(RowsInPlace&&) = delete;
  ~RowsInPlace() { TakeOut().IgnoreError(); }

  // What the destructor does, with its status.
  absl::Status TakeOut();

 private:
  struct Kept {
    Tensor place;  // in the table
    Tensor rows;   // that were there
  };

  explicit RowsInPlace(Stream& stream) : stream_(&stream) {}

  Stream* stream_;
  std::vector<Kept> kept_;
};

// Adds to the gradient of the rows what an embedding of `ids` gives them, with
// dy [..., H], or a head with dlogits [n, columns] of x [n, H]: see
// ops::EmbeddingBackward and ops::LinearBackwardWeight. `first_row` is that of
// this rank's part of the table. A gradient that holds nothing yet starts at
// zero, also of rows of other ranks.
absl::Status AddEmbeddingGradient(const TrainedRows& rows, const Tensor& dy,
                                  const Tensor& ids, int64_t first_row,
                                  int64_t vocab, Stream& stream);
// `starts`: whether nothing was added since the gradient began.
absl::Status AddHeadGradient(const TrainedRows& rows, const Tensor& dlogits,
                             const Tensor& x, bool starts, Stream& stream);

}  // namespace eisbach::autograd
