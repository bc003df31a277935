#include "data/corpus.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "data/token_file_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::corpus_test {
namespace {

using test::StatusIs;

// Documents of the given lengths; token ids count up from `first` over all of
// them, so that a token tells where it came from.
void WriteCounting(const std::string& prefix, const std::vector<int>& lengths,
                   int32_t first) {
  EISBACH_ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TokenFileWriter> writer,
      TokenFileWriter::Create(prefix, TokenType::kI32, {}));
  for (int length : lengths) {
    std::vector<int32_t> tokens(length);
    for (int32_t& token : tokens) token = first++;
    EISBACH_ASSERT_OK(writer->AddDocument(tokens));
  }
  EISBACH_ASSERT_OK(writer->Finish());
}

std::unique_ptr<Corpus> Open(std::vector<SourceOptions> sources,
                             int64_t context, uint64_t seed,
                             SampleOrder order = SampleOrder::kSeeded) {
  return test::Value(
      Corpus::Open({std::move(sources), context, 1 << 20, seed, order}));
}

// Its tokens and the one after, of joined documents of which all is trained.
absl::Status ReadSample(const Corpus& corpus, int64_t index,
                        std::vector<int32_t>& tokens) {
  const size_t context = corpus.context();
  std::vector<int32_t> targets(context);
  tokens.resize(context);
  const absl::Status status =
      corpus.Read(index, {absl::MakeSpan(tokens), absl::MakeSpan(targets), {}});
  for (size_t t = 0; t + 1 < context; ++t) EXPECT_EQ(targets[t], tokens[t + 1]);
  tokens.push_back(targets.back());
  return status;
}

std::vector<int32_t> Sample(const Corpus& corpus, int64_t index) {
  std::vector<int32_t> tokens;
  EISBACH_EXPECT_OK(ReadSample(corpus, index, tokens));
  return tokens;
}

TEST(CorpusTest, SamplesOfOneDocumentAreItsPieces) {
  test::TempFolder folder;
  WriteCounting(folder.File("x"), {101}, 0);
  const auto corpus = Open({{folder.File("x"), 1.0}}, 10, 3);
  EXPECT_EQ(corpus->EpochSamples(), 10);
  EXPECT_EQ(corpus->tokens(), 101);
  std::set<int32_t> begins;
  for (int64_t g = 0; g < 10; ++g) {
    const std::vector<int32_t> tokens = Sample(*corpus, g);
    begins.insert(tokens[0]);
    for (int i = 0; i < 11; ++i) EXPECT_EQ(tokens[i], tokens[0] + i);
  }
  EXPECT_EQ(begins.size(), 10u);
}

// Put back in place, an epoch's samples are the documents in some order, each
// whole and once, but for the few tokens at the end.
TEST(CorpusTest, AnEpochIsTheDocumentsInAShuffledOrder) {
  test::TempFolder folder;
  const std::vector<int> lengths = {13, 0, 1, 40, 7, 0, 25, 3, 3, 61, 2, 9};
  WriteCounting(folder.File("x"), lengths, 0);
  std::map<int32_t, int> document_at;  // first token -> length
  int32_t first = 0;
  for (int length : lengths) {
    if (length > 0) document_at[first] = length;
    first += length;
  }
  constexpr int64_t kContext = 8;
  const int64_t per_epoch = (first - 1) / kContext;
  std::set<std::vector<int32_t>> streams;
  for (uint64_t seed : {1, 2}) {
    const auto corpus = Open({{folder.File("x"), 1.0}}, kContext, seed);
    // The sampler is the corpus's own; it says where each sample belongs.
    const std::vector<SourceSize> sizes = {{per_epoch, 1.0}};
    const Sampler sampler =
        test::Value(Sampler::Make(sizes, seed, SampleOrder::kSeeded));
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<int32_t> stream(per_epoch * kContext + 1, -1);
      for (int64_t i = 0; i < per_epoch; ++i) {
        const int64_t g = epoch * per_epoch + i;
        const std::vector<int32_t> tokens = Sample(*corpus, g);
        const int64_t begin = sampler(g).index * kContext;
        for (int64_t j = 0; j <= kContext; ++j) {
          int32_t& place = stream[begin + j];
          EXPECT_TRUE(place == -1 || place == tokens[j]) << "overlap by one";
          place = tokens[j];
        }
      }
      std::set<int32_t> documents;
      for (size_t at = 0; at < stream.size();) {
        ASSERT_TRUE(document_at.count(stream[at])) << stream[at];
        ASSERT_TRUE(documents.insert(stream[at]).second) << stream[at];
        const int length = document_at[stream[at]];
        for (int j = 0; j < length && at + j < stream.size(); ++j) {
          ASSERT_EQ(stream[at + j], stream[at] + j);
        }
        at += length;
      }
      EXPECT_TRUE(streams.insert(stream).second) << "the same order again";
    }
  }
}

TEST(CorpusTest, WeightsAreProportions) {
  test::TempFolder folder;
  WriteCounting(folder.File("a"), {500, 300}, 0);
  WriteCounting(folder.File("b"), {90}, 100000);
  WriteCounting(folder.File("c"), {10, 700}, 200000);
  const auto corpus = Open({{folder.File("a"), 6.0},
                            {folder.File("b"), 1.0},
                            {folder.File("c"), 3.0}},
                           16, 1);
  EXPECT_EQ(corpus->EpochSamples(), 49 + 5 + 44);
  EXPECT_EQ(corpus->SourceSamples(0), 49);
  EXPECT_EQ(corpus->SourceSamples(2), 44);
  std::vector<int> count(3, 0);
  for (int64_t g = 0; g < 2000; ++g) ++count[Sample(*corpus, g)[0] / 100000];
  EXPECT_NEAR(count[0], 1200, 6);
  EXPECT_NEAR(count[1], 200, 6);
  EXPECT_NEAR(count[2], 600, 6);
}

// Any index alone, in any order, also where epochs meet.
TEST(CorpusTest, OrderOfReadsDoesNotMatter) {
  test::TempFolder folder;
  WriteCounting(folder.File("x"), {30, 50, 20, 1}, 0);
  const auto forward = Open({{folder.File("x"), 1.0}}, 10, 3);
  const auto backward = Open({{folder.File("x"), 1.0}}, 10, 3);
  std::vector<std::vector<int32_t>> expected;
  for (int64_t g = 0; g < 100; ++g) expected.push_back(Sample(*forward, g));
  for (int64_t g = 99; g >= 0; --g) {
    EXPECT_EQ(Sample(*backward, g), expected[g]) << g;
  }
}

TEST(CorpusTest, FixedOrderIsTheSameForEverySeed) {
  test::TempFolder folder;
  WriteCounting(folder.File("x"), {30, 50, 20, 1}, 0);
  const auto a = Open({{folder.File("x"), 1.0}}, 10, 3, SampleOrder::kFixed);
  const auto b = Open({{folder.File("x"), 1.0}}, 10, 4, SampleOrder::kFixed);
  for (int64_t g = 0; g < 25; ++g) EXPECT_EQ(Sample(*a, g), Sample(*b, g));
}

TEST(CorpusTest, ManyThreadsReadTheSame) {
  test::TempFolder folder;
  WriteCounting(folder.File("x"), {30, 50, 20, 1}, 0);
  const auto corpus = Open({{folder.File("x"), 1.0}}, 10, 3);
  std::vector<std::vector<int32_t>> expected;
  for (int64_t g = 0; g < 200; ++g) expected.push_back(Sample(*corpus, g));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int64_t i = 0; i < 200; ++i) {
        const int64_t g = (i * 37 + t * 50) % 200;
        EXPECT_EQ(Sample(*corpus, g), expected[g]);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(CorpusTest, AFileUnderTwoNamesIsRefused) {
  test::TempFolder folder;
  WriteCounting(folder.File("x"), {30}, 0);
  WriteCounting(folder.File("same"), {30}, 0);
  const auto link = [&](bool hard, const char* name) {
    for (const char* end : {".bin", ".idx"}) {
      const std::string from = absl::StrCat(folder.File("x"), end);
      const std::string to = absl::StrCat(folder.File(name), end);
      if (hard) {
        std::filesystem::create_hard_link(from, to);
      } else {
        std::filesystem::create_symlink(from, to);
      }
    }
  };
  link(false, "soft");
  link(true, "hard");
  for (const char* name : {"x", "./x", "soft", "hard"}) {
    EXPECT_THAT(
        Corpus::Open({{{folder.File("x"), 1.0},
                       {folder.File("same"), 1.0},
                       {folder.File(name), 2.5}},
                      8,
                      256,
                      1,
                      SampleOrder::kSeeded}),
        StatusIs(absl::StatusCode::kInvalidArgument,
                 absl::StrCat("the sources ", folder.File("x"), " and ",
                              folder.File(name),
                              " are one file; name it once, with the weight "
                              "3.5 (data.train)")));
  }
  // Two files that hold the same are two.
  Open({{folder.File("x"), 1.0}, {folder.File("same"), 1.0}}, 8, 1);
}

TEST(CorpusTest, ErrorsNameTheFile) {
  test::TempFolder folder;
  WriteCounting(folder.File("x"), {30}, 0);
  EXPECT_THAT(
      Corpus::Open(
          {{{folder.File("none"), 1.0}}, 8, 256, 1, SampleOrder::kSeeded}),
      StatusIs(absl::StatusCode::kNotFound, "none.idx"));
  EXPECT_THAT(
      Corpus::Open(
          {{{folder.File("x"), 1.0}}, 30, 256, 1, SampleOrder::kSeeded}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               absl::StrCat(folder.File("x"),
                            " holds 30 tokens, fewer than one sample of "
                            "model.context=30 and the token after it; nearest "
                            "that works: model.context=29")));
  EXPECT_THAT(Corpus::Open(
                  {{{folder.File("x"), 1.0}}, 0, 256, 1, SampleOrder::kSeeded}),
              StatusIs(absl::StatusCode::kInvalidArgument, "model.context=0"));
  EXPECT_THAT(Corpus::Open({{}, 8, 256, 1, SampleOrder::kSeeded}),
              StatusIs(absl::StatusCode::kInvalidArgument, "no source"));

  const auto corpus = test::Value(Corpus::Open(
      {{{folder.File("x"), 1.0}}, 29, 20, 1, SampleOrder::kSeeded}));
  std::vector<int32_t> tokens(29), targets(29);
  EXPECT_THAT(
      corpus->Read(0, {absl::MakeSpan(tokens), absl::MakeSpan(targets), {}}),
      StatusIs(absl::StatusCode::kOutOfRange,
               "token 20 at position 20 of document 0"));
  EXPECT_THAT(corpus->CheckVocab(),
              StatusIs(absl::StatusCode::kOutOfRange, "token 20"));
}

// What lies before the end of a page reads as zeros, which are ids like others.
TEST(CorpusTest, AFileThatIsCutUnderTheRunIsAnError) {
  for (const char* suffix : {".bin", ".idx"}) {
    test::TempFolder folder;
    const std::string prefix = folder.File("x");
    WriteCounting(prefix, {101}, 1);
    const auto corpus = Open({{prefix, 1.0}}, 10, 3);
    Sample(*corpus, 0);
    const auto bytes = std::filesystem::file_size(prefix + suffix);
    std::filesystem::resize_file(prefix + suffix, bytes - 8);
    std::vector<int32_t> tokens(10), targets(10);
    EXPECT_THAT(
        corpus->Read(1, {absl::MakeSpan(tokens), absl::MakeSpan(targets), {}}),
        StatusIs(absl::StatusCode::kOutOfRange,
                 absl::StrCat(prefix, suffix, " ends at byte ", bytes - 8,
                              ", it had ", bytes)));
    EXPECT_FALSE(corpus->CheckVocab().ok());
  }
}

// An index that somebody overwrites leads to an error, never out of the data.
TEST(CorpusTest, AnIndexThatChangesUnderTheRunIsAnError) {
  for (const char byte : {'\0', '\1', '\x7f', '\xff'}) {
    test::TempFolder folder;
    const std::string prefix = folder.File("x");
    WriteCounting(prefix, {101, 0, 57, 33}, 1);
    const auto corpus = Open({{prefix, 1.0}}, 10, 3);
    Sample(*corpus, 0);  // has ordered the documents of the first epoch
    const std::string index = test::ReadFile(prefix + ".idx");
    std::fstream file(prefix + ".idx",
                      std::ios::in | std::ios::out | std::ios::binary);
    file << index.substr(0, 34) << std::string(index.size() - 34, byte);
    file.close();
    std::vector<int32_t> tokens(10), targets(10);
    int errors = 0;
    for (int64_t g = 0; g < 100; ++g) {
      errors +=
          !corpus
               ->Read(g, {absl::MakeSpan(tokens), absl::MakeSpan(targets), {}})
               .ok();
    }
    EXPECT_GT(errors, 0);
  }
}

}  // namespace
}  // namespace eisbach::data::corpus_test
