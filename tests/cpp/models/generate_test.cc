#include "models/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "support/status_testing.h"

namespace eisbach::models {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SampleTokenTest, ATemperatureOfZeroTakesTheLikeliest) {
  const std::vector<float> logits = {0.5f, 2.0f, -1.0f, 2.0f};
  for (int64_t index = 0; index < 20; ++index) {
    EXPECT_EQ(SampleToken(logits, {0.0, 0, 7}, index).value(), 1);
  }
}

TEST(SampleTokenTest, FrequenciesAreThoseOfTheSoftmax) {
  const std::vector<float> logits = {1.0f, 0.0f, 2.0f, -1.0f};
  const double temperature = 0.8;
  std::vector<double> expected;
  double sum = 0;
  for (float logit : logits) {
    expected.push_back(std::exp(logit / temperature));
    sum += expected.back();
  }
  std::vector<int> counts(logits.size());
  constexpr int kDraws = 20000;
  for (int64_t index = 0; index < kDraws; ++index) {
    ++counts[SampleToken(logits, {temperature, 0, 11}, index).value()];
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    const double p = expected[i] / sum;
    const double deviation = std::sqrt(p * (1 - p) / kDraws);
    EXPECT_NEAR(counts[i] / double{kDraws}, p, 4 * deviation) << "token " << i;
  }
}

TEST(SampleTokenTest, TopKLeavesTheOthersOut) {
  const std::vector<float> logits = {1.0f, 3.0f, 2.9f, 2.8f};
  std::map<int32_t, int> seen;
  for (int64_t index = 0; index < 500; ++index) {
    ++seen[SampleToken(logits, {1.0, 2, 3}, index).value()];
  }
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_GT(seen[1], 100);
  EXPECT_GT(seen[2], 100);
  EXPECT_EQ(SampleToken(logits, {1.0, 1, 3}, 0).value(), 1);
  EXPECT_TRUE(SampleToken(logits, {1.0, 99, 3}, 0).ok());
}

TEST(SampleTokenTest, DependsOnSeedAndIndexAlone) {
  const std::vector<float> logits(64, 0.0f);
  const auto draw = [&](uint64_t seed, int64_t index) {
    return SampleToken(logits, {1.0, 0, seed}, index).value();
  };
  int same_index = 0, same_seed = 0;
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(draw(1, i), draw(1, i));
    same_index += draw(1, i) == draw(2, i);
    same_seed += draw(1, i) == draw(1, i + 1);
  }
  EXPECT_LT(same_index, 10);
  EXPECT_LT(same_seed, 10);
}

TEST(SampleTokenTest, BadLogitsAndOptionsAreErrors) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> with_nan = {0.0f, nan};
  EXPECT_THAT(SampleToken(with_nan, {1.0, 0, 1}, 0),
              StatusIs(absl::StatusCode::kDataLoss, "token 1"));
  const std::vector<float> with_inf = {0.0f, inf};
  EXPECT_THAT(SampleToken(with_inf, {1.0, 0, 1}, 0),
              StatusIs(absl::StatusCode::kDataLoss, "token 1"));
  const std::vector<float> fine = {0.0f, 1.0f};
  EXPECT_THAT(SampleToken(fine, {-1.0, 0, 1}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "temperature=-1"));
  EXPECT_THAT(SampleToken(fine, {1.0, -2, 1}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "top_k=-2"));
  EXPECT_THAT(SampleToken({}, {1.0, 0, 1}, 0),
              StatusIs(absl::StatusCode::kInvalidArgument, "logit"));
}

// Says that the token after the last is (first + last) mod vocab, and
// remembers the lengths that it was asked, padded and not.
class Model {
 public:
  explicit Model(int64_t vocab)
      : device_(MakeDevice(DeviceType::kCpu).value()), vocab_(vocab) {}

  LogitsFunction function() {
    return
        [this](const Tensor& tokens, int64_t last) -> absl::StatusOr<Tensor> {
          lengths_.push_back(last + 1);
          padded_.insert(tokens.dim(1));
          absl::StatusOr<Tensor> logits = Tensor::Zeros(
              Shape{1, 1, vocab_}, DType::kF32, device_->compute_stream());
          if (!logits.ok()) return logits;
          const int32_t* ids = tokens.data<int32_t>();
          logits->data<float>()[(ids[0] + ids[last]) % vocab_] = 5.0f;
          return logits;
        };
  }
  Device& device() { return *device_; }
  const std::vector<int64_t>& lengths() const { return lengths_; }
  const std::set<int64_t>& padded() const { return padded_; }

 private:
  std::shared_ptr<Device> device_;
  int64_t vocab_;
  std::vector<int64_t> lengths_;
  std::set<int64_t> padded_;
};

TEST(GenerateTest, TheWindowSlides) {
  Model model(100);
  const GenerateOptions options{.tokens = 4, .context = 3, .sampling = {}};
  const std::vector<int32_t> prompt = {1, 2};
  // 1 2 | 1+2=3, 1+3=4, then from the window 2 3 4 on: 2+4=6, 3+6=9.
  EXPECT_THAT(
      Generate(model.function(), prompt, options, model.device()).value(),
      ElementsAre(3, 4, 6, 9));
  EXPECT_THAT(model.lengths(), ElementsAre(2, 3, 3, 3));
}

TEST(GenerateTest, TheWindowGrowsInStepsUpToTheContext) {
  Model model(100);
  const GenerateOptions options{.tokens = 150, .context = 100, .sampling = {}};
  const std::vector<int32_t> prompt = {1, 2};
  EXPECT_EQ(Generate(model.function(), prompt, options, model.device())
                .value()
                .size(),
            150);
  EXPECT_THAT(model.padded(), ElementsAre(64, 100));
  EXPECT_EQ(model.lengths().back(), 100);
}

TEST(GenerateTest, ALongPromptIsSeenFromItsEnd) {
  Model model(100);
  const GenerateOptions options{.tokens = 1, .context = 2, .sampling = {}};
  const std::vector<int32_t> prompt = {9, 5, 1, 2};
  EXPECT_THAT(
      Generate(model.function(), prompt, options, model.device()).value(),
      ElementsAre(3));
}

TEST(GenerateTest, AStopTokenEndsTheText) {
  Model model(100);
  const GenerateOptions options{
      .tokens = 9, .context = 8, .stop = 4, .sampling = {}};
  const std::vector<int32_t> prompt = {1, 2};
  EXPECT_THAT(
      Generate(model.function(), prompt, options, model.device()).value(),
      ElementsAre(3));
}

TEST(GenerateTest, ErrorsComeBack) {
  Model model(10);
  const GenerateOptions options{.tokens = 2, .context = 4, .sampling = {}};
  EXPECT_THAT(
      Generate(model.function(), {}, options, model.device()),
      StatusIs(absl::StatusCode::kInvalidArgument, "at least one token"));
  const std::vector<int32_t> prompt = {1};
  const LogitsFunction broken = [](const Tensor&,
                                   int64_t) -> absl::StatusOr<Tensor> {
    return absl::InternalError("broken");
  };
  EXPECT_THAT(Generate(broken, prompt, options, model.device()),
              StatusIs(absl::StatusCode::kInternal, "broken"));
  const GenerateOptions none{.tokens = 0, .context = 4, .sampling = {}};
  EXPECT_THAT(Generate(broken, prompt, none, model.device()).value(),
              IsEmpty());
}

}  // namespace
}  // namespace eisbach::models
