#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/shape.h"

namespace eisbach {

// How a parameter starts.
struct Init {
  enum class Kind { kNormal, kUniform, kZeros, kOnes, kValue };
  Kind kind = Kind::kZeros;
  float stddev = 0;  // of kNormal, mean 0
  float bound = 0;   // of kUniform, in [-bound, bound)
  float value = 0;   // of kValue
};

// One piece of a logical tensor inside a rank's local parameter.
//
// Logical tensors have one or two dimensions. The piece covers the logical box
// [start[d], start[d] + extent[d]) and lies, contiguous, in the local rows from
// `local_row` on; every row of the local parameter is `extent[1]` wide.
struct LogicalSlice {
  std::string name;  // "blocks.0.attention.query.weight"
  Shape shape;       // of the logical tensor, without padding
  Shape start;
  Shape extent;
  int64_t local_row = 0;
  // Exactly one rank of those that hold an element is primary for it: it
  // counts in norms and writes it to files. Decided over the tensor axis, and
  // over the pipeline axis for tied parameters; replicas along the data axis
  // are not told apart here.
  bool primary = true;
  // Several tensor ranks hold this piece and each sees a part of its gradient,
  // so gradients are summed over the ranks that hold an element (shared
  // key/value heads). False where all see the same gradient already.
  bool sum_over_tensor = false;
};

// How a parameter is trained otherwise than the rest (optim/groups.h).
struct Training {
  bool frozen = false;    // no gradient, no master, no optimizer state
  float rate_factor = 1;  // multiplies the learning rate
  std::optional<float> weight_decay;  // instead of the optimizer's
  // Its logical tensors are matrices to the optimizer, each updated as a whole
  // (optim/muon.h); else elements are.
  bool as_matrices = false;

  friend bool operator==(const Training&, const Training&) = default;
};

// What a parameter is where a model has adapters (nn/lora.h).
enum class AdapterRole : uint8_t {
  kNone,    // trains with them, or there are none
  kBase,    // of the model that is adapted: never trained, and in no checkpoint
  kFactor,  // of an adapter
};

// All that init, norm, ties, export, ZeRO and resharding need to know of a
// parameter: plain data.
struct ParamSpec {
  std::string
      name;     // of the local tensor; equals the slice's when there is one
  Shape shape;  // local, with padding
  // What no slice covers is padding: it stays zero and is in no file.
  std::vector<LogicalSlice> slices;
  Init init;
  bool decay = false;  // takes part in weight decay
  // Rows are looked up by an index, or scored against one: an embedding, a
  // head.
  bool table = false;
  Training training;
  AdapterRole role = AdapterRole::kNone;
  // Parameters of the same key on different pipeline stages are one logical
  // parameter: their gradients are summed, their values stay equal.
  std::string tie_key;
};

// A spec of one slice that covers the whole of an unsharded tensor.
ParamSpec WholeParam(std::string name, const Shape& shape, Init init,
                     bool decay);

// Elements of `slice`, and the offset of its first in the local parameter.
int64_t SliceElements(const LogicalSlice& slice);
int64_t SliceOffset(const ParamSpec& spec, const LogicalSlice& slice);

}  // namespace eisbach
