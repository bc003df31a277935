#include "autograd/functions/head_chunks.h"

#include "support/status_testing.h"

namespace eisbach::autograd::head_chunks_test {
namespace {

constexpr int64_t kVocab = 131072;

class HeadChunkTest : public ::testing::Test {
 protected:
  int64_t Chunk(int64_t rows, int64_t logits_bytes = 0) {
    const Tensor x =
        test::Value(Tensor::Empty(Shape{rows, 8}, DType::kBF16, *meta_));
    return HeadChunk(rows, weight_, x, logits_bytes);
  }

  std::shared_ptr<Device> meta_ = test::Value(MakeDevice(DeviceType::kMeta));
  Parameter weight_{{.name = "head.weight", .shape = Shape{kVocab, 8}}};
};

// The last chunk is not a small rest.
TEST_F(HeadChunkTest, AreOfEqualSizeAndHaveARow) {
  EXPECT_EQ(Chunk(100, 30 * (kVocab * 2 + 1)), 25);
  EXPECT_EQ(Chunk(100, 1), 1);
  EXPECT_EQ(Chunk(0), 0);
}

// A pass over the weight's gradient is hidden by fewer rows on a CPU.
TEST_F(HeadChunkTest, HaveTheRowsThatSuitTheDevice) {
  meta_->set_stands_for(DeviceType::kCpu);
  EXPECT_EQ(Chunk(1 << 14), 127);
  meta_->set_stands_for(DeviceType::kCuda);
  EXPECT_EQ(Chunk(1 << 14), 3277);
}

}  // namespace
}  // namespace eisbach::autograd::head_chunks_test
