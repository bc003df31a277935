#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "core/dtype.h"

namespace eisbach {

class Stream;

// How the matrices of a product lie, which decides what some kernels take of
// memory while they compute it.
struct ProductLayout {
  bool a_transposed = false;  // columns lie beside one another, not rows
  bool b_transposed = false;
  bool accumulate = false;      // it is added to what is there
  DType written = DType::kF32;  // type of the result
};

// What one op costs on any device.
struct OpCost {
  double flops = 0;
  double bytes_read = 0;
  double bytes_written = 0;
  // Of a matrix product: [rows, inner] x [inner, columns]. 0 of other ops, but
  // that attention has the size of a head in `columns`.
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t inner = 0;
  ProductLayout product;
  // Of the activations that it works on; f32 where there are none (optimizers,
  // copies).
  DType dtype = DType::kF32;

  // Of memory, read and written.
  double bytes() const { return bytes_read + bytes_written; }
};

// What one collective moves: `bytes` is the size of the buffer as the caller
// sees it (the whole of it for all-reduce, the gathered one for all-gather).
struct CollectiveCost {
  double bytes = 0;
  int group_size = 1;
};

// Which entry of its stage's list a rank is at; no letter: at none.
struct ActionMark {
  char letter = 0;  // of parallel::ActionKind
  int chunk = 0;
  int micro_batch = 0;
};

// Hears of every op and collective that a device's streams are given, before
// it runs, so that it can be planned; tracer.h tells what it took. Called on
// the thread that issues the work.
class Recorder {
 public:
  virtual ~Recorder() = default;
  virtual void OnOp(absl::string_view name, const OpCost& cost,
                    const Stream& stream) = 0;
  virtual void OnCollective(absl::string_view name, absl::string_view group,
                            const CollectiveCost& cost,
                            const Stream& stream) = 0;
  // On meta: `stream` was given an event, by which it is known from then on,
  // or waits for one.
  virtual void OnRecord(int64_t /*event*/, const Stream& /*stream*/) {}
  virtual void OnWait(int64_t /*event*/, const Stream& /*stream*/) {}
  // What is heard from now on belongs to this entry.
  virtual void OnAction(const ActionMark& /*action*/) {}
};

}  // namespace eisbach
