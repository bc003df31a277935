#include "models/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::models::generate_test {
namespace {

using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Says that the token after a text is (first + last) mod vocab, from what its
// slots remember; notes the sizes of the pieces of each pass.
class Adder final : public TextModel {
 public:
  Adder(int64_t vocab, int64_t context) : vocab_(vocab), context_(context) {}

  absl::StatusOr<std::vector<float>> Feed(
      absl::Span<const Piece> pieces) override {
    passes.emplace_back();
    std::vector<float> logits(pieces.size() * vocab_);
    for (size_t i = 0; i < pieces.size(); ++i) {
      std::vector<int32_t>& seen = slots_[pieces[i].slot];
      seen.insert(seen.end(), pieces[i].tokens.begin(), pieces[i].tokens.end());
      EXPECT_LE(static_cast<int64_t>(seen.size()), context_);
      logits[i * vocab_ + (seen.front() + seen.back()) % vocab_] = 5;
      passes.back().push_back(static_cast<int64_t>(pieces[i].tokens.size()));
    }
    return logits;
  }
  int64_t Keep(int64_t slot, absl::Span<const int32_t> text) override {
    slots_.resize(std::max<size_t>(slots_.size(), slot + 1));
    std::vector<int32_t>& seen = slots_[slot];
    size_t same = 0;
    while (same < seen.size() && same + 1 < text.size() &&
           seen[same] == text[same]) {
      ++same;
    }
    seen.resize(same);
    return static_cast<int64_t>(same);
  }
  int64_t context() const override { return context_; }
  int64_t vocab() const override { return vocab_; }

  std::vector<std::vector<int64_t>> passes;

 private:
  int64_t vocab_, context_;
  std::vector<std::vector<int32_t>> slots_;
};

using Prompts = std::vector<std::vector<int32_t>>;

GenerateOptions Greedy(int64_t tokens, std::vector<int32_t> stops = {}) {
  return {.tokens = tokens,
          .stops = std::move(stops),
          .sampling = {.temperature = 0}};
}

std::vector<Continuation> Made(Adder& model, const Prompts& prompts,
                               const GenerateOptions& options) {
  return test::Value(Generate(model, prompts, options, nullptr));
}

TEST(GenerateTest, EachTokenIsFedOnce) {
  Adder model(100, 50);
  const auto made = Made(model, {{1, 2}}, Greedy(4));
  ASSERT_EQ(made.size(), 1u);
  EXPECT_THAT(made[0].tokens, ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(made[0].end, TextEnd::kTokens);
  EXPECT_THAT(model.passes, ElementsAre(ElementsAre(2), ElementsAre(1),
                                        ElementsAre(1), ElementsAre(1)));
}

TEST(GenerateTest, TextsEndByThemselves) {
  Adder model(100, 9);
  const auto made =
      Made(model, {{1, 1}, {5}, {2, 4, 6, 8, 9, 9, 9}}, Greedy(3, {30, 20, 3}));
  EXPECT_THAT(made[0].tokens, ElementsAre(2));  // then 3
  EXPECT_EQ(made[0].end, TextEnd::kStop);
  EXPECT_THAT(made[1].tokens, ElementsAre(10, 15));  // then 20
  EXPECT_EQ(made[1].end, TextEnd::kStop);
  EXPECT_THAT(made[2].tokens, ElementsAre(11, 13));
  EXPECT_EQ(made[2].end, TextEnd::kContext);
  EXPECT_THAT(model.passes, ElementsAre(ElementsAre(2, 1, 7),
                                        ElementsAre(1, 1, 1), ElementsAre(1)));
}

TEST(GenerateTest, LongPromptsGoInPasses) {
  Adder model(100, 5000);
  const Prompts prompts = {
      std::vector<int32_t>(1000, 1), std::vector<int32_t>(2100, 2), {3}};
  const auto made = Made(model, prompts, Greedy(1));
  EXPECT_THAT(made[0].tokens, ElementsAre(2));
  EXPECT_THAT(made[1].tokens, ElementsAre(4));
  EXPECT_THAT(made[2].tokens, ElementsAre(6));
  EXPECT_THAT(model.passes,
              ElementsAre(ElementsAre(1000, 24), ElementsAre(1024),
                          ElementsAre(1024), ElementsAre(28, 1)));
}

TEST(GenerateTest, WhatASlotHasSeenIsKept) {
  Adder model(100, 50);
  Made(model, {{1, 2}}, Greedy(3));  // 3 4 5, of which 5 is not fed
  model.passes.clear();
  EXPECT_THAT(Made(model, {{1, 2, 3, 4, 5, 6}}, Greedy(1))[0].tokens,
              ElementsAre(7));
  EXPECT_THAT(model.passes, ElementsAre(ElementsAre(2)));
  model.passes.clear();
  EXPECT_THAT(Made(model, {{1, 2, 3}}, Greedy(1))[0].tokens, ElementsAre(4));
  EXPECT_THAT(model.passes, ElementsAre(ElementsAre(1)));
  model.passes.clear();
  EXPECT_THAT(Made(model, {{9, 2, 3}}, Greedy(1))[0].tokens, ElementsAre(12));
  EXPECT_THAT(model.passes, ElementsAre(ElementsAre(3)));
}

TEST(GenerateTest, APenaltyCountsThePromptToo) {
  // Two tokens of equal logits: the one that occurs is passed over.
  class Flat final : public TextModel {
   public:
    absl::StatusOr<std::vector<float>> Feed(
        absl::Span<const Piece> pieces) override {
      return std::vector<float>(pieces.size() * 4, 1.0f);
    }
    int64_t Keep(int64_t, absl::Span<const int32_t>) override { return 0; }
    int64_t context() const override { return 9; }
    int64_t vocab() const override { return 4; }
  } flat;
  GenerateOptions options = Greedy(3);
  options.sampling.repetition_penalty = 1.1;
  const Prompts prompts = {{1}};
  EXPECT_THAT(test::Value(Generate(flat, prompts, options, nullptr))[0].tokens,
              ElementsAre(0, 2, 3));
}

TEST(GenerateTest, TheCallerSeesEachTokenAndMayEndATextOrAll) {
  Adder model(100, 50);
  std::vector<std::pair<int64_t, int32_t>> told;
  const TokenCallback until_four = [&](int64_t prompt, int32_t token) {
    told.emplace_back(prompt, token);
    return token != 4;
  };
  const Prompts prompts = {{1, 2}, {2, 5}};
  const auto made =
      test::Value(Generate(model, prompts, Greedy(3), until_four));
  EXPECT_THAT(told, ElementsAre(Pair(0, 3), Pair(1, 7), Pair(0, 4), Pair(1, 9),
                                Pair(1, 11)));
  EXPECT_THAT(made[0].tokens, ElementsAre(3, 4));
  EXPECT_EQ(made[0].end, TextEnd::kCaller);
  EXPECT_EQ(made[1].end, TextEnd::kTokens);
  const TokenCallback fails = [](int64_t, int32_t) -> absl::StatusOr<bool> {
    return absl::CancelledError("enough");
  };
  EXPECT_THAT(Generate(model, prompts, Greedy(3), fails),
              StatusIs(absl::StatusCode::kCancelled, "enough"));
}

TEST(GenerateTest, ErrorsSayWhatIsWrong) {
  Adder model(10, 4);
  const auto refused = [&](const Prompts& prompts, const char* text,
                           const GenerateOptions& options) {
    EXPECT_THAT(Generate(model, prompts, options, nullptr),
                StatusIs(absl::StatusCode::kInvalidArgument, text));
  };
  refused({{}}, "prompt: a prompt has at least one token", Greedy(2));
  refused({{1}, {}}, "prompt 1: a prompt has", Greedy(2));
  refused({{1}, {1, 10}}, "prompt 1: token 10", Greedy(2));
  refused({{1, 2, 3, 4}}, "longest that works: 3", Greedy(2));
  refused({{1}}, "stop=10", Greedy(2, {10}));
  refused({{1}}, "tokens=-1", Greedy(-1));
  GenerateOptions options = Greedy(1);
  options.sampling.top_p = 2;
  refused({{1}}, "top_p=2", options);
  EXPECT_TRUE(model.passes.empty());
  EXPECT_THAT(Made(model, {{1}}, Greedy(0))[0].tokens, IsEmpty());
  EXPECT_THAT(Made(model, {}, Greedy(1)), IsEmpty());
}

}  // namespace
}  // namespace eisbach::models::generate_test
