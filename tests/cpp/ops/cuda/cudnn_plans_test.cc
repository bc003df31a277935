// Which attention cuDNN computes on which GPU, and with how much workspace:
// builds execution plans of the very graphs that training runs from
// descriptions of GPUs (tests/golden/devices), on a machine that has none, and
// compares with tests/golden/cudnn_plans. Needs the stub driver in
// LD_LIBRARY_PATH where there is no driver. EISBACH_UPDATE_GOLDEN=1 writes the
// files anew, for a new version of cuDNN.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ops/cuda/cudnn_attention_plan.h"
#include "support/status_testing.h"

namespace eisbach::cuda::cudnn_plans_test {
namespace {

struct Gpu {
  const char* name;
  int architecture;
};
constexpr Gpu kGpus[] = {{"a100", 80},
                         {"h100", 90},
                         {"gb200", 100},
                         {"gb300", 103},
                         {"rtx_pro_6000", 120}};

// Each size away from what Llama 3 has, one at a time.
std::vector<AttentionKey> Shapes() {
  const AttentionKey usual = {
      .batch = 2, .length = 1024, .heads = 32, .kv_heads = 8, .head_dim = 128};
  std::vector<AttentionKey> shapes;
  for (int64_t head_dim : {64, 96, 128, 192, 256}) {
    shapes.push_back(usual);
    shapes.back().head_dim = head_dim;
  }
  for (int64_t kv_heads : {32, 4}) {
    shapes.push_back(usual);
    shapes.back().kv_heads = kv_heads;
  }
  shapes.push_back(usual);
  shapes.back().dtype = DType::kF16;
  shapes.push_back(usual);
  shapes.back().length = 4096;
  shapes.push_back(usual);
  shapes.back().length = 1000;
  shapes.push_back(usual);
  shapes.back().length = 1;
  shapes.push_back(usual);
  shapes.back().head_dim = 8;
  // What older GPUs compute in parts.
  shapes.push_back(usual);
  shapes.back().length = 16384;
  return shapes;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

class CudnnPlansTest : public testing::TestWithParam<Gpu> {};

TEST_P(CudnnPlansTest, CoversWhatTheGoldenFileSays) {
  const Gpu gpu = GetParam();
  const std::string description =
      Read(absl::StrCat(EISBACH_GOLDEN, "/devices/", gpu.name, ".json"));
  const std::string path =
      absl::StrCat(EISBACH_GOLDEN, "/cudnn_plans/", gpu.name, ".txt");
  std::string found = absl::StrCat("# cuDNN ", CudnnVersion(), "\n");
  for (AttentionKey key : Shapes()) {
    for (AttentionPass pass :
         {AttentionPass::kForward, AttentionPass::kBackward}) {
      key.pass = pass;
      const auto start = std::chrono::steady_clock::now();
      const auto plan = CudnnAttentionPlan::Make(
          key, {.architecture = gpu.architecture, .description = description});
      const double seconds = std::chrono::duration<double>(
                                 std::chrono::steady_clock::now() - start)
                                 .count();
      const std::string line =
          plan.ok() ? absl::StrCat(key.ToString(), ": ", (*plan)->Describe())
                    : absl::StrCat(key.ToString(), ": refused");
      absl::StrAppend(&found, line, "\n");
      std::cout << absl::StreamFormat("%s, %.2f s\n", line, seconds);
      if (plan.ok()) continue;
      std::cout << "  " << plan.status() << "\n";
      // What is refused goes to our own kernels; anything else ends training.
      EXPECT_TRUE(absl::IsUnimplemented(plan.status())) << plan.status();
    }
  }
  if (std::getenv("EISBACH_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path) << found;
  }
  EXPECT_EQ(found, Read(path));
}

INSTANTIATE_TEST_SUITE_P(All, CudnnPlansTest, testing::ValuesIn(kGpus),
                         [](const auto& info) { return info.param.name; });

TEST(CudnnAttentionPlanTest, SaysWhyItIsNotAsked) {
  const AttentionKey key = {
      .batch = 1, .length = 64, .heads = 4, .kv_heads = 2, .head_dim = 64};
  EXPECT_TRUE(CudnnAttentionPlan::Claims(key).ok());
  constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;
  AttentionKey other = key;
  other.dtype = DType::kF32;
  EXPECT_THAT(CudnnAttentionPlan::Claims(other),
              test::StatusIs(kUnimplemented, "it takes bf16 and f16"));
  other = key;
  other.head_dim = 100;
  EXPECT_THAT(CudnnAttentionPlan::Claims(other),
              test::StatusIs(kUnimplemented, "multiple of 8"));
  other = key;
  other.even = false;
  EXPECT_THAT(CudnnAttentionPlan::Claims(other),
              test::StatusIs(kUnimplemented, "evenly"));
  other = key;
  other.hides = true;
  EXPECT_THAT(CudnnAttentionPlan::Claims(other),
              test::StatusIs(kUnimplemented, "see all that is before them"));
  other = key;
  other.cap = 50;
  EXPECT_THAT(CudnnAttentionPlan::Claims(other),
              test::StatusIs(kUnimplemented, "scores have a cap"));
  other = key;
  other.scale = 0.5;
  EXPECT_TRUE(CudnnAttentionPlan::Claims(other).ok());
  other = key;
  other.length = 0;
  EXPECT_THAT(CudnnAttentionPlan::Claims(other),
              test::StatusIs(kUnimplemented, "no elements"));
}

TEST(CudnnAttentionPlanTest, DividesWhatNeedsTooMuchWorkspace) {
  AttentionKey key = {.batch = 8, .kv_heads = 6};
  EXPECT_EQ(PartWithin(key, 4800, 4800), (AttentionPart{8, 6}));
  EXPECT_EQ(PartWithin(key, 4800, 4799), (AttentionPart{4, 6}));
  EXPECT_EQ(PartWithin(key, 4800, 600), (AttentionPart{1, 6}));
  EXPECT_EQ(PartWithin(key, 4800, 599), (AttentionPart{1, 3}));
  EXPECT_EQ(PartWithin(key, 4800, 50), (AttentionPart{1, 1}));
  key.batch = 7;
  EXPECT_EQ(PartWithin(key, 700, 650), (AttentionPart{1, 6}));
}

}  // namespace
}  // namespace eisbach::cuda::cudnn_plans_test
