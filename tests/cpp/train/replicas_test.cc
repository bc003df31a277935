// A bit that is not what it is on the other replicas is found, and whose it is.
#include "train/replicas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "support/status_testing.h"
#include "support/toy.h"
#include "train/engine.h"

namespace eisbach::train::replicas_test {
namespace {

using test::Layout;
using test::StatusIs;

constexpr auto kAborted = absl::StatusCode::kAborted;

EngineConfig ConfigOf(DType compute = DType::kF32) {
  EngineConfig config = test::ToyConfig("llama");
  config.model.layers = 2;
  config.update.compute_dtype = compute;
  config.hash_every = 2;
  return config;
}

void OnRanks(const Layout& layout, const EngineConfig& config,
             const std::function<absl::Status(Engine&, int rank)>& body) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(world, layout, config, [&](Engine& engine) {
          return body(engine, world.rank());
        });
      }));
}

Parameter* Find(Engine& engine, const std::string& name) {
  for (Parameter* parameter : engine.update().parameters()) {
    if (parameter->spec().name == name) return parameter;
  }
  return nullptr;
}

// One that no rounding of the next step takes back.
void FlipBit(const Tensor& tensor, int64_t element) {
  uint8_t* bytes = static_cast<uint8_t*>(tensor.raw());
  bytes[(element + 1) * static_cast<int64_t>(SizeOf(tensor.dtype())) - 2] ^= 4;
}

TEST(Replicas, AreEqualOnEveryLayout) {
  for (DType compute : {DType::kF32, DType::kBF16}) {
    for (const Layout& layout :
         {Layout{1, 1, 1}, Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2},
          Layout{3, 1, 1}, Layout{2, 2, 2}}) {
      OnRanks(layout, ConfigOf(compute),
              [&](Engine& engine, int) -> absl::Status {
                for (int step = 1; step <= 4; ++step) {
                  EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                  const bool compares = layout.data * layout.tensor > 1;
                  EXPECT_EQ(engine.replicas()->equal_at(),
                            compares ? step / 2 * 2 : 0);
                }
                EXPECT_FALSE(engine.replicas()->differ());
                return absl::OkStatus();
              });
    }
  }
}

struct Flip {
  Layout layout;
  int rank;
  const char* parameter;
  std::vector<std::string> said;
};

TEST(Replicas, TheRankWhoseBitsDifferIsNamed) {
  const Flip flips[] = {
      {{3, 1, 1},
       1,
       "blocks.1.mlp.down.weight",
       {"step 4: rank 1 (", "holds other bits than its replicas on ranks 0 (",
        ", 2 (",
        "first in blocks.1.mlp.down.weight; all were equal after "
        "step 2"}},
      {{3, 1, 1},
       0,
       "blocks.0.attention.output.weight",
       {"step 4: rank 0 (", "on ranks 1 ("}},
      {{2, 1, 1},
       1,
       "blocks.1.mlp.down.weight",
       {"step 4: ranks 0 (", ", 1 (", "without a majority"}},
      // Ranks 2 and 3 are of the second data index; 1 and 3 a tensor shard.
      {{2, 2, 1},
       3,
       "blocks.1.mlp.down.weight",
       {"step 4: ranks 1 (", ", 3 (", "first in blocks.1.mlp.down.weight"}},
      {{1, 3, 1},
       2,
       "blocks.0.norm1.weight",
       {"step 4: rank 2 (", "first in blocks.0.norm1.weight"}},
      {{3, 1, 2},
       4,
       "blocks.1.mlp.down.weight",
       {"step 4: rank 4 (", "on ranks 3 (", ", 5 ("}}};
  for (const Flip& flip : flips) {
    SCOPED_TRACE(absl::StrCat(flip.layout.ToString(), " rank ", flip.rank));
    OnRanks(flip.layout, ConfigOf(),
            [&](Engine& engine, int rank) -> absl::Status {
              for (int step = 1; step <= 3; ++step) {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
              }
              if (rank == flip.rank) {
                Parameter* parameter = Find(engine, flip.parameter);
                EXPECT_NE(parameter, nullptr);
                if (parameter != nullptr) FlipBit(parameter->master(), 5);
              }
              const absl::Status status = test::ToyStep(engine).status();
              for (const std::string& said : flip.said) {
                EXPECT_THAT(status, StatusIs(kAborted, said));
              }
              EXPECT_THAT(status, StatusIs(kAborted, "(fault.hash_every)"));
              EXPECT_TRUE(engine.replicas()->differ());
              EXPECT_EQ(engine.replicas()->equal_at(), 2);
              return absl::OkStatus();
            });
  }
}

// Each of what a rank keeps of a parameter. The step after the flip would
// write the rounded weights anew, so that one comes after it.
TEST(Replicas, OptimizerStateAndRoundedWeightsAreComparedToo) {
  OnRanks({3, 1, 1}, ConfigOf(), [&](Engine& engine, int rank) -> absl::Status {
    EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
    if (rank == 2) {
      for (const auto& state : engine.update().optimizer().StateTensors()) {
        if (state.name == "v") FlipBit(state.tensor, 0);
      }
    }
    const absl::Status status = test::ToyStep(engine).status();
    EXPECT_THAT(status, StatusIs(kAborted, "rank 2 ("));
    return absl::OkStatus();
  });
  OnRanks({3, 1, 1}, ConfigOf(DType::kBF16),
          [&](Engine& engine, int rank) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
            EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
            EISBACH_RETURN_IF_ERROR(engine.Collect().status());
            Parameter* parameter = Find(engine, "blocks.0.mlp.down.weight");
            if (rank == 2) FlipBit(parameter->data(), 3);
            EISBACH_ASSIGN_OR_RETURN(
                auto replicas,
                Replicas::Make(engine.update().parameters(),
                               engine.update().buffer(),
                               engine.update().optimizer(), engine.context()));
            EISBACH_RETURN_IF_ERROR(replicas->Begin(2));
            EXPECT_TRUE(replicas->begun(2));
            EXPECT_FALSE(replicas->begun(1));
            EXPECT_THAT(replicas->End(),
                        StatusIs(kAborted,
                                 "first in blocks.0.mlp.down.weight in bf16"));
            return absl::OkStatus();
          });
}

// Else the run would end before they are compared the next time, and go on from
// a checkpoint in which they may be wrong.
TEST(Replicas, AreComparedWhereABadStepEndsTheRun) {
  for (const optim::OnSpike on_spike :
       {optim::OnSpike::kStop, optim::OnSpike::kSkip}) {
    EngineConfig config = ConfigOf();
    config.hash_every = 100;
    config.spikes = {.on_spike = on_spike, .most_skips = 1};
    for (const auto& one :
         {std::pair(3, true), std::pair(3, false), std::pair(1, false)}) {
      const bool wrong = one.second;
      OnRanks({one.first, 1, 1}, config,
              [&](Engine& engine, int rank) -> absl::Status {
                EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
                Parameter* parameter = Find(engine, "blocks.0.mlp.down.weight");
                EXPECT_NE(parameter, nullptr);
                if (rank == 1 || !wrong)
                  parameter->master().data<float>()[5] = NAN;
                absl::Status status = test::ToyStep(engine).status();
                if (on_spike == optim::OnSpike::kSkip) {
                  EISBACH_RETURN_IF_ERROR(status);
                  status = test::ToyStep(engine).status();
                }
                EXPECT_EQ(engine.replicas()->differ(), wrong);
                // Where all have it the first tensor that shows it is named.
                EXPECT_THAT(
                    status,
                    wrong ? StatusIs(kAborted, ": rank 1 (")
                          : StatusIs(absl::StatusCode::kDataLoss,
                                     "the parameter blocks.0.mlp.down.weight"));
                EXPECT_TRUE(engine.failed_alike());
                return absl::OkStatus();
              });
    }
  }
}

TEST(Replicas, TakeNoMemoryInSteps) {
  EngineConfig config = ConfigOf();
  config.hash_every = 1;
  OnRanks({2, 2, 1}, config, [&](Engine& engine, int) -> absl::Status {
    int64_t after_second = 0;
    for (int step = 1; step <= 5; ++step) {
      EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
      const int64_t taken =
          engine.context().device().memory().system_allocations;
      if (step == 2) after_second = taken;
      if (step > 2) {
        EXPECT_EQ(taken, after_second);
      }
    }
    return absl::OkStatus();
  });
}

TEST(Replicas, ErrorsNameTheKey) {
  EngineConfig config = ConfigOf();
  config.hash_every = -1;
  EXPECT_THAT(test::Train({}, config, 1).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "hash_every=-1 is below 0 (fault.hash_every)"));
}

}  // namespace
}  // namespace eisbach::train::replicas_test
