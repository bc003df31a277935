#include "data/data_loader.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "data/token_file_writer.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace eisbach::data::data_loader_test {
namespace {

using test::StatusIs;

constexpr int64_t kContext = 6;

class DataLoaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EISBACH_ASSERT_OK_AND_ASSIGN(
        std::unique_ptr<TokenFileWriter> writer,
        TokenFileWriter::Create(folder_.File("x"), TokenType::kI32, {}));
    int32_t next = 0;
    for (int length : {40, 100, 7, 80, 33}) {
      std::vector<int32_t> tokens(length);
      for (int32_t& token : tokens) token = next++;
      EISBACH_ASSERT_OK(writer->AddDocument(tokens));
    }
    EISBACH_ASSERT_OK(writer->Finish());
    corpus_ = OpenCorpus(1000);
    EISBACH_ASSERT_OK_AND_ASSIGN(device_, MakeDevice(DeviceType::kCpu));
  }

  std::shared_ptr<const Corpus> OpenCorpus(int64_t vocab) const {
    return test::Value(Corpus::Open({{{folder_.File("x"), 1.0}},
                                     kContext,
                                     vocab,
                                     9,
                                     SampleOrder::kSeeded}));
  }

  std::unique_ptr<DataLoader> Make(const DataLoaderOptions& options) const {
    return test::Value(DataLoader::Make(corpus_, options));
  }

  Batch Next(DataLoader& loader) {
    return test::Value(loader.Next(device_->compute_stream()));
  }

  static std::vector<int32_t> SampleOf(const Corpus& corpus, int64_t index) {
    std::vector<int32_t> tokens(kContext), targets(kContext);
    EISBACH_EXPECT_OK(corpus.Read(
        index, {absl::MakeSpan(tokens), absl::MakeSpan(targets), {}}));
    tokens.push_back(targets.back());
    return tokens;
  }

  // Row -> its tokens and the one after, by global index; checks the shapes.
  static void AddRows(const Batch& batch,
                      std::map<int64_t, std::vector<int32_t>>& rows) {
    const int64_t count = batch.samples.dim(0);
    EXPECT_EQ(batch.tokens.shape(), Shape({count, kContext}));
    EXPECT_EQ(batch.targets.shape(), Shape({count, kContext}));
    for (int64_t row = 0; row < count; ++row) {
      const int32_t* tokens = batch.tokens.data<int32_t>() + row * kContext;
      const int32_t* targets = batch.targets.data<int32_t>() + row * kContext;
      std::vector<int32_t> sample(tokens, tokens + kContext);
      for (int64_t i = 0; i + 1 < kContext; ++i) {
        EXPECT_EQ(targets[i], tokens[i + 1]);
      }
      sample.push_back(targets[kContext - 1]);
      const int64_t index = batch.samples.data<int64_t>()[row];
      EXPECT_TRUE(rows.emplace(index, sample).second) << index;
    }
  }

  test::TempFolder folder_;
  std::shared_ptr<const Corpus> corpus_;
  std::shared_ptr<Device> device_;
};

TEST_F(DataLoaderTest, RowsAreTheCorpusSamples) {
  const auto loader = Make({4, 0, 1, 2});
  for (int64_t step = 0; step < 30; ++step) {
    EXPECT_EQ(loader->step(), step);
    const Batch batch = Next(*loader);
    EXPECT_EQ(batch.step, step);
    std::map<int64_t, std::vector<int32_t>> rows;
    AddRows(batch, rows);
    ASSERT_EQ(rows.size(), 4u);
    for (const auto& [index, tokens] : rows) {
      EXPECT_EQ(index / 4, step);
      EXPECT_EQ(tokens, SampleOf(*corpus_, index));
    }
  }
}

TEST_F(DataLoaderTest, EveryLayoutSeesTheSameGlobalBatch) {
  using Rows = std::map<int64_t, std::vector<int32_t>>;
  std::vector<Rows> reference;
  const auto alone = Make({24, 0, 1, 1});
  for (int step = 0; step < 5; ++step) {
    reference.emplace_back();
    AddRows(Next(*alone), reference.back());
  }
  for (int dp_size : {1, 2, 3, 4, 6, 8, 12, 24}) {
    std::vector<Rows> seen(5);
    for (int rank = 0; rank < dp_size; ++rank) {
      const auto loader = Make({24, rank, dp_size, 2});
      EXPECT_EQ(loader->samples_per_rank(), 24 / dp_size);
      for (int step = 0; step < 5; ++step) {
        const Batch batch = Next(*loader);
        // Rank and row say the index.
        for (int64_t row = 0; row < batch.samples.dim(0); ++row) {
          EXPECT_EQ(batch.samples.data<int64_t>()[row],
                    step * 24 + rank * (24 / dp_size) + row);
        }
        AddRows(batch, seen[step]);
      }
    }
    EXPECT_EQ(seen, reference) << dp_size;
  }
}

TEST_F(DataLoaderTest, PrefetchChangesNothing) {
  std::vector<std::map<int64_t, std::vector<int32_t>>> reference(40);
  const auto one = Make({8, 1, 2, 1});
  for (auto& rows : reference) AddRows(Next(*one), rows);
  for (int prefetch : {2, 3, 16}) {
    const auto loader = Make({8, 1, 2, prefetch});
    for (const auto& expected : reference) {
      std::map<int64_t, std::vector<int32_t>> rows;
      AddRows(Next(*loader), rows);
      EXPECT_EQ(rows, expected);
    }
  }
}

TEST_F(DataLoaderTest, SeekJumpsToAStep) {
  const auto straight = Make({8, 0, 2, 3});
  std::vector<std::map<int64_t, std::vector<int32_t>>> reference(60);
  for (auto& rows : reference) AddRows(Next(*straight), rows);
  const auto loader = Make({8, 0, 2, 3});
  for (int64_t step : {37, 0, 5, 59, 59, 6, 7, 0}) {
    EISBACH_ASSERT_OK(loader->Seek(step));
    EXPECT_EQ(loader->step(), step);
    std::map<int64_t, std::vector<int32_t>> rows;
    const Batch batch = Next(*loader);
    EXPECT_EQ(batch.step, step);
    AddRows(batch, rows);
    EXPECT_EQ(rows, reference[step]);
    EXPECT_EQ(loader->step(), step + 1);
  }
  EXPECT_FALSE(loader->Seek(-1).ok());
  EXPECT_FALSE(loader->Seek(int64_t{1} << 62).ok());
}

TEST_F(DataLoaderTest, SeparateDocumentsComeWithTheirStarts) {
  const std::shared_ptr<const Corpus> packed =
      test::Value(Corpus::Open({{{folder_.File("x"), 1.0}},
                                kContext,
                                1000,
                                9,
                                SampleOrder::kSeeded,
                                Documents::kSeparate}));
  for (int rank = 0; rank < 2; ++rank) {
    const auto loader = test::Value(DataLoader::Make(packed, {4, rank, 2, 2}));
    for (int64_t step = 0; step < 30; ++step) {
      const Batch batch = Next(*loader);
      ASSERT_EQ(batch.starts.shape(), Shape({2, kContext}));
      ASSERT_EQ(batch.starts.dtype(), DType::kI32);
      for (int64_t row = 0; row < 2; ++row) {
        std::vector<int32_t> tokens(kContext), targets(kContext),
            starts(kContext);
        EISBACH_ASSERT_OK(
            packed->Read(step * 4 + rank * 2 + row,
                         {absl::MakeSpan(tokens), absl::MakeSpan(targets),
                          absl::MakeSpan(starts)}));
        for (int64_t t = 0; t < kContext; ++t) {
          const int64_t at = row * kContext + t;
          EXPECT_EQ(batch.tokens.data<int32_t>()[at], tokens[t]);
          EXPECT_EQ(batch.targets.data<int32_t>()[at], targets[t]);
          EXPECT_EQ(batch.starts.data<int32_t>()[at], starts[t]);
        }
      }
    }
  }
  EXPECT_FALSE(Next(*Make({4, 0, 1, 2})).starts.defined());
}

TEST_F(DataLoaderTest, BatchesStayValid) {
  const auto loader = Make({4, 0, 1, 2});
  std::vector<Batch> kept;
  for (int i = 0; i < 20; ++i) kept.push_back(Next(*loader));
  std::map<int64_t, std::vector<int32_t>> rows;
  for (const Batch& batch : kept) AddRows(batch, rows);
  EXPECT_EQ(rows.size(), 80u);
  for (const auto& [index, tokens] : rows) {
    EXPECT_EQ(tokens, SampleOf(*corpus_, index));
  }
}

TEST_F(DataLoaderTest, ErrorsComeInTurnAndStay) {
  const auto bad = OpenCorpus(240);  // 260 tokens, the last 20 are outside
  const auto loader = test::Value(DataLoader::Make(bad, {4, 0, 1, 3}));
  absl::Status status;
  int64_t steps = 0;
  for (; steps < 20 && status.ok(); ++steps) {
    status = loader->Next(device_->compute_stream()).status();
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kOutOfRange,
                               "is outside the vocabulary of 240"));
  EXPECT_EQ(loader->Next(device_->compute_stream()).status(), status);
  EXPECT_EQ(loader->step(), steps - 1);
  EISBACH_ASSERT_OK(loader->Seek(0));
  if (steps > 1) {
    EISBACH_EXPECT_OK(loader->Next(device_->compute_stream()));
  }
}

TEST_F(DataLoaderTest, StopsWhileTheThreadWaits) {
  for (int i = 0; i < 50; ++i) {
    const auto loader = Make({4, 0, 1, 2});
    if (i % 2 == 0) Next(*loader);
  }
}

TEST_F(DataLoaderTest, MetaBatchesHaveShapesOnly) {
  EISBACH_ASSERT_OK_AND_ASSIGN(std::shared_ptr<Device> meta,
                               MakeDevice(DeviceType::kMeta));
  const auto loader = Make({4, 0, 2, 1});
  EISBACH_ASSERT_OK_AND_ASSIGN(Batch batch,
                               loader->Next(meta->compute_stream()));
  EXPECT_EQ(batch.tokens.shape(), Shape({2, kContext}));
  EXPECT_EQ(batch.tokens.raw(), nullptr);
}

TEST_F(DataLoaderTest, OptionsAreChecked) {
  const auto error = [this](const DataLoaderOptions& options) {
    return std::string(DataLoader::Make(corpus_, options).status().message());
  };
  EXPECT_EQ(error({16, 0, 3, 1}),
            "train.global_batch=16 is not a positive multiple of "
            "parallel.data=3; nearest that works: 15 or 18");
  EXPECT_EQ(error({2, 0, 3, 1}),
            "train.global_batch=2 is not a positive multiple of "
            "parallel.data=3; nearest that works: 3");
  EXPECT_EQ(error({0, 0, 1, 1}),
            "train.global_batch=0 is not a positive multiple of "
            "parallel.data=1; nearest that works: 1");
  EXPECT_NE(error({4, 2, 2, 1}), "");
  EXPECT_NE(error({4, 0, 2, 0}), "");
}

}  // namespace
}  // namespace eisbach::data::data_loader_test
