#pragma once

#include "comm/communicator.h"
#include "device/cpu/reduce.h"

namespace eisbach::comm {

inline cpu::Reduction ToReduction(ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return cpu::Reduction::kSum;
    case ReduceOp::kMax:
      return cpu::Reduction::kMax;
    case ReduceOp::kMin:
      return cpu::Reduction::kMin;
  }
  return cpu::Reduction::kSum;
}

// The part of `elements` that rank `rank` of `size` reduces. Cuts fall on
// multiples of 64 elements, so that no two ranks write to one cache line.
struct Slice {
  int64_t begin;
  int64_t end;
  int64_t elements() const { return end - begin; }
};
inline Slice SliceOf(int64_t elements, int rank, int size) {
  constexpr int64_t kGrain = 64;
  const int64_t grains = (elements + kGrain - 1) / kGrain;
  const auto cut = [&](int64_t r) {
    const int64_t at = grains * r / size * kGrain;
    return at < elements ? at : elements;
  };
  return {cut(rank), cut(rank + 1)};
}

}  // namespace eisbach::comm
