// The headline: every layout trains like one rank.

#include <gtest/gtest.h>

#include <map>

#include "support/pairs.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::layouts_test {
namespace {

using test::Combination;
using test::Factorings;
using test::Layout;
using test::Recipe;
using test::Trained;
using test::Training;

constexpr int kSteps = 20;       // of the sweep
constexpr int kDailySteps = 10;  // of what is run each time

// What one rank does, computed once for each configuration.
const Trained& OneRank(const std::string& key, EngineConfig config, int steps) {
  static std::map<std::string, Trained> results;
  auto it = results.find(key);
  if (it == results.end()) {
    config.ulysses_group = 0;  // there is none
    Trained trained = test::Value(test::TrainOneRank(config, steps));
    // Fewer steps, each on another batch, need not show it.
    if (steps == kSteps) {
      EXPECT_LT(trained.curve.back().loss, trained.curve.front().loss);
    }
    it = results.emplace(key, std::move(trained)).first;
  }
  return it->second;
}

void ExpectTrainsLikeOneRank(const Recipe& recipe, const EngineConfig& config,
                             const Layout& layout, int steps) {
  // A pipeline of one stage has no schedule.
  const std::string key =
      absl::StrCat(recipe.family, recipe.optimizer, Name(recipe.compute),
                   config.micro_batch, config.model.dropout, recipe.groups,
                   recipe.kv_heads, recipe.terms, steps);
  const Trained& want = OneRank(key, config, steps);
  test::ExpectTrainsLike(
      test::Value(test::TrainAndGather(layout, config, steps)), want,
      test::ToleranceOf(recipe.compute), layout.ToString());
}

std::string NameOf(const testing::TestParamInfo<Training>& info) {
  return info.param.ToString();
}

// A few layouts of each kind, with larger micro-batches: fewer operations.
class LayoutsTest : public testing::TestWithParam<Training> {};

TEST_P(LayoutsTest, TrainLikeOneRank) {
  const Recipe& recipe = GetParam().recipe;
  EngineConfig config = recipe.Config();
  config.micro_batch = test::LargerMicroBatch(GetParam().layout);
  ExpectTrainsLikeOneRank(recipe, config, GetParam().layout, kDailySteps);
}

std::vector<Training> Representative() {
  std::vector<Layout> layouts{{8, 1, 1}, {1, 8, 1}, {1, 1, 8}, {2, 2, 2},
                              {3, 2, 1}, {2, 1, 3}, {1, 3, 2}};
  for (const Layout& layout : Factorings(4)) layouts.push_back(layout);
  std::vector<Training> trainings;
  for (const Layout& layout : layouts) {
    trainings.push_back({{"gpt", "1f1b", "adamw"}, layout});
    trainings.push_back({{"llama", "gpipe", "sgd"}, layout});
  }
  // Halves of backwards and several chunks a stage; gpt's embedding is tied,
  // on the same rank where chunks make a V.
  const auto chunked = [](const char* family, const char* schedule,
                          const char* optimizer, int chunks) {
    Recipe recipe{family, schedule, optimizer};
    recipe.chunks = chunks;
    return recipe;
  };
  for (const Layout& layout :
       {Layout{1, 1, 8}, Layout{1, 1, 4}, Layout{2, 2, 2}}) {
    trainings.push_back({chunked("llama", "zero_bubble", "adamw", 1), layout});
  }
  for (const Layout& layout : {Layout{1, 1, 4}, Layout{2, 2, 2}}) {
    trainings.push_back({chunked("gpt", "interleaved", "sgd", 2), layout});
    trainings.push_back({chunked("llama", "zero_bubble", "adamw", 2), layout});
    trainings.push_back({chunked("gpt", "zb_v", "adamw", 2), layout});
    trainings.push_back({chunked("llama", "dual_pipe_v", "sgd", 2), layout});
  }
  trainings.push_back({chunked("gpt", "zb_v", "sgd", 2), {1, 1, 3}});
  trainings.push_back({chunked("gpt", "interleaved", "adamw", 4), {1, 1, 2}});
  trainings.push_back({chunked("gpt", "interleaved", "adamw", 4), {1, 1, 1}});
  // Head norms, which all tensor ranks see a part of, on heads of their own and
  // on shared ones; biases; layers without positions.
  trainings.push_back({{"qwen3", "1f1b", "adamw"}, {1, 8, 1}});
  trainings.push_back({{"qwen3", "1f1b", "sgd"}, {2, 2, 2}});
  trainings.push_back(
      {{"qwen3", "gpipe", "sgd", DType::kF32, false, 3}, {1, 4, 1}});
  trainings.push_back({{"qwen2", "1f1b", "sgd"}, {1, 4, 2}});
  trainings.push_back({{"smollm3", "1f1b", "adamw"}, {1, 2, 4}});
  for (DType compute : {DType::kBF16, DType::kF16}) {
    trainings.push_back({{"gpt", "1f1b", "adamw", compute}, {2, 2, 2}});
  }
  for (const char* family : {"gpt", "llama"}) {
    trainings.push_back(
        {{family, "1f1b", "adamw", DType::kF32, /*groups=*/true}, {2, 2, 2}});
  }
  // Tensor ranks that divide no tokens (those above do where they can), and
  // that divide them whatever is recomputed.
  const auto add = [&](Recipe recipe, std::optional<bool> sequence,
                       nn::Recompute recompute, const Layout& layout) {
    recipe.sequence = sequence;
    recipe.recompute = recompute;
    trainings.push_back({std::move(recipe), layout});
  };
  for (const Layout& layout : {Layout{1, 2, 1}, Layout{1, 4, 2}}) {
    add({"gpt", "1f1b", "adamw"}, false, nn::Recompute::kNothing, layout);
    add({"llama", "gpipe", "sgd"}, false, nn::Recompute::kSelective, layout);
    for (const nn::Recompute recompute :
         {nn::Recompute::kSelective, nn::Recompute::kBlock}) {
      add({"gpt", "1f1b", "sgd"}, true, recompute, layout);
      add({"llama", "1f1b", "adamw"}, true, recompute, layout);
    }
  }
  add(chunked("llama", "zero_bubble", "adamw", 1), true,
      nn::Recompute::kSelective, {1, 2, 4});
  for (const int zero : {1, 2, 3}) {
    Recipe recipe = chunked("gpt", "zb_v", "adamw", 2);
    recipe.zero = zero;
    add(recipe, true, nn::Recompute::kSelective, {2, 2, 2});
  }
  for (const int zero : {1, 2, 3}) {
    Recipe recipe{"gpt", "1f1b", "adamw"};
    recipe.zero = zero;
    trainings.push_back({recipe, {4, 1, 1}});
    // Tensor ranks whose buckets differ: some hold one key/value head.
    recipe = {"llama", "gpipe", "adamw", DType::kF32, false, 3};
    recipe.zero = zero;
    trainings.push_back({recipe, {2, 4, 1}});
    // Chunks use buckets in another order than they lie.
    recipe = chunked("gpt", "zb_v", "adamw", 2);
    recipe.zero = zero;
    trainings.push_back({recipe, {2, 1, 2}});
    recipe = chunked("llama", "interleaved", "sgd", 2);
    recipe.zero = zero;
    trainings.push_back({recipe, {2, 2, 2}});
  }
  // Whole matrices from parts of them, of ranks that hold a part of a head too;
  // signs of sums; the loss's terms where ranks divide the vocabulary.
  for (const Layout& layout :
       {Layout{3, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 2, 2}}) {
    trainings.push_back({{"gpt", "1f1b", "muon"}, layout});
  }
  for (const int zero : {1, 3}) {
    Recipe recipe{"llama", "gpipe", "muon", DType::kF32, false, 3};
    recipe.zero = zero;
    trainings.push_back({recipe, {2, 4, 1}});
    recipe = {"gpt", "1f1b", "lion"};
    recipe.zero = zero;
    trainings.push_back({recipe, {2, 1, 1}});
  }
  trainings.push_back({{"gpt", "1f1b", "lion"}, {2, 2, 2}});
  Recipe recipe{"llama", "1f1b", "adamw"};
  recipe.terms = true;
  trainings.push_back({recipe, {1, 4, 1}});
  trainings.push_back({recipe, {2, 2, 2}});
  // Rows that ranks divide: rotary and learned positions, with heads that
  // divide and that do not.
  using parallel::ContextMethod;
  const auto divided = [&](Recipe recipe, int context, const Layout& layout,
                           ContextMethod method = ContextMethod::kAuto,
                           int zero = 0) {
    recipe.method = method;
    recipe.zero = zero;
    trainings.push_back({recipe, test::WithContext(context, layout)});
  };
  const Recipe gpt{"gpt", "1f1b", "adamw"}, llama{"llama", "gpipe", "sgd"};
  divided(gpt, 2, {1, 1, 1}, ContextMethod::kGather);
  divided(llama, 2, {2, 2, 1}, ContextMethod::kUlysses);
  divided(llama, 4, {1, 1, 2}, ContextMethod::kRing);
  for (const int zero : {1, 2, 3}) {
    divided(gpt, 2, {2, 1, 1}, ContextMethod::kRing, zero);
  }
  divided({"llama", "1f1b", "adamw", DType::kF32, false, 3}, 2, {1, 2, 1});
  // Two groups of two that exchange heads.
  Recipe both = llama;
  both.ulysses_group = 2;
  divided(both, 4, {2, 1, 1}, ContextMethod::kUlyssesRing, 3);
  both = gpt;
  both.ulysses_group = 2;
  both.recompute = nn::Recompute::kBlock;
  divided(both, 4, {1, 2, 1}, ContextMethod::kUlyssesRing);
  both = chunked("gpt", "zb_v", "adamw", 2);
  both.ulysses_group = 2;
  divided(both, 4, {1, 1, 2}, ContextMethod::kAuto, 2);
  divided(chunked("gpt", "zb_v", "adamw", 2), 2, {1, 1, 2},
          ContextMethod::kRing);
  divided({"gpt", "1f1b", "adamw", DType::kBF16}, 2, {2, 1, 1},
          ContextMethod::kRing);
  return trainings;
}

INSTANTIATE_TEST_SUITE_P(Some, LayoutsTest, testing::ValuesIn(Representative()),
                         NameOf);

// Everything crossed with everything on up to kMostCrossed ranks, and each two
// choices on more. Takes long: scripts/sweep_layouts.sh.
class LayoutsSweep : public testing::TestWithParam<Training> {};

TEST_P(LayoutsSweep, TrainLikeOneRank) {
  const Recipe& recipe = GetParam().recipe;
  EngineConfig config = recipe.Config();
  config.micro_batch = test::LargerMicroBatch(GetParam().layout);
  ExpectTrainsLikeOneRank(recipe, config, GetParam().layout, kSteps);
}

constexpr int kMostCrossed = 3;

// What the sweep crosses of one kind, by number.
template <typename Value>
test::Choices Numbered(const char* name, const std::vector<Value>& values) {
  test::Choices choices{name, {}};
  for (size_t i = 0; i < values.size(); ++i) {
    choices.values.push_back(absl::StrCat(i));
  }
  return choices;
}

std::vector<Combination> Combine(
    const std::vector<test::Choices>& choices, bool crossed,
    const test::Allowed& allowed = [](const Combination&) { return true; }) {
  return crossed ? test::CrossAll(choices, allowed)
                 : test::CoverPairs(choices, allowed);
}

// Families, ways to train them, and layouts.
void AddFactorings(std::vector<Training>& trainings) {
  const std::vector<std::string> families = models::FamilyNames();
  std::vector<Recipe> ways;
  for (const char* schedule : {"1f1b", "gpipe"}) {
    for (const char* optimizer : {"adamw", "sgd"}) {
      ways.push_back({"", schedule, optimizer});
    }
  }
  ways.push_back({"", "zero_bubble", "adamw"});
  ways.push_back({"", "1f1b", "muon"});
  ways.push_back({"", "1f1b", "adamw", DType::kBF16});
  ways.push_back({"", "1f1b", "adamw", DType::kF16});
  ways.push_back({"", "1f1b", "adamw", DType::kF32, /*groups=*/true});
  for (const int zero : {1, 2, 3}) {
    ways.push_back({"", "1f1b", "adamw", DType::kF32, false, 0, zero});
  }
  for (const int ranks : {2, 3, 4, 6, 8}) {
    const std::vector<Layout> layouts = Factorings(ranks);
    for (const Combination& one :
         Combine({Numbered("layout", layouts), Numbered("family", families),
                  Numbered("way", ways)},
                 ranks <= kMostCrossed)) {
      Recipe recipe = ways[one[2]];
      recipe.family = families[one[1]];
      trainings.push_back({recipe, layouts[one[0]]});
    }
  }
}

// Ways to see one another's keys, ZeRO over them, and the other axes.
void AddContext(std::vector<Training>& trainings) {
  using parallel::ContextMethod;
  const std::vector<Recipe> recipes{{"gpt", "1f1b", "adamw"},
                                    {"llama", "zero_bubble", "sgd"}};
  const std::vector<ContextMethod> methods{
      ContextMethod::kRing, ContextMethod::kUlysses,
      ContextMethod::kUlyssesRing, ContextMethod::kGather};
  const std::vector<int> zeros{0, 1, 2, 3};
  for (const int context : {2, 4}) {
    for (const int others : {1, 2}) {
      const std::vector<Layout> layouts = Factorings(others);
      // Two groups of two at least.
      const auto allowed = [&](const Combination& one) {
        return context > 2 || one[1] == test::kOpen ||
               methods[one[1]] != ContextMethod::kUlyssesRing;
      };
      for (const Combination& one :
           Combine({Numbered("recipe", recipes), Numbered("method", methods),
                    Numbered("zero", zeros), Numbered("layout", layouts)},
                   context * others <= kMostCrossed, allowed)) {
        Recipe recipe = recipes[one[0]];
        recipe.method = methods[one[1]];
        recipe.zero = zeros[one[2]];
        const bool grouped = recipe.method == ContextMethod::kUlyssesRing;
        recipe.ulysses_group = grouped ? 2 : 0;
        trainings.push_back(
            {recipe, test::WithContext(context, layouts[one[3]])});
      }
    }
  }
}

std::vector<Training> Everything() {
  std::vector<Training> trainings;
  AddFactorings(trainings);
  AddContext(trainings);
  return trainings;
}

INSTANTIATE_TEST_SUITE_P(All, LayoutsSweep, testing::ValuesIn(Everything()),
                         NameOf);

// A mask that depended on the layout would show at once.
TEST(LayoutsWithDropoutTest, TrainLikeOneRank) {
  const Recipe recipe{"gpt", "1f1b", "adamw"};
  EngineConfig config = recipe.Config();
  config.model.dropout = 0.2f;
  config.micro_batch = 3;
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 2, 2},
        test::WithContext(4)}) {
    ExpectTrainsLikeOneRank(recipe, config, layout, kDailySteps);
  }
}

// What the comparison must notice: one tensor that is a little too large, one
// value of many, and a NaN.
TEST(DescribeApartTest, NamesTheTensorThatIsWrong) {
  const test::Gradients want =
      test::Value(test::TrainAndGather({}, test::ToyConfig("gpt"), 1))
          .gradients;
  EXPECT_EQ(test::DescribeApart(want, want, test::kFloat32Tolerance), "");
  // After one that is right.
  const auto told = [&](size_t tensor, auto change) {
    const test::Gradients two = {want[(tensor + 1) % want.size()],
                                 want[tensor]};
    test::Gradients got = two;
    change(got[1].values);
    return test::DescribeApart(got, two, test::kFloat32Tolerance);
  };
  for (size_t i = 0; i < want.size(); ++i) {
    if (want[i].name.ends_with("attention.key.bias")) continue;
    EXPECT_TRUE(told(i, [](auto& values) {
                  for (float& value : values) value *= 1.001f;
                }).starts_with(want[i].name));
    EXPECT_TRUE(told(i, [](auto& values) {
                  values.back() = NAN;
                }).starts_with(want[i].name));
    EXPECT_TRUE(told(i, [](auto& values) {
                  auto largest = std::max_element(values.begin(), values.end());
                  *largest = -*largest;
                }).starts_with(want[i].name));
  }
}

// A slope's gradient is a sum that may come to nothing by chance.
TEST(DescribeApartTest, ANumberAloneIsHeldAgainstThoseOfOtherBlocks) {
  const auto slopes = [](const char* name, float first, float second) {
    const Shape one{1};
    return test::Gradients{{absl::StrCat("blocks.0.", name), one, {first}},
                           {absl::StrCat("blocks.1.", name), one, {second}}};
  };
  const auto told = [&](const char* name, float first, float second) {
    return test::DescribeApart(slopes(name, first, second),
                               slopes(name, 1.0f, 1e-6f),
                               test::kFloat32Tolerance);
  };
  EXPECT_EQ(told("mlp.alpha_n", 1.0f, 2e-6f), "");
  EXPECT_THAT(told("mlp.alpha_n", 1.0f, 2e-4f),
              testing::StartsWith("blocks.1.mlp.alpha_n is"));
  EXPECT_THAT(told("mlp.alpha_n", 1.001f, 1e-6f),
              testing::StartsWith("blocks.0.mlp.alpha_n is"));
}

}  // namespace
}  // namespace eisbach::train::layouts_test
