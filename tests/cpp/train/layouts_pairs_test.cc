// Every two choices of a run together: peers publish what may not be combined.
// The properties of each test are what docs/parallelism.md makes a table of.

#include <gtest/gtest.h>

#include <map>

#include "support/pairs.h"
#include "support/recipes.h"
#include "support/status_testing.h"
#include "support/trained.h"

namespace eisbach::train::layouts_pairs_test {
namespace {

using test::Choices;
using test::Combination;
using test::Layout;
using test::Recipe;

constexpr int kSteps = 20;
constexpr int kMostRanks = 8;

enum Choice {
  kData,
  kTensor,
  kPipeline,
  kContext,
  kSchedule,
  kZero,
  kMethod,
  kSequence,
  kRecompute,
  kFamily,
  kOptimizer,
  kTerms,
  kCompute
};

// Lion's update is a sign, which rounding turns where momentum and gradient
// cancel: gemma2's norm is 1.1e-4 apart after 20 steps, in bf16 qwen3's 3%.
test::Tolerances ToleranceOf(const Recipe& recipe) {
  test::Tolerances tolerance = test::ToleranceOf(recipe.compute);
  if (recipe.optimizer == "lion") {
    tolerance.curve = recipe.compute == DType::kF32 ? 1e-3 : 0.1;
  }
  return tolerance;
}

const std::vector<Choices>& All() {
  static const std::vector<Choices> choices{
      {"data", {"1", "2", "4"}},
      {"tensor", {"1", "2", "4"}},
      {"pipeline", {"1", "2", "4"}},
      {"context", {"1", "2", "4"}},
      {"schedule",
       {"1f1b", "gpipe", "interleaved", "zero_bubble", "zb_v", "dual_pipe_v"}},
      {"zero", {"0", "1", "2", "3"}},
      {"method", {"auto", "ring", "ulysses", "ulysses_ring", "gather"}},
      {"sequence", {"false", "true"}},
      {"recompute", {"none", "selective", "block"}},
      {"family", {"gpt", "llama", "qwen3", "gemma2"}},
      {"optimizer", {"adamw", "sgd", "muon", "lion"}},
      {"terms", {"false", "true"}},
      {"compute", {"f32", "bf16"}}};
  return choices;
}

// The number of a choice's value; 1 while it is open.
int NumberOf(const Combination& one, Choice choice) {
  return one[choice] == test::kOpen
             ? 1
             : std::stoi(All()[choice].values[one[choice]]);
}

// A choice that says nothing where the ranks it is about are one: its first
// value stands for that.
bool Says(const Combination& one, Choice choice, Choice ranks) {
  return one[choice] <= 0 || one[ranks] != 0;
}

// Groups of two between which keys go round take four ranks.
constexpr int kGroup = 2, kRanksOfGroups = 4;

bool HasGroups(const Combination& one) {
  return one[kMethod] != test::kOpen &&
         All()[kMethod].values[one[kMethod]] == "ulysses_ring";
}

bool Fits(const Combination& one) {
  const bool grouped = HasGroups(one);
  if (grouped && one[kContext] != test::kOpen &&
      NumberOf(one, kContext) != kRanksOfGroups) {
    return false;
  }
  const int context = grouped ? kRanksOfGroups : NumberOf(one, kContext);
  const int ranks = NumberOf(one, kData) * NumberOf(one, kTensor) *
                    NumberOf(one, kPipeline) * context;
  // ZeRO divides over data and context.
  const bool divides = one[kZero] <= 0 || one[kData] != 0 || one[kContext] != 0;
  return ranks <= kMostRanks && Says(one, kSchedule, kPipeline) && divides &&
         Says(one, kMethod, kContext) && Says(one, kSequence, kTensor);
}

std::string NameOf(const Combination& one) {
  std::string name;
  for (size_t c = 0; c < one.size(); ++c) {
    const Choices& choice = All()[c];
    // A number needs to be told of what; the first value goes without saying.
    if (one[c] == 0 && c != kFamily && c != kOptimizer) continue;
    const std::string& value = choice.values[one[c]];
    const bool alone = c >= kRecompute && c != kTerms;
    absl::StrAppend(&name, name.empty() ? "" : "_", alone ? "" : choice.name,
                    value == "true" ? "" : value);
  }
  return name;
}

Layout LayoutOf(const Combination& one) {
  return test::WithContext(
      NumberOf(one, kContext),
      {NumberOf(one, kData), NumberOf(one, kTensor), NumberOf(one, kPipeline)});
}

Recipe RecipeOf(const Combination& one) {
  const auto value = [&](Choice choice) -> const std::string& {
    return All()[choice].values[one[choice]];
  };
  Recipe recipe{value(kFamily), value(kSchedule), value(kOptimizer)};
  if (value(kCompute) == "bf16") recipe.compute = DType::kBF16;
  recipe.zero = NumberOf(one, kZero);
  recipe.method = parallel::ParseContextMethod(value(kMethod)).value();
  if (HasGroups(one)) recipe.ulysses_group = kGroup;
  recipe.sequence = value(kSequence) == "true";
  // In the order of the choices.
  recipe.recompute = static_cast<nn::Recompute>(one[kRecompute]);
  recipe.terms = value(kTerms) == "true";
  return recipe;
}

// What one rank does, computed once for each.
const test::Trained& OneRank(const Combination& one) {
  static std::map<Combination, test::Trained> results;
  const Combination key(one.begin() + kFamily, one.end());
  auto it = results.find(key);
  if (it == results.end()) {
    Combination alone(one.size(), 0);
    std::copy(key.begin(), key.end(), alone.begin() + kFamily);
    EngineConfig config = RecipeOf(alone).Config();
    config.micro_batch = 3;
    it = results.emplace(key, test::Value(test::TrainOneRank(config, kSteps)))
             .first;
    // In bf16 the rate is too small for that (Recipe::Config).
    if (config.update.compute_dtype == DType::kF32) {
      EXPECT_LT(it->second.curve.back().loss, it->second.curve.front().loss);
    }
  }
  return it->second;
}

class LayoutsPairs : public testing::TestWithParam<Combination> {};

TEST_P(LayoutsPairs, TrainLikeOneRank) {
  const Combination& one = GetParam();
  for (size_t c = 0; c < one.size(); ++c) {
    RecordProperty(All()[c].name, All()[c].values[one[c]]);
  }
  const Recipe recipe = RecipeOf(one);
  EngineConfig config = recipe.Config();
  config.micro_batch = 3;
  const absl::StatusOr<test::Trained> trained =
      test::TrainAndGather(LayoutOf(one), config, kSteps);
  ASSERT_TRUE(trained.ok()) << trained.status();
  test::ExpectTrainsLike(*trained, OneRank(one), ToleranceOf(recipe),
                         NameOf(one));
}

INSTANTIATE_TEST_SUITE_P(All, LayoutsPairs,
                         testing::ValuesIn(test::CoverPairs(All(), Fits)),
                         [](const auto& info) { return NameOf(info.param); });

TEST(CoverPairsTest, HasEachPairThatFits) {
  const std::vector<Combination> all = test::CoverPairs(All(), Fits);
  for (size_t a = 0; a < All().size(); ++a) {
    for (size_t b = a + 1; b < All().size(); ++b) {
      for (int i = 0; i < static_cast<int>(All()[a].values.size()); ++i) {
        for (int j = 0; j < static_cast<int>(All()[b].values.size()); ++j) {
          Combination pair(All().size(), test::kOpen);
          pair[a] = i;
          pair[b] = j;
          const bool there =
              std::any_of(all.begin(), all.end(), [&](const Combination& one) {
                return one[a] == i && one[b] == j;
              });
          EXPECT_EQ(there, Fits(pair))
              << All()[a].name << "=" << All()[a].values[i] << ", "
              << All()[b].name << "=" << All()[b].values[j];
        }
      }
    }
  }
  for (const Combination& one : all) EXPECT_TRUE(Fits(one)) << NameOf(one);
}

}  // namespace
}  // namespace eisbach::train::layouts_pairs_test
