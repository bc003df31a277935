// Every kernel once beyond 2^32 elements, where an index of 32 bits is not
// enough: its launcher is given operands of which only the ends are there.
#include "support/cuda/wide.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ops/cuda/attention_kernels.h"
#include "ops/cuda/cached_attention_kernels.h"
#include "ops/cuda/copy_kernels.h"
#include "ops/cuda/embedding_kernels.h"
#include "ops/cuda/fingerprint_kernels.h"
#include "ops/cuda/reduce_kernels.h"
#include "ops/fingerprint_bits.h"
#include "wide_element_cases.h"
#include "wide_row_cases.h"

namespace eisbach::cuda::wide_test {
namespace {

// Rows of a quarter of the distance between them, and squares turned round.
std::vector<WideCase> CopyCases() {
  const WideOperand f32 = {Fill::kF32, 4 * kWidth}, t = {kT, 4 * kWidth};
  std::vector<WideCase> cases;
  cases.push_back({"CopyRows",
                   {"CopyRows", "CopyElements"},
                   kPast / kWidth,
                   1,
                   {f32, t},
                   [](char* const* p, int64_t, int64_t rows) {
                     const CopyShape shape = {
                         .row = {kWidth, 1, 1},
                         .column = {1, 0, 0},
                         .planes = 1,
                         .plane = {{rows, 4 * kWidth, 4 * kWidth}}};
                     return LaunchCopy(Element::kF32, p[0], Element::kBF16,
                                       p[1], shape, TheStream());
                   },
                   16});
  cases.push_back({"CopyTiles",
                   {"CopyTiles"},
                   kPast / kWidth,
                   1,
                   {f32, t},
                   [](char* const* p, int64_t, int64_t squares) {
                     const CopyShape shape = {
                         .row = {64, 64, 1},
                         .column = {64, 1, 64},
                         .planes = 1,
                         .plane = {{squares, 4 * kWidth, 4 * kWidth}}};
                     return LaunchCopy(Element::kF32, p[0], Element::kBF16,
                                       p[1], shape, TheStream());
                   }});
  return cases;
}

// A unit is a sequence of 64 positions with two heads of 8 that share keys.
std::vector<WideCase> AttentionCases() {
  constexpr int64_t kSequences = kPast / 128 + 2, kLength = 64;
  const WideOperand qkv = {kT, kLength * 32}, out = {kT, kLength * 16},
                    rows = {Fill::kF32, kLength * 2};
  const auto sizes = [](int64_t batch) {
    return AttentionSizes{batch, kLength, 2, 1, 8, 2, 0, 0.35f};
  };
  return {
      {"AttentionForward",
       {"AttentionForwardKernel"},
       kSequences,
       1,
       {qkv, out, rows},
       [=](char* const* p, int64_t, int64_t batch) {
         return LaunchAttentionForward(kType, sizes(batch), p[0], p[1],
                                       As<float>(p[2]), TheStream());
       }},
      {"AttentionDelta",
       {"AttentionDeltaKernel"},
       kSequences,
       1,
       {out, out, rows},
       [=](char* const* p, int64_t, int64_t batch) {
         return LaunchAttentionDelta(kType, sizes(batch), p[0], p[1],
                                     As<float>(p[2]), TheStream());
       },
       16},
      {"AttentionBackward",
       {"QueryGradientKernel", "KeyValueGradientKernel"},
       kSequences,
       1,
       {out, qkv, rows, rows, qkv},
       [=](char* const* p, int64_t, int64_t batch) {
         return LaunchAttentionBackward(kType, sizes(batch), p[0], p[1],
                                        As<float>(p[2]), As<float>(p[3]), p[4],
                                        TheStream());
       }},
  };
}

// A unit is a slot of 32 positions and a token in it: two heads of 8 that share
// keys. Those of an end are called by their numbers, so that its cache begins
// where the first slot would be.
std::vector<WideCase> CachedAttentionCases() {
  constexpr int64_t kSlots = kPast / 256 + 2, kFew = 8;
  const WideOperand qkv = {kT, 32}, out = {kT, 16}, cache = {kT, 256};
  const auto sizes = [](int64_t first, int64_t count) {
    return CachedAttentionSizes{.tokens = count,
                                .slots = first + count,
                                .capacity = 32,
                                .heads = 2,
                                .kv_heads = 1,
                                .head_dim = 8,
                                .group = 2,
                                .query_offset = 0,
                                .window = 0,
                                .scale = 0.5f,
                                .cap = 0.0f};
  };
  const auto slots = [](char* p, int64_t first) { return p - first * 512; };
  return {
      {"CacheAppend",
       {"CacheAppendKernel"},
       kSlots,
       kFew,
       {qkv, {Fill::kIndex}, {Fill::kSmall}, cache, cache},
       [=](char* const* p, int64_t first, int64_t count) {
         return LaunchCacheAppend(kType, sizes(first, count), p[0],
                                  As<int32_t>(p[1]), As<int32_t>(p[2]),
                                  slots(p[3], first), slots(p[4], first),
                                  TheStream());
       },
       kFew},
      {"CachedAttention",
       {"CachedAttentionKernel"},
       kSlots,
       kFew,
       {qkv, {Fill::kIndex}, {Fill::kSmall}, cache, cache, out},
       [=](char* const* p, int64_t first, int64_t count) {
         return LaunchCachedAttention(kType, sizes(first, count), p[0],
                                      As<int32_t>(p[1]), As<int32_t>(p[2]),
                                      slots(p[3], first), slots(p[4], first),
                                      p[5], TheStream());
       },
       2 * kFew},
  };
}

// A table's rows and the tokens are units at once: the first and the last row
// have a token each, or none has any.
WideCase EmbeddingBackwardCase(bool occur) {
  return {occur ? "SumTokens" : "ClearRows",
          {occur ? "SumTokensKernel" : "ClearRowsKernel"},
          kRows,
          1,
          {{kT, kWidth}, {Fill::kF32, kWidth}},
          [occur](char* const* p, int64_t, int64_t rows) {
            const test::WideRange counts(rows * 4), starts(rows * 4);
            const int last = static_cast<int>(rows) - 1;
            int ends[] = {0, last};
            unsigned long long cursor = 0;
            TokenBuckets buckets(nullptr, rows, rows);
            buckets.cursor = &cursor;
            buckets.counts = As<int>(counts.data());
            buckets.starts = As<int>(starts.data());
            buckets.sorted = buckets.occurring = ends;
            if (occur) {
              cursor = last == 0 ? 1ull << 32 : 2ull << 32;
              buckets.counts[0] = buckets.counts[last] = 1;
              buckets.starts[last] = last == 0 ? 0 : 1;
            }
            const cudaError_t error =
                LaunchEmbeddingBackward(kType, p[0], kWidth, buckets, false,
                                        As<float>(p[1]), TheStream());
            // The buckets live until here.
            EXPECT_EQ(cudaStreamSynchronize(TheStream()), cudaSuccess);
            return error;
          },
          128};
}

std::vector<WideCase> AllCases() {
  std::vector<WideCase> cases = ElementCases();
  for (auto more :
       {&RowCases, &CopyCases, &AttentionCases, &CachedAttentionCases}) {
    for (WideCase& c : more()) cases.push_back(std::move(c));
  }
  cases.push_back(EmbeddingBackwardCase(false));
  cases.push_back(EmbeddingBackwardCase(true));
  return cases;
}

class WideTest : public testing::TestWithParam<WideCase> {};

TEST_P(WideTest, BothEndsAreThoseOfShortOperands) {
  for (int64_t offset : {0, 1}) test::ExpectSameAtBothEnds(GetParam(), offset);
}

INSTANTIATE_TEST_SUITE_P(Kernels, WideTest, testing::ValuesIn(AllCases()),
                         [](const auto& c) { return c.param.name; });

// Sums: the blocks between the ends would have added zeros.
TEST(WideTest, SumsReachTheEnd) {
  constexpr int64_t kN = kPast + (int64_t{1} << 24);  // whole shares
  const test::WideRange x(kN * 4), partial(SumBlocks(kN) * 8);
  float* const data = As<float>(x.data());
  data[0] = 1, data[kN - 1] = 2, data[kN - 4] = 4, data[kN - 8192] = 8;
  double sum = 0;
  const emulation::OnlyEnds ends(1);
  EXPECT_EQ(LaunchSum(data, kN, 2, As<double>(partial.data()), false, &sum,
                      TheStream()),
            cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(TheStream()), cudaSuccess);
  EXPECT_EQ(sum, 1 + 4 + 16 + 64);
}

TEST(WideTest, CountsReachTheEnd) {
  constexpr int64_t kN = kPast + (int64_t{1} << 24);
  for (int64_t offset : {0, 1}) {
    const test::WideRange x((kN + 1) * 2);
    uint16_t* const data = As<uint16_t>(x.data()) + offset;
    data[0] = data[kN - 1] = data[kN - 2] = 0x7fc0;  // NaN
    unsigned long long count = 0;
    const emulation::OnlyEnds ends(1);
    EXPECT_EQ(LaunchCountNonFinite(kType, data, kN, &count, TheStream()),
              cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(TheStream()), cudaSuccess);
    EXPECT_EQ(count, 3u);
  }
}

TEST(WideTest, FingerprintsReachTheEnd) {
  constexpr int64_t kN = kPast + (int64_t{1} << 24);
  const test::WideRange x(kN * 2);
  uint16_t* const data = As<uint16_t>(x.data());
  const auto fingerprint = [&] {
    unsigned long long sum = 0;
    const emulation::OnlyEnds ends(1);
    EXPECT_EQ(LaunchFingerprint(kType, data, kN, &sum, TheStream()),
              cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(TheStream()), cudaSuccess);
    return sum;
  };
  const unsigned long long zeros = fingerprint();
  const auto index = static_cast<uint32_t>(kN - 1);
  data[kN - 1] = 0x3f80;
  EXPECT_EQ(fingerprint(),
            zeros - ops::MixElement(0, index) + ops::MixElement(0x3f80, index));
}

// Why a kernel has no case.
const std::map<std::string, std::string> kNone = {
    {"AddSumsKernel", "adds up to 2048 sums"},
    {"ClipFactorKernel", "one number"},
    {"UpdateLossScaleKernel", "a number a micro-batch"},
    {"JudgeStepKernel", "a number a micro-batch, and a window"},
    {"EndSkippedStepKernel", "one number"},
    {"StartKernel", "a few times of a step"},
    {"LapKernel", "a time of a step"},
    {"TakeKernel", "a few times of a step"},
    {"AttentionPartKernel", "a tile a block, its rows found in 64 bits"},
    {"PartQueryGradientKernel", "a tile a block, its rows found in 64 bits"},
    {"PartKeyValueGradientKernel", "a tile a block, its rows found in 64 bits"},
    {"PairSumsKernel", "a block a row, counted in 64 bits within it"},
    {"PreferenceTotalsKernel", "a few numbers a pair"},
    {"PreferenceWeightsKernel", "a token each, counted in 64 bits"},
    {"DocumentPositionsKernel", "a token each, counted in 64 bits"},
    {"CountTokensKernel", "tokens and rows are counted in 32 bits"},
    {"PlaceBucketsKernel", "tokens and rows are counted in 32 bits"},
    {"PlaceTokensKernel", "tokens and rows are counted in 32 bits"},
    {"SortTokensKernel", "tokens and rows are counted in 32 bits"},
};

TEST(WideTest, EveryKernelHasACaseOrAReason) {
  std::set<std::string> covered = {"SumKernel", "CountNonFiniteKernel",
                                   "FingerprintKernel"};
  for (const WideCase& c : AllCases()) {
    covered.insert(c.kernels.begin(), c.kernels.end());
  }
  for (const auto& [name, reason] : kNone) {
    EXPECT_TRUE(covered.insert(name).second) << name << " has a case as well";
  }
  std::set<std::string> golden;
  std::ifstream file(EISBACH_GOLDEN "/cuda_kernels.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    line = line.substr(0, line.find('<'));
    golden.insert(line.substr(line.find_last_of(" :") + 1));
  }
  EXPECT_EQ(covered, golden);
}

}  // namespace
}  // namespace eisbach::cuda::wide_test
