#include "plan/expert_work.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cpp/plan/plan_testing.h"
#include "plan/forecast.h"
#include "plan/layout.h"
#include "support/status_testing.h"

namespace eisbach::plan::expert_work_test {
namespace {

constexpr int64_t kHidden = 96;  // of the toy
constexpr int64_t kContext = 64;

train::EngineConfig Config(const std::string& family = "llama") {
  train::EngineConfig config = test::ToyConfig(family);
  config.model.layers = 4;
  config.model.context = kContext;
  config.global_batch = 32;
  config.update.compute_dtype = DType::kBF16;
  return config;
}

Experts Eight() { return {.count = 8, .per_token = 2, .hidden = 100}; }

absl::StatusOr<RecordedStep> Recorded(const train::EngineConfig& config,
                                      const Layout& layout, Experts experts) {
  const parallel::Mesh mesh = test::Value(MeshOf(layout));
  experts = WithLayout(experts, layout);
  return RecordedStep::Make(
      WithLayout(test::Value(DenseOf(config, experts)), layout), mesh,
      DeviceType::kMeta, experts);
}

Forecast Foretold(const train::EngineConfig& config, const Layout& layout,
                  const Experts& experts) {
  return test::Value(test::Value(Recorded(config, layout, experts))
                         .On(RoundMachine(), {.replayed = true}));
}

// Of the last of two steps of the first stage.
struct Sums {
  std::map<std::string, double> bytes;  // of collectives, by group
  std::map<std::string, int> collectives;
  std::map<std::string, int> ops;
  double flops = 0;
};
Sums Last(const RecordedStep& step) {
  Sums sums;
  const WorkRecord& record = step.records().front();
  bool last = false;
  for (const Work& work : record.work) {
    if (work.kind == Work::Kind::kStepEnd) last = true;
    if (!last) continue;
    if (work.kind == Work::Kind::kCollective) {
      sums.bytes[record.group(work)] += work.collective.bytes;
      ++sums.collectives[record.group(work)];
    } else if (work.kind == Work::Kind::kOp) {
      ++sums.ops[record.name(work)];
      sums.flops += work.op.flops;
    }
  }
  return sums;
}

TEST(ExpertWorkTest, OneExpertIsTheMlp) {
  train::EngineConfig config = Config();
  config.model.ffn_hidden = 200;
  for (const DType dtype : {DType::kBF16, DType::kF32}) {
    config.update.compute_dtype = dtype;
    for (const Layout& layout :
         {Layout{}, Layout{.data = 4, .zero = 1}, Layout{.data = 2, .zero = 3},
          Layout{.pipeline = 2, .schedule = "zero_bubble"},
          Layout{.micro_batch = 2, .recompute = nn::Recompute::kSelective},
          Layout{.data = 2, .recompute = nn::Recompute::kBlock}}) {
      const Forecast dense = Foretold(config, layout, {});
      const Forecast one = Foretold(
          config, layout,
          {.count = 1, .per_token = 1, .hidden = config.model.ffn_hidden});
      EXPECT_DOUBLE_EQ(one.flops, dense.flops);
      EXPECT_EQ(one.memory(), dense.memory());
      EXPECT_NEAR(one.seconds, dense.seconds, 1e-4 * dense.seconds);
    }
  }
}

TEST(ExpertWorkTest, EachLayerSendsItsTokensFourTimes) {
  const Layout layout{.data = 4, .zero = 1, .expert = 4};
  const Sums sums = Last(test::Value(Recorded(Config(), layout, Eight())));
  // To the experts and back, forward and backward, of two micro-batches.
  EXPECT_EQ(sums.collectives.at("experts"), 4 * 4 * 2);
  EXPECT_DOUBLE_EQ(sums.bytes.at("experts"),
                   4 * 4 * 2 * (kContext * 2 * kHidden * 2.0));
  EXPECT_EQ(sums.ops.at("grouped_matmul"), 6 * 4 * 2);
  EXPECT_EQ(sums.ops.at("top_k"), 4 * 2);
  // All have the same experts where none send any.
  const Sums alone =
      Last(test::Value(Recorded(Config(), {.data = 4, .zero = 1}, Eight())));
  EXPECT_FALSE(alone.collectives.contains("experts"));
  EXPECT_DOUBLE_EQ(alone.flops, sums.flops);
}

TEST(ExpertWorkTest, OperationsAreThoseOfWhatTokensMeet) {
  train::EngineConfig config = Config();
  const Experts experts = Eight();
  const double with =
      Last(test::Value(Recorded(config, {.expert = 1}, experts))).flops;
  config.model.ffn_hidden = 200;
  const double dense = Last(test::Value(Recorded(config, {}, {}))).flops;
  const double router = 6.0 * 2 * kContext * 4 * kHidden * 8;
  // What is done once a step grows with all weights.
  EXPECT_NEAR(with, dense + router, 0.06 * dense);
  EXPECT_GT(with, dense + router);
}

// A block that is computed once more sends its tokens once more; one that keeps
// what came does not.
TEST(ExpertWorkTest, WhatIsRecomputedIsSentAgain) {
  for (const char* family : {"llama", "gpt"}) {
    const auto sent = [&](nn::Recompute recompute) {
      return Last(test::Value(
                      Recorded(Config(family),
                               {.data = 2, .recompute = recompute, .expert = 2},
                               Eight())))
          .collectives.at("experts");
    };
    const int once = sent(nn::Recompute::kNothing);
    EXPECT_EQ(sent(nn::Recompute::kSelective), once) << family;
    EXPECT_EQ(sent(nn::Recompute::kBlock), once / 2 * 3) << family;
  }
}

// Divided tokens are sent by the rank that has them: around the experts nothing
// is gathered or summed, but for what is shared.
TEST(ExpertWorkTest, TensorRanksSendWhatTheyHave) {
  const Layout layout{.data = 2, .tensor = 2, .zero = 1, .expert = 4};
  train::EngineConfig config = Config();
  config.model.ffn_hidden = 200;
  const Sums dense = Last(test::Value(Recorded(config, layout, {})));
  const Sums routed = Last(test::Value(Recorded(config, layout, Eight())));
  Experts experts = Eight();
  experts.shared_hidden = 48;
  const Sums shared = Last(test::Value(Recorded(config, layout, experts)));
  EXPECT_EQ(shared.collectives.at("tensor"), dense.collectives.at("tensor"));
  // Of a layer and micro-batch: gather and sum, both ways, and the gather of
  // what a weight's gradient needs.
  EXPECT_EQ(routed.collectives.at("tensor"),
            dense.collectives.at("tensor") - 5 * 4 * 2);
  EXPECT_DOUBLE_EQ(routed.bytes.at("experts"),
                   4 * 4 * 2 * (kContext / 2 * 2 * kHidden * 2.0));
  train::EngineConfig whole = config;
  whole.sequence = false;
  EXPECT_THAT(Recorded(whole, layout, Eight()),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "nearest that works: parallel.tensor=1"));
}

// Gradients of experts are summed by the ranks that have the same.
TEST(ExpertWorkTest, GradientsAreSummedWhereWeightsAreAlike) {
  const auto sums = [&](int expert, int zero) {
    return Last(test::Value(Recorded(
        Config(), {.data = 8, .zero = zero, .expert = expert}, Eight())));
  };
  for (const int zero : {0, 1, 2, 3}) {
    const Sums four = sums(4, zero), two = sums(2, zero), all = sums(8, zero);
    EXPECT_NEAR(two.bytes.at("expert data"), 2 * four.bytes.at("expert data"),
                1e-6 * two.bytes.at("expert data"));
    EXPECT_DOUBLE_EQ(two.bytes.at("data"), four.bytes.at("data"));
    EXPECT_FALSE(all.bytes.contains("expert data"));
    const Sums none = sums(1, zero);  // one sum of all
    EXPECT_FALSE(none.bytes.contains("expert data"));
    EXPECT_NEAR(none.bytes.at("data"),
                four.bytes.at("data") + 4 * four.bytes.at("expert data"),
                1e-6 * none.bytes.at("data"));
  }
  // f32 gradients and bf16 weights of 2 of 8 experts in each of 4 layers.
  EXPECT_NEAR(sums(4, 1).bytes.at("expert data"),
              (4 + 2) * 4.0 * 2 * 3 * kHidden * 100, 2e4);
  // Tensor ranks may have the same though nobody sees other samples.
  const Sums alone = Last(
      test::Value(Recorded(Config(), {.tensor = 4, .expert = 2}, Eight())));
  EXPECT_DOUBLE_EQ(alone.bytes.at("expert data"),
                   4.0 * 4 * 4 * 3 * kHidden * 100);
}

TEST(ExpertWorkTest, MemoryIsThatOfTheExpertsThatARankHas) {
  const auto memory = [&](int64_t count, int expert, int zero) {
    Experts experts = Eight();
    experts.count = count;
    return Foretold(Config(), {.data = 8, .zero = zero, .expert = expert},
                    experts)
        .memory();
  };
  const int64_t expert = 4 * 3 * kHidden * 100;  // of all layers
  EXPECT_EQ(memory(32, 2, 0) - memory(32, 4, 0), 8 * expert * (2 + 4 + 4 + 8));
  // Masters and moments of all are divided among all, whoever has them.
  EXPECT_EQ(memory(32, 2, 1) - memory(32, 4, 1), 8 * expert * (2 + 4));
}

// Copies of tokens are kept for backward, unless blocks are recomputed.
TEST(ExpertWorkTest, BackwardNeedsTheCopiesThatCame) {
  const int64_t copies = 4 * kContext * kHidden * 2;  // of a layer, for each
  const auto more = [&](nn::Recompute recompute) {
    Experts one{.count = 8, .per_token = 1, .hidden = 200};
    Experts two{.count = 16, .per_token = 2, .hidden = 100};
    const Layout layout{
        .data = 2, .micro_batch = 4, .recompute = recompute, .expert = 2};
    const int64_t routers = 4 * 8 * kHidden * (2 + 4 + 4 + 8);
    return Foretold(Config(), layout, two).memory() -
           Foretold(Config(), layout, one).memory() - routers;
  };
  // One more of each token: kept by four layers, and two on their way.
  EXPECT_EQ(more(nn::Recompute::kNothing), (4 + 2) * copies);
  EXPECT_EQ(more(nn::Recompute::kSelective), (4 + 2) * copies);
  EXPECT_EQ(more(nn::Recompute::kBlock), (1 + 2) * copies);
}

// Products are found on every layout that training has.
TEST(ExpertWorkTest, AllLayoutsAreRead) {
  for (const char* family : {"llama", "gpt"}) {
    for (const DType dtype : {DType::kBF16, DType::kF32}) {
      train::EngineConfig config = Config(family);
      config.update.compute_dtype = dtype;
      for (const int64_t context : {64, 96}) {
        config.model.context = context;
        for (Layout layout : {Layout{.tensor = 2, .context = 2, .expert = 4},
                              Layout{.data = 2,
                              .pipeline = 2,
                              .schedule = "interleaved",
                              .chunks = 2,
                              .zero = 2,
                              .expert = 2},
                              Layout{.pipeline = 4, .schedule = "zero_bubble"},
                              Layout{.data = 2, .zero = 3, .expert = 2}}) {
          for (const nn::Recompute recompute :
               {nn::Recompute::kNothing, nn::Recompute::kSelective,
                nn::Recompute::kBlock}) {
            layout.recompute = recompute;
            const auto step = Recorded(config, layout, Eight());
            EXPECT_TRUE(step.ok())
                << family << " " << context << " " << layout.schedule << " "
                << static_cast<int>(recompute) << ": " << step.status();
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace eisbach::plan::expert_work_test
