#include "data/pair_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "data/corpus.h"
#include "data/token_file_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::pair_rows_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;

constexpr int64_t kVocab = 1000;

class PairRowsTest : public ::testing::Test {
 protected:
  // Documents of these lengths, whose tokens count up from 1; the last
  // `trained` of each are.
  std::string Write(const std::vector<std::pair<int, int>>& documents,
                    bool masked = true) {
    const std::string prefix = folder_.File("x");
    auto writer = test::Value(
        TokenFileWriter::Create(prefix, TokenType::kI32, {}, 5, masked));
    int32_t next = 1;
    for (const auto& [length, trained] : documents) {
      std::vector<int32_t> tokens(length);
      std::vector<uint8_t> mask(masked ? length : 0);
      for (int i = 0; i < length; ++i) {
        tokens[i] = next++;
        if (masked) mask[i] = i >= length - trained;
      }
      EISBACH_EXPECT_OK(writer->AddDocument(tokens, mask));
    }
    EISBACH_EXPECT_OK(writer->Finish());
    return prefix;
  }
  TokenFile Open(const std::vector<std::pair<int, int>>& documents) {
    return test::Value(TokenFile::Open(Write(documents)));
  }

  test::TempFolder folder_;
};

TEST_F(PairRowsTest, ARowIsAPair) {
  const TokenFile file = Open({{3, 1}, {4, 2}, {2, 1}, {3, 2}});
  const PairRows rows = test::Value(PairRows::Make(file, 6));
  ASSERT_EQ(rows.rows(), 2);
  std::vector<int32_t> tokens(6), targets(6), starts(6);
  const auto read = [&](int64_t row) {
    return rows.Read(row, kVocab, absl::MakeSpan(tokens),
                     absl::MakeSpan(targets), absl::MakeSpan(starts));
  };
  EISBACH_EXPECT_OK(read(0));
  EXPECT_THAT(tokens, ElementsAre(1, 2, 4, 5, 6, 0));
  EXPECT_THAT(targets, ElementsAre(-1, 3, -1, 6, 7, -1));
  EXPECT_THAT(starts, ElementsAre(0, 0, 2, 2, 2, 5));
  EISBACH_EXPECT_OK(read(1));
  EXPECT_THAT(tokens, ElementsAre(8, 10, 11, 0, 0, 0));
  EXPECT_THAT(targets, ElementsAre(9, 11, 12, -1, -1, -1));
  EXPECT_THAT(starts, ElementsAre(0, 1, 1, 3, 4, 5));
}

TEST_F(PairRowsTest, LeavesOutWhatDoesNotFitAndCounts) {
  const TokenFile file =
      Open({{4, 1}, {5, 1}, {3, 1}, {3, 0}, {1, 1}, {3, 1}, {3, 2}, {4, 3}});
  const PairRows rows = test::Value(PairRows::Make(file, 5));
  EXPECT_EQ(rows.rows(), 1);
  EXPECT_EQ(rows.too_long(), 1);   // 3 + 4 predictions
  EXPECT_EQ(rows.untrained(), 2);  // no mask; no token before the trained one
  EXPECT_THAT(PairRows::Make(file, 4),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "nearest that works for all: model.context=7"));
}

TEST_F(PairRowsTest, RefusesWhatIsNoPair) {
  EXPECT_THAT(PairRows::Make(Open({{3, 1}}), 8),
              StatusIs(absl::StatusCode::kInvalidArgument, "`chosen`"));
  const TokenFile plain =
      test::Value(TokenFile::Open(Write({{3, 1}, {3, 1}}, /*masked=*/false)));
  EXPECT_THAT(PairRows::Make(plain, 8),
              StatusIs(absl::StatusCode::kInvalidArgument, "without a mask"));
}

// Each pair once in an epoch, whole.
TEST_F(PairRowsTest, ACorpusShufflesPairs) {
  std::vector<std::pair<int, int>> documents;
  for (int i = 0; i < 20; ++i) documents.push_back({3, 1});
  CorpusOptions options{.sources = {{Write(documents), 1.0}},
                        .context = 4,
                        .vocab = kVocab,
                        .seed = 7,
                        .order = SampleOrder::kSeeded,
                        .documents = Documents::kPairs};
  const auto corpus = test::Value(Corpus::Open(options));
  EXPECT_TRUE(corpus->separate());
  EXPECT_EQ(corpus->EpochSamples(), 10);
  EXPECT_EQ(corpus->LeftOutPairs(), 0);
  std::vector<int32_t> first;
  for (int64_t sample = 0; sample < 10; ++sample) {
    std::vector<int32_t> tokens(4), targets(4), starts(4);
    EISBACH_EXPECT_OK(
        corpus->Read(sample, {absl::MakeSpan(tokens), absl::MakeSpan(targets),
                              absl::MakeSpan(starts)}));
    EXPECT_EQ(tokens[0] % 6, 1);
    EXPECT_EQ(tokens[2], tokens[0] + 3);
    EXPECT_THAT(starts, ElementsAre(0, 0, 2, 2));
    first.push_back(tokens[0]);
  }
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  std::sort(first.begin(), first.end());
  EXPECT_EQ(std::unique(first.begin(), first.end()), first.end());
}

}  // namespace
}  // namespace eisbach::data::pair_rows_test
