// Rows of separate documents: every prediction once, none across a border, few
// rows, and what the masks leave out.

#include "data/row_packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "data/corpus.h"
#include "data/token_file_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::row_packing_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;

constexpr int64_t kVocab = 1 << 30;

struct Row {
  std::vector<int32_t> tokens, targets, starts;

  explicit Row(int64_t context)
      : tokens(context, -7), targets(context, -7), starts(context, -7) {}
};

Row ReadRow(const RowPacking& packing, int64_t row, int64_t context) {
  Row read(context);
  EISBACH_EXPECT_OK(packing.Read(row, kVocab, absl::MakeSpan(read.tokens),
                                 absl::MakeSpan(read.targets),
                                 absl::MakeSpan(read.starts)));
  return read;
}

class RowPackingTest : public ::testing::Test {
 protected:
  // Documents of these lengths, whose tokens count up from 1 over all of them;
  // `trained` says which are, by the token.
  template <typename Trained>
  TokenFile Write(const std::vector<int>& lengths, Trained trained,
                  const std::string& name = "x") {
    auto writer = test::Value(TokenFileWriter::Create(
        folder_.File(name), TokenType::kI32, {}, 5, /*masked=*/true));
    int32_t next = 1;
    for (const int length : lengths) {
      std::vector<int32_t> tokens(length);
      std::vector<uint8_t> mask(length);
      for (int i = 0; i < length; ++i) {
        tokens[i] = next++;
        mask[i] = trained(tokens[i]);
      }
      EISBACH_EXPECT_OK(writer->AddDocument(tokens, mask));
    }
    EISBACH_EXPECT_OK(writer->Finish());
    return test::Value(TokenFile::Open(folder_.File(name)));
  }

  test::TempFolder folder_;
};

TEST_F(RowPackingTest, ARowByHand) {
  // Predictions: 3, 1, none, 2 and, of the last one, 4 + 4 + 1.
  const TokenFile file =
      Write({4, 2, 1, 3, 10}, [](int32_t token) { return token != 3; });
  const RowPacking packing = test::Value(RowPacking::Make(file, 4));
  EXPECT_EQ(packing.rows(), 4);
  EXPECT_EQ(packing.predictions(), 15);
  EXPECT_EQ(packing.split_documents(), 1);
  const Row first = ReadRow(packing, 0, 4);
  EXPECT_THAT(first.tokens, ElementsAre(11, 12, 13, 14));
  EXPECT_THAT(first.targets, ElementsAre(12, 13, 14, 15));
  EXPECT_THAT(first.starts, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(ReadRow(packing, 1, 4).tokens, ElementsAre(15, 16, 17, 18));
  const Row third = ReadRow(packing, 2, 4);
  EXPECT_THAT(third.tokens, ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(third.targets, ElementsAre(2, -1, 4, 6));
  EXPECT_THAT(third.starts, ElementsAre(0, 0, 0, 3));
  const Row last = ReadRow(packing, 3, 4);
  EXPECT_THAT(last.tokens, ElementsAre(8, 9, 19, 0));
  EXPECT_THAT(last.targets, ElementsAre(9, 10, 20, -1));
  EXPECT_THAT(last.starts, ElementsAre(0, 0, 2, 3));
}

// Against what the documents say, for many sizes.
TEST_F(RowPackingTest, EveryTrainedPredictionOnceAndNoneAcross) {
  std::mt19937 rng(3);
  for (const int64_t context : {1, 2, 7, 64, 65, 200}) {
    std::vector<int> lengths(300);
    for (int& length : lengths) length = static_cast<int>(rng() % 150);
    const auto trained = [](int32_t token) { return token / 40 % 3 != 0; };
    const TokenFile file = Write(lengths, trained);
    const RowPacking packing = test::Value(RowPacking::Make(file, context));
    std::map<int32_t, int32_t> wanted;  // token -> the one after
    int32_t token = 1;
    for (const int length : lengths) {
      for (int i = 0; i < length; ++i, ++token) {
        if (i + 1 < length && trained(token + 1)) wanted[token] = token + 1;
      }
    }
    int64_t predictions = 0;
    for (int64_t r = 0; r < packing.rows(); ++r) {
      const Row row = ReadRow(packing, r, context);
      for (int64_t t = 0; t < context; ++t) {
        const int32_t start = row.starts[t];
        ASSERT_GE(start, 0);
        ASSERT_LE(start, t);
        ASSERT_EQ(row.starts[start], start);
        if (row.tokens[t] == 0) {
          ASSERT_EQ(row.targets[t], -1);
          ASSERT_EQ(start, t) << "padding is by itself";
          continue;
        }
        ++predictions;
        ASSERT_EQ(row.tokens[t], row.tokens[start] + (t - start));
        if (row.targets[t] < 0) continue;
        const auto found = wanted.find(row.tokens[t]);
        ASSERT_NE(found, wanted.end()) << "twice, or not trained";
        ASSERT_EQ(row.targets[t], found->second);
        wanted.erase(found);
      }
    }
    EXPECT_TRUE(wanted.empty()) << wanted.size() << " are in no row";
    EXPECT_EQ(predictions, packing.predictions());
  }
}

// Best fit, found by looking at each row.
TEST_F(RowPackingTest, TheRowsAreThoseOfBestFitDecreasing) {
  std::mt19937 rng(4);
  for (const int64_t context : {10, 100, 5000}) {
    std::vector<int> lengths(400);
    for (int& length : lengths) {
      length = static_cast<int>(rng() % (context + context / 2));
    }
    const TokenFile file = Write(lengths, [](int32_t) { return true; });
    std::vector<int64_t> pieces;
    for (const int length : lengths) {
      for (int64_t left = length - 1; left > 0; left -= context) {
        pieces.push_back(std::min(left, context));
      }
    }
    std::sort(pieces.rbegin(), pieces.rend());
    std::vector<int64_t> rooms;
    for (const int64_t piece : pieces) {
      auto best = rooms.end();
      for (auto room = rooms.begin(); room != rooms.end(); ++room) {
        if (*room >= piece && (best == rooms.end() || *room < *best)) {
          best = room;
        }
      }
      if (best == rooms.end()) best = rooms.insert(best, context);
      *best -= piece;
    }
    const RowPacking packing = test::Value(RowPacking::Make(file, context));
    EXPECT_EQ(packing.rows(), static_cast<int64_t>(rooms.size())) << context;
  }
}

TEST_F(RowPackingTest, NothingToTrainIsAnError) {
  // The first token of a document has nothing before it.
  const TokenFile file =
      Write({3, 1}, [](int32_t token) { return token == 1 || token == 4; });
  EXPECT_THAT(RowPacking::Make(file, 8),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       folder_.File("x") + " has no token to train: none of "
                                           "its 2 documents"));
}

TEST_F(RowPackingTest, ACorpusShufflesTheRowsAnewEachEpoch) {
  std::vector<int> lengths(60, 9);
  const TokenFile file = Write(lengths, [](int32_t) { return true; });
  const auto open = [&](uint64_t seed) {
    return test::Value(Corpus::Open(
        {{{folder_.File("x"), 1.0}}, 16, kVocab, seed, SampleOrder::kSeeded}));
  };
  const auto corpus = open(1);
  EXPECT_TRUE(corpus->separate());
  EXPECT_EQ(corpus->EpochSamples(), 30);
  EXPECT_EQ(corpus->trained(), 540);
  EXPECT_EQ(corpus->SplitDocuments(), 0);
  const auto first_tokens = [](const Corpus& from, int64_t epoch) {
    std::vector<int32_t> found;
    for (int64_t g = epoch * 30; g < (epoch + 1) * 30; ++g) {
      Row row(16);
      EISBACH_EXPECT_OK(
          from.Read(g, {absl::MakeSpan(row.tokens), absl::MakeSpan(row.targets),
                        absl::MakeSpan(row.starts)}));
      found.push_back(row.tokens[0]);
    }
    return found;
  };
  const auto one = first_tokens(*corpus, 0), two = first_tokens(*corpus, 1);
  EXPECT_NE(one, two);
  EXPECT_NE(one, first_tokens(*open(2), 0));
  EXPECT_EQ(one, first_tokens(*open(1), 0));
  EXPECT_THAT(two, ::testing::UnorderedElementsAreArray(one));
}

TEST_F(RowPackingTest, SourcesAgreeOnHowDocumentsStand) {
  Write({40}, [](int32_t token) { return token % 2 == 0; });
  auto writer = test::Value(
      TokenFileWriter::Create(folder_.File("plain"), TokenType::kI32, {}));
  EISBACH_ASSERT_OK(writer->AddDocument(std::vector<int32_t>(40, 1)));
  EISBACH_ASSERT_OK(writer->Finish());
  const auto open = [&](Documents documents) {
    return Corpus::Open(
        {{{folder_.File("x"), 1.0}, {folder_.File("plain"), 1.0}},
         8,
         kVocab,
         1,
         SampleOrder::kFixed,
         documents});
  };
  EXPECT_THAT(open(Documents::kAuto),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       folder_.File("x") + " has a mask of what is trained, " +
                           folder_.File("plain") + " has none"));
  EXPECT_TRUE(test::Value(open(Documents::kSeparate))->separate());
  const auto joined = test::Value(open(Documents::kJoined));
  EXPECT_FALSE(joined->separate());
  // A mask holds there as well.
  int64_t masked = 0;
  for (int64_t g = 0; g < joined->EpochSamples(); ++g) {
    std::vector<int32_t> tokens(8), targets(8);
    EISBACH_ASSERT_OK(
        joined->Read(g, {absl::MakeSpan(tokens), absl::MakeSpan(targets), {}}));
    for (int t = 0; t < 8; ++t) {
      if (tokens[0] == 1 && tokens[1] == 1) continue;  // of the other
      EXPECT_EQ(targets[t], tokens[t] % 2 == 1 ? tokens[t] + 1 : -1);
      masked += targets[t] < 0;
    }
  }
  EXPECT_GT(masked, 0);
}

}  // namespace
}  // namespace eisbach::data::row_packing_test
