// A step of each layout on the meta device: the very same code, with nothing
// allocated and nothing read.

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "support/status_testing.h"
#include "support/toy.h"

namespace eisbach::train::meta_test {
namespace {

using test::Layout;

class Counter final : public Recorder {
 public:
  void OnOp(absl::string_view name, const OpCost& cost,
            const Stream&) override {
    ops_[std::string(name)] += 1;
    flops_ += cost.flops;
  }
  void OnCollective(absl::string_view name, absl::string_view group,
                    const CollectiveCost& cost, const Stream&) override {
    if (cost.group_size > 1) {
      collectives_[absl::StrCat(group, " ", name)] += 1;
    }
  }

  std::map<std::string, int> ops_;
  std::map<std::string, int> collectives_;
  double flops_ = 0;
};

struct Recorded {
  Counter counter;
  int64_t peak_bytes = 0;
};

Recorded RecordStep(const Layout& layout, int rank,
                    const EngineConfig& config) {
  Recorded recorded;
  auto world =
      test::Value(comm::SimWorld(rank, layout.ranks(), DeviceType::kMeta));
  EISBACH_EXPECT_OK(test::WithEngine(
      *world, layout, config, [&](Engine& engine) -> absl::Status {
        const parallel::ParallelContext& context = engine.context();
        EISBACH_ASSIGN_OR_RETURN(
            StepInput input,
            test::ToyInput(config, 1, context.index(Axis::kData),
                           context.size(Axis::kData), context.device()));
        EXPECT_EQ(input.tokens.raw(), nullptr);
        context.device().set_recorder(&recorded.counter);
        const absl::Status status = engine.Submit(input);
        context.device().set_recorder(nullptr);
        recorded.peak_bytes = context.device().memory().peak_bytes_in_use;
        return status;
      }));
  return recorded;
}

TEST(MetaTest, EveryLayoutRunsAStep) {
  for (const char* family : {"gpt", "llama"}) {
    for (int ranks : {1, 2, 3, 4, 6, 8}) {
      for (const Layout& layout : test::Factorings(ranks)) {
        for (int rank = 0; rank < ranks; ++rank) {
          RecordStep(layout, rank, test::ToyConfig(family));
        }
      }
    }
  }
}

TEST(MetaTest, RanksDivideTheWork) {
  const EngineConfig config = test::ToyConfig("gpt");
  const double whole = RecordStep({}, 0, config).counter.flops_;
  EXPECT_GT(whole, 0);
  for (const Layout& layout :
       {Layout{8, 1, 1}, Layout{1, 8, 1}, Layout{1, 1, 8}, Layout{2, 2, 2}}) {
    double sum = 0;
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      sum += RecordStep(layout, rank, config).counter.flops_;
    }
    // Tensor ranks repeat the norms and pad the vocabulary.
    EXPECT_GE(sum, whole * 0.999) << layout.ToString();
    EXPECT_LE(sum, whole * 1.1) << layout.ToString();
  }
}

// Causal rows in a zigzag: no rank has more than 5% more than another.
TEST(MetaTest, ContextRanksDivideTheWorkEvenly) {
  EngineConfig config = test::ToyConfig("llama");
  config.model.context = 96;
  const double whole = RecordStep({}, 0, config).counter.flops_;
  for (const auto method :
       {parallel::ContextMethod::kRing, parallel::ContextMethod::kUlysses,
        parallel::ContextMethod::kUlyssesRing,
        parallel::ContextMethod::kGather}) {
    config.context_method = method;
    for (const int context : {2, 4, 8}) {
      config.ulysses_group =
          method == parallel::ContextMethod::kUlyssesRing ? context / 2 : 0;
      double least = whole, most = 0, sum = 0;
      for (int rank = 0; rank < context; ++rank) {
        const double flops =
            RecordStep(test::WithContext(context), rank, config).counter.flops_;
        least = std::min(least, flops);
        most = std::max(most, flops);
        sum += flops;
      }
      EXPECT_LE(most, 1.05 * least) << Name(method) << " " << context;
      EXPECT_NEAR(sum, whole, 0.02 * whole) << Name(method) << " " << context;
    }
  }
}

TEST(MetaTest, ContextRanksExchangeWhatTheMethodSays) {
  EngineConfig config = test::ToyConfig("llama");
  const auto calls = [&](parallel::ContextMethod method) {
    config.context_method = method;
    return RecordStep(test::WithContext(4), 1, config).counter.collectives_;
  };
  const int layers = 24 * 8;  // of all micro-batches
  // Keys and values take three hops, twice; their gradients four.
  EXPECT_EQ(calls(parallel::ContextMethod::kRing).at("context exchange"),
            layers * (3 + 3 + 4));
  EXPECT_EQ(calls(parallel::ContextMethod::kUlysses).at("context all_to_all"),
            layers * 4);
  config.ulysses_group = 2;
  const auto both = calls(parallel::ContextMethod::kUlyssesRing);
  config.ulysses_group = 0;
  EXPECT_EQ(both.at("context ulysses all_to_all"), layers * 4);
  EXPECT_EQ(both.at("context ring exchange"), layers * (1 + 1 + 2));
  EXPECT_EQ(both.count("context exchange"), 0);
  const auto gather = calls(parallel::ContextMethod::kGather);
  EXPECT_EQ(gather.at("context all_gather"), layers * 2);
  EXPECT_EQ(gather.at("context reduce_scatter"), layers);
}

TEST(MetaTest, CollectivesAreThoseOfTheLayout) {
  EngineConfig config = test::ToyConfig("gpt");
  EXPECT_TRUE(RecordStep({}, 0, config).counter.collectives_.empty());
  const auto divided = RecordStep({1, 2, 1}, 0, config).counter.collectives_;
  config.sequence = false;
  const auto tensor = RecordStep({1, 2, 1}, 0, config).counter.collectives_;
  // Two a layer forward and two backward, one for the embedding and one for the
  // head, for each of 24 micro-batches.
  EXPECT_EQ(tensor.at("tensor all_reduce"), 24 * (4 * 8 + 2));
  EXPECT_FALSE(tensor.contains("tensor reduce_scatter"));
  // Where tokens are divided each is a reduce-scatter and a gather, and
  // backward gathers twice more a layer; norms and positions have one sum.
  EXPECT_EQ(divided.at("tensor reduce_scatter"), 24 * (4 * 8 + 2));
  EXPECT_EQ(divided.at("tensor all_gather"),
            tensor.at("tensor all_gather") + 24 * (6 * 8 + 2));
  EXPECT_EQ(divided.at("tensor all_reduce"), 1);
}

TEST(MetaTest, FewerMicroBatchesInFlightNeedLessMemory) {
  EngineConfig config = test::ToyConfig("gpt");
  const int64_t one_f_one_b = RecordStep({1, 1, 2}, 0, config).peak_bytes;
  config.pipeline_schedule = "gpipe";
  EXPECT_LT(one_f_one_b, RecordStep({1, 1, 2}, 0, config).peak_bytes);
}

TEST(MetaTest, RecomputeNeedsLessMemory) {
  EngineConfig config = test::ToyConfig("gpt");
  const int64_t plain = RecordStep({}, 0, config).peak_bytes;
  config.recompute = nn::Recompute::kBlock;
  EXPECT_LT(RecordStep({}, 0, config).peak_bytes, plain);
}

TEST(MetaTest, ContextRanksNeedLessMemory) {
  EngineConfig config = test::ToyConfig("llama");
  config.context_method = parallel::ContextMethod::kRing;
  const auto peak = [&](int64_t length, const Layout& layout) {
    config.model.context = length;
    return static_cast<double>(RecordStep(layout, 0, config).peak_bytes);
  };
  // Past what does not depend on the length; a quarter, and the keys and values
  // of two more ranks.
  const double fixed = peak(8, {});
  EXPECT_LT(peak(768, test::WithContext(4)) - fixed,
            0.35 * (peak(768, {}) - fixed));
}

}  // namespace
}  // namespace eisbach::train::meta_test
