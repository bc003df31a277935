#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "support/op_testing.h"

// Operands of an op that lie on other boundaries than each other: kernels that
// move several elements at once must look at the address of each.
namespace eisbach::test {

// A copy of `like` in memory of its own, `offset` elements past a boundary of
// 256 bytes, with bytes of a known pattern before and behind it.
class Placed {
 public:
  Placed(const Tensor& like, int64_t offset)
      : begin_(kAround + offset * SizeOf(like.dtype())) {
    const int64_t bytes = begin_ + like.bytes() + kAround;
    memory_ = FromValues({bytes}, DType::kU8,
                         std::vector<double>(bytes, double{kPattern}));
    tensor_ = Value(Tensor::FromStorage(memory_.storage(), begin_, like.shape(),
                                        like.dtype()));
    Assign(tensor_, ToDoubles(like));
  }

  const Tensor& tensor() const { return tensor_; }
  void ExpectSurroundingsIntact() const {
    const std::vector<uint8_t> bytes = ToBytes(memory_);
    const int64_t end = begin_ + tensor_.bytes();
    for (int64_t i = 0; i < static_cast<int64_t>(bytes.size()); ++i) {
      if (i >= begin_ && i < end) continue;
      ASSERT_EQ(bytes[i], kPattern)
          << "byte " << i - begin_ << " of " << tensor_.ToString();
    }
  }

 private:
  static constexpr int64_t kAround = 256;
  static constexpr uint8_t kPattern = 0x5a;
  int64_t begin_;
  Tensor memory_, tensor_;
};

// Runs `op`, a function of tensors like `operands` (contiguous, results and
// optional ones among them), with all on a boundary, with each of them alone
// one element and 8 bytes past it, and with all one element past it. What they
// hold afterwards must be the same to rounding (`scale` as in ExpectClose).
inline void ExpectAnyAlignment(
    const std::vector<Tensor>& operands,
    const std::function<absl::Status(const std::vector<Tensor>&)>& op,
    double scale = 1.0) {
  std::vector<std::vector<double>> expected;
  const auto run = [&](const std::vector<int64_t>& offsets) {
    std::vector<Placed> placed;
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < operands.size(); ++i) {
      placed.emplace_back(operands[i], offsets[i]);
      tensors.push_back(placed.back().tensor());
    }
    ASSERT_THAT(op(tensors), IsOk());
    for (size_t i = 0; i < operands.size(); ++i) {
      SCOPED_TRACE(testing::Message() << "operand " << i);
      placed[i].ExpectSurroundingsIntact();
      if (expected.size() <= i) {
        expected.push_back(ToDoubles(tensors[i]));
      } else {
        ExpectClose(tensors[i], expected[i], 0, scale);
      }
    }
  };
  run(std::vector<int64_t>(operands.size(), 0));
  for (size_t k = 0; k < operands.size(); ++k) {
    const int64_t size = SizeOf(operands[k].dtype());
    for (int64_t offset : {int64_t{1}, 8 / size}) {
      SCOPED_TRACE(testing::Message() << "operand " << k << " is " << offset
                                      << " elements past a boundary");
      std::vector<int64_t> offsets(operands.size(), 0);
      offsets[k] = offset;
      run(offsets);
    }
  }
  SCOPED_TRACE("all operands are an element past a boundary");
  run(std::vector<int64_t>(operands.size(), 1));
}

}  // namespace eisbach::test
