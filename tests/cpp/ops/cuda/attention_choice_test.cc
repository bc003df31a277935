// EISBACH_CUDA_ATTENTION on the emulated GPU, which has no cuDNN.
#include <cstdlib>

#include "ops/attention.h"
#include "support/op_testing.h"

namespace eisbach::ops::attention_choice_test {
namespace {

// A choice stays, so each call of a test has a length of its own.
absl::Status Attend(int64_t length, const char* mode) {
  if (mode == nullptr) {
    unsetenv("EISBACH_CUDA_ATTENTION");
  } else {
    setenv("EISBACH_CUDA_ATTENTION", mode, 1);
  }
  const Tensor qkv = test::Normal({1, length, 24}, DType::kBF16, 1);
  return AttentionForward(qkv, {1, 1, 8}, test::TheStream()).status();
}

TEST(AttentionChoiceTest, OurKernelsComputeWhatNoLibraryTakes) {
  EXPECT_TRUE(Attend(2, nullptr).ok());
  EXPECT_TRUE(Attend(3, "auto").ok());
  EXPECT_TRUE(Attend(4, "simt").ok());
}

TEST(AttentionChoiceTest, LibraryThatIsNotThereIsAnError) {
  EXPECT_THAT(Attend(5, "cudnn"),
              test::StatusIs(absl::StatusCode::kUnimplemented,
                             "EISBACH_CUDA_ATTENTION=cudnn, but this build"));
}

TEST(AttentionChoiceTest, UnknownChoiceIsAnError) {
  EXPECT_THAT(Attend(6, "fast"),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "=fast must be auto, cudnn or simt"));
}

TEST(AttentionChoiceTest, ChoiceOfAShapeStays) {
  EXPECT_TRUE(Attend(7, "simt").ok());
  EXPECT_TRUE(Attend(7, "cudnn").ok());
}

}  // namespace
}  // namespace eisbach::ops::attention_choice_test
