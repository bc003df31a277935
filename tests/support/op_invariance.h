#pragma once

#include <cstdint>
#include <vector>

#include "support/op_testing.h"

namespace eisbach::test {

inline constexpr DType kFloatDTypes[] = {DType::kF32, DType::kBF16,
                                         DType::kF16};

// `op` returns the tensors that an op gave; their bytes must not depend on the
// number of threads. Sizes must be large enough to be divided among threads.
template <typename F>
void ExpectThreadInvariant(F&& op) {
  std::vector<std::vector<uint8_t>> expected;
  for (int threads : {1, 2, 3}) {
    const ScopedThreads scope(threads);
    std::vector<std::vector<uint8_t>> got;
    for (const Tensor& t : op()) got.push_back(ToBytes(t));
    if (threads == 1) {
      expected = got;
    } else {
      EXPECT_EQ(got, expected) << threads << " threads";
    }
  }
}

// A copy on the same device with its own storage.
inline Tensor Clone(const Tensor& t) {
  return FromValues(t.shape(), t.dtype(), ToDoubles(t));
}

// Runs `op` on the meta device and returns the costs that it told, with no
// byte of real memory behind any tensor.
template <typename F>
std::vector<std::pair<std::string, OpCost>> MetaCosts(F&& op) {
  CostRecorder recorder(Meta());
  op();
  return recorder.ops;
}

}  // namespace eisbach::test
