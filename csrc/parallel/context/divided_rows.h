#pragma once

#include "comm/communicator.h"
#include "ops/attention.h"
#include "parallel/context/zigzag.h"
#include "tensor/tensor.h"

namespace eisbach::parallel {

// Rows that the ranks of a group divide, and how they reach one another. The
// group and the stream outlive whoever is given it.
struct DividedRows {
  Zigzag zigzag;
  comm::Communicator& group;
  Stream& travel;  // on which what is on its way between ranks is
  // ops/document_starts.h: i32 [B, T / n] of this rank's part; undefined: rows
  // are one document each.
  Tensor starts{};

  // What this rank's queries see.
  ops::AttentionOptions OptionsFor(const ops::AttentionOptions& common) const {
    ops::AttentionOptions options = common;
    options.starts = starts;
    return options;
  }
};

}  // namespace eisbach::parallel
