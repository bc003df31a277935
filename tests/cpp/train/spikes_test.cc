// Steps that are bad are found before they change a weight: by the same rule on
// every rank, whatever the layout, and across a checkpoint.
#include "train/spikes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <mutex>

#include "checkpoint/load.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"
#include "support/toy.h"
#include "train/engine.h"

namespace eisbach::train::spikes_test {
namespace {

using optim::OnSpike;
using test::Layout;
using test::StatusIs;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kLarge =
    50;  // of this many times its weights a loss is a spike
constexpr int kSteps = 9;

const Layout kLayouts[] = {
    {1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {2, 1, 2}};

EngineConfig ConfigOf(OnSpike on_spike, double deviations = 10) {
  EngineConfig config = test::ToyConfig("llama");
  config.model.layers = 2;
  config.model.dropout = 0.1f;
  config.micro_batch = 4;
  config.spikes = {.on_spike = on_spike,
                   .rule = {.window = 4, .deviations = deviations},
                   .most_skips = 2};
  return config;
}

std::vector<float> MastersIn(Engine& engine) {
  std::vector<float> values;
  for (const FlatBucket& bucket : engine.update().buffer().buckets()) {
    const float* begin = bucket.master.data<float>();
    values.insert(values.end(), begin, begin + bucket.master.elements());
  }
  return values;
}

// Multiplies the last parameter of this rank, on a last stage that of the head,
// and takes that back at its end.
class Plant {
 public:
  Plant(Engine& engine, float factor)
      : engine_(engine),
        weight_(engine.update().parameters().back()->master()),
        saved_(weight_.data<float>(),
               weight_.data<float>() + weight_.elements()) {
    for (int64_t i = 0; i < weight_.elements(); ++i) {
      weight_.data<float>()[i] *= factor;
    }
    EISBACH_EXPECT_OK(engine_.update().RefreshData());
  }
  ~Plant() {
    std::copy(saved_.begin(), saved_.end(), weight_.data<float>());
    EISBACH_EXPECT_OK(engine_.update().RefreshData());
  }

 private:
  Engine& engine_;
  Tensor weight_;
  std::vector<float> saved_;
};

// What ranks have seen, and their weights at the end, by rank.
struct Seen {
  std::vector<StepResult> results;
  std::vector<float> weights;
};
using AllSeen = std::map<int, Seen>;

// What is planted at a step: by a factor, on a rank or all (-1), and whether it
// is gone when the result is collected.
struct Fault {
  float factor;
  int rank = -1;
  bool transient = false;
};
using Faults = std::map<int64_t, Fault>;

absl::Status Train(Engine& engine, int64_t last, const Faults& faults,
                   Seen& seen) {
  while (engine.update().step() < last) {
    const auto fault = faults.find(engine.update().step() + 1);
    std::unique_ptr<Plant> plant;
    if (fault != faults.end() &&
        (fault->second.rank < 0 ||
         fault->second.rank == engine.context().world().rank())) {
      plant = std::make_unique<Plant>(engine, fault->second.factor);
    }
    EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
    if (plant != nullptr && fault->second.transient) plant = nullptr;
    const absl::StatusOr<StepResult> result = engine.Collect();
    plant = nullptr;
    seen.weights = MastersIn(engine);
    EISBACH_RETURN_IF_ERROR(result.status());
    seen.results.push_back(*result);
  }
  return absl::OkStatus();
}

absl::StatusOr<AllSeen> TrainOn(const Layout& layout,
                                const EngineConfig& config,
                                const Faults& faults, int64_t last = kSteps) {
  AllSeen all;
  std::mutex mutex;
  EISBACH_RETURN_IF_ERROR(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, layout, config, [&](Engine& engine) -> absl::Status {
              Seen seen;
              EISBACH_RETURN_IF_ERROR(Train(engine, last, faults, seen));
              std::lock_guard<std::mutex> lock(mutex);
              all[world.rank()] = std::move(seen);
              return absl::OkStatus();
            });
      }));
  return all;
}

std::string SkippedIn(const Seen& seen) {
  std::string text;
  for (const StepResult& result : seen.results) {
    if (result.skipped) {
      absl::StrAppend(&text, result.step, ":", std::string(CauseOf(result)),
                      " ");
    }
  }
  return text;
}

TEST(Spikes, EveryLayoutSkipsTheSameSteps) {
  const Faults faults = {
      {3, {kNaN}}, {6, {kLarge}}, {8, {kLarge}}, {9, {kNaN}}};
  for (const Layout& layout : kLayouts) {
    SCOPED_TRACE(layout.ToString());
    const AllSeen all =
        test::Value(TrainOn(layout, ConfigOf(OnSpike::kSkip), faults));
    ASSERT_EQ(all.size(), static_cast<size_t>(layout.ranks()));
    for (const auto& [rank, seen] : all) {
      EXPECT_EQ(SkippedIn(seen),
                "3:loss_not_finite 6:loss_spike 8:loss_spike "
                "9:loss_not_finite ")
          << rank;
    }
    const StepResult& spike = all.at(0).results[5];
    EXPECT_THAT(spike.why, testing::StartsWith("loss="));
    EXPECT_THAT(spike.why,
                testing::HasSubstr("10 deviations above the median of the last "
                                   "4 good steps"));
    EXPECT_GT(spike.loss, spike.spike.limit);
    EXPECT_GT(spike.spike.limit, spike.spike.median);
    EXPECT_EQ(all.at(0).results[2].why, "loss=nan is not finite");
  }
}

// A skipped step leaves no trace: weights, state of the optimizer, nothing.
TEST(Spikes, SkippingChangesNothing) {
  for (const Layout& layout : kLayouts) {
    const auto after = [&](int64_t last) {
      return test::Value(TrainOn(layout, ConfigOf(OnSpike::kSkip),
                                 {{6, {kNaN}}, {7, {kLarge}}}, last));
    };
    const AllSeen before = after(5), skipped = after(7), next = after(8);
    for (const auto& [rank, seen] : skipped) {
      EXPECT_EQ(seen.weights, before.at(rank).weights);
      EXPECT_NE(seen.weights, next.at(rank).weights);
    }
  }
}

// On clean steps nothing is bad, and a judge changes no bit.
TEST(Spikes, GoodStepsAreAsWithoutAJudge) {
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 2, 1}}) {
    EngineConfig plain = ConfigOf(OnSpike::kStop, 0);
    const AllSeen want = test::Value(TrainOn(layout, plain, {}, 12));
    for (OnSpike on_spike : {OnSpike::kStop, OnSpike::kSkip, OnSpike::kRerun}) {
      const AllSeen got =
          test::Value(TrainOn(layout, ConfigOf(on_spike), {}, 12));
      for (const auto& [rank, seen] : got) {
        EXPECT_EQ(seen.weights, want.at(rank).weights);
        EXPECT_EQ(SkippedIn(seen), "");
      }
    }
  }
}

TEST(Spikes, StopLeavesTheWeightsAndSaysWhatToDo) {
  const absl::StatusCode aborted = absl::StatusCode::kAborted;
  for (const Layout& layout : kLayouts) {
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, layout, ConfigOf(OnSpike::kStop),
              [&](Engine& engine) -> absl::Status {
                Seen seen;
                EISBACH_RETURN_IF_ERROR(Train(engine, 5, {}, seen));
                const std::vector<float> before = seen.weights;
                const absl::Status status =
                    Train(engine, 6, {{6, {kLarge}}}, seen);
                EXPECT_THAT(status, StatusIs(aborted, "step 6: loss="));
                EXPECT_THAT(status,
                            StatusIs(aborted, "(fault.spike_deviations)"));
                EXPECT_THAT(status, StatusIs(aborted, "fault.on_spike=skip"));
                EXPECT_EQ(MastersIn(engine), before);
                // The next one is not void.
                EISBACH_RETURN_IF_ERROR(Train(engine, 7, {}, seen));
                EXPECT_NE(MastersIn(engine), before);
                return absl::OkStatus();
              });
        }));
  }
}

TEST(Spikes, TooManyInARowNameTheTensor) {
  for (OnSpike on_spike : {OnSpike::kSkip, OnSpike::kRerun}) {
    const absl::Status nan = TrainOn({1, 1, 2}, ConfigOf(on_spike),
                                     {{3, {kNaN}}, {4, {kNaN}}, {5, {kNaN}}})
                                 .status();
    EXPECT_THAT(nan, StatusIs(absl::StatusCode::kDataLoss,
                              "at step 5, after 2 skipped in a row "
                              "(fault.most_skips): rank 0: the first tensor"));
    EXPECT_THAT(
        TrainOn({1, 1, 1}, ConfigOf(on_spike),
                {{6, {kLarge}}, {7, {kLarge}}, {8, {kLarge}}})
            .status(),
        StatusIs(absl::StatusCode::kAborted,
                 "step 8, after 2 skipped in a row (fault.most_skips): loss="));
  }
}

// A fault on one rank that is gone the second time: the run is the unbroken
// one, bit for bit, and the rank is named.
TEST(Spikes, ARerunTellsAFaultOfTheMachine) {
  for (const Layout& layout : kLayouts) {
    SCOPED_TRACE(layout.ToString());
    const EngineConfig config = ConfigOf(OnSpike::kRerun);
    const AllSeen want = test::Value(TrainOn(layout, config, {}));
    for (int bad = 0; bad < layout.ranks(); ++bad) {
      for (float factor : {kNaN, kLarge}) {
        const AllSeen got = test::Value(TrainOn(
            layout, config,
            {{6, {kNaN, bad, true}}, {8, {factor, layout.ranks() - 1, true}}}));
        for (const auto& [rank, seen] : got) {
          EXPECT_EQ(seen.weights, want.at(rank).weights);
          EXPECT_EQ(SkippedIn(seen), "");
          const StepResult& again = seen.results[5];
          EXPECT_TRUE(again.transient_fault);
          EXPECT_EQ(again.loss, want.at(rank).results[5].loss);
          EXPECT_THAT(again.why, testing::HasSubstr("is not finite, and other "
                                                    "bits when it was computed "
                                                    "again"));
          EXPECT_EQ(again.why, got.at(0).results[5].why);
          EXPECT_TRUE(seen.results[7].transient_fault);
          if (layout.tensor * layout.pipeline == 1) {
            EXPECT_THAT(again.why,
                        testing::HasSubstr(absl::StrCat("rank ", bad, " (")));
          }
          if (layout.data == 2 && layout.pipeline == 1) {
            EXPECT_THAT(again.why, testing::Not(testing::HasSubstr(
                                       absl::StrCat("rank ", 1 - bad, " ("))));
            EXPECT_THAT(again.why, testing::HasSubstr("the loss of its"));
          }
        }
      }
    }
  }
}

TEST(Spikes, ARerunWithTheSameBitsIsSkipped) {
  for (const Layout& layout : kLayouts) {
    const AllSeen all = test::Value(TrainOn(layout, ConfigOf(OnSpike::kRerun),
                                            {{6, {kLarge}}, {8, {kNaN}}}));
    for (const auto& [rank, seen] : all) {
      EXPECT_EQ(SkippedIn(seen), "6:loss_spike 8:loss_not_finite ");
      for (int at : {5, 7}) {
        EXPECT_FALSE(seen.results[at].transient_fault);
        EXPECT_THAT(seen.results[at].why,
                    testing::HasSubstr("the same bits when it was computed "
                                       "again"));
      }
    }
  }
}

// Steps on their way when one is computed again come again themselves, with
// what ranks asked for.
TEST(Spikes, StepsSubmittedEarlierComeAgain) {
  const Layout layout{2, 1, 1};
  const EngineConfig config = ConfigOf(OnSpike::kRerun);
  for (const bool transient : {true, false}) {
    const AllSeen want =
        test::Value(TrainOn(layout, config, {{6, {kLarge, 1, transient}}}, 8));
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, layout, config, [&](Engine& engine) -> absl::Status {
                Seen seen;
                EISBACH_RETURN_IF_ERROR(Train(engine, 5, {}, seen));
                auto plant = world.rank() == 1
                                 ? std::make_unique<Plant>(engine, kLarge)
                                 : nullptr;
                if (world.rank() == 0) engine.Ask(Request::kSave);
                EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
                if (transient) plant = nullptr;
                if (world.rank() == 1) engine.Ask(Request::kStop);
                EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
                EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
                EISBACH_ASSIGN_OR_RETURN(const StepResult sixth,
                                         engine.Collect());
                EXPECT_EQ(sixth.transient_fault, transient);
                EXPECT_EQ(sixth.skipped, !transient);
                EXPECT_TRUE(sixth.asked_to_save);
                EXPECT_FALSE(sixth.asked_to_stop);
                EXPECT_EQ(engine.submitted(), 2);
                if (!transient) return absl::OkStatus();  // all three are bad
                for (int step : {7, 8}) {
                  EISBACH_ASSIGN_OR_RETURN(const StepResult next,
                                           engine.Collect());
                  EXPECT_EQ(next.step, step);
                  EXPECT_EQ(next.asked_to_stop, step == 7);
                  EXPECT_FALSE(next.asked_to_save);
                  EXPECT_EQ(next.loss,
                            want.at(world.rank()).results[step - 1].loss);
                }
                EXPECT_EQ(MastersIn(engine), want.at(world.rank()).weights);
                return absl::OkStatus();
              });
        }));
  }
}

// Step 8 is a spike for those who remember the steps before the checkpoint.
TEST(Spikes, AResumedRunSkipsWhatTheUnbrokenOneSkips) {
  const Faults faults = {{6, {kLarge}}, {8, {kLarge}}};
  for (const Layout& layout : {Layout{1, 1, 1}, Layout{2, 1, 2}}) {
    const EngineConfig config = ConfigOf(OnSpike::kSkip);
    const AllSeen want = test::Value(TrainOn(layout, config, faults));
    const test::TempFolder temp;
    std::string path;
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, layout, config, [&](Engine& engine) -> absl::Status {
                Seen seen;
                EISBACH_RETURN_IF_ERROR(Train(engine, 6, faults, seen));
                EISBACH_RETURN_IF_ERROR(engine.saves().Begin({temp.path()}));
                const auto outcome = engine.saves().Finish();
                if (world.rank() == 0) path = outcome->path;
                return outcome->status;
              });
        }));
    EISBACH_EXPECT_OK(comm::RunLocalRanks(
        layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
          return test::WithEngine(
              world, layout, config, [&](Engine& engine) -> absl::Status {
                Update& update = engine.update();
                EISBACH_ASSIGN_OR_RETURN(
                    const checkpoint::LoadResult loaded,
                    checkpoint::Load(path, "{}", update.buffer(),
                                     update.optimizer(), engine.context()));
                EXPECT_EQ(loaded.history->skipped, 1);
                EISBACH_RETURN_IF_ERROR(update.Resume(
                    loaded.step, loaded.loss_scale, loaded.history));
                Seen seen;
                EISBACH_RETURN_IF_ERROR(Train(engine, kSteps, faults, seen));
                EXPECT_EQ(SkippedIn(seen), "8:loss_spike ");
                EXPECT_EQ(seen.weights, want.at(world.rank()).weights);
                return absl::OkStatus();
              });
        }));
  }
}

// In f16 a loss that is NaN is skipped, and overflow stays with the scale.
TEST(Spikes, InFloat16) {
  EngineConfig config = ConfigOf(OnSpike::kSkip, 0);
  config.update.compute_dtype = DType::kF16;
  config.update.initial_loss_scale = 16777216;
  const AllSeen all = test::Value(TrainOn({2, 1, 1}, config, {{5, {kNaN}}}));
  const Seen& seen = all.at(0);
  EXPECT_THAT(SkippedIn(seen), testing::StartsWith("1:gradient_overflow "));
  EXPECT_THAT(SkippedIn(seen), testing::EndsWith(" 5:loss_not_finite "));
  EXPECT_EQ(seen.results[4].loss_scale, seen.results[5].loss_scale);
  EXPECT_EQ(seen.results[0].why,
            "gradient overflow at loss scale 16777216, halved");
}

}  // namespace
}  // namespace eisbach::train::spikes_test
