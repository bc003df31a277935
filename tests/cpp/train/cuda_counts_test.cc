// What a training step asks of a GPU, counted on the emulated one: device
// calls a transformer layer, launches of the optimizer, waits of the host.
#include <cstdio>

#include "comm/world.h"
#include "support/cuda/streams.h"
#include "support/gpu_toy.h"
#include "train/engine.h"

namespace eisbach::train {
namespace {

using doubles::Counters;
constexpr auto Config = &test::GpuToyConfig;

struct Counts {
  int64_t calls;   // kernels, and executes of cuBLASLt
  int64_t copies;  // and memsets
  int64_t synchronisations;
  int64_t allocations;
  int64_t collectives;
  int64_t graph_launches;

  int64_t host_calls() const {
    return calls + copies + collectives + graph_launches;
  }
};

Counts Difference(const Counters& after, const Counters& before) {
  return {after.launches + after.library_calls - before.launches -
              before.library_calls,
          after.copies - before.copies,
          after.host_synchronisations - before.host_synchronisations,
          after.allocations - before.allocations,
          after.collectives - before.collectives,
          after.graph_launches - before.graph_launches};
}

// Of the seventh step, given to the device call by call while the sixth's
// result waits, or replayed. By then memory that steps take in turns comes
// round.
Counts CountStep(EngineConfig config, bool replays = false) {
  config.replays_steps = replays;
  Counts counts{};
  auto world = test::Value(comm::InitWorld(DeviceType::kCuda));
  EISBACH_EXPECT_OK(
      test::WithEngine(*world, {}, config, [&](Engine& engine) -> absl::Status {
        for (int step = 1; step <= 5; ++step) {
          EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        }
        EISBACH_RETURN_IF_ERROR(test::ToySubmit(engine));
        EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                 test::ToyInput(engine.config(), 7, 0, 1,
                                                engine.context().device()));
        const Counters before = doubles::counters();
        EISBACH_RETURN_IF_ERROR(engine.Submit(input));
        counts = Difference(doubles::counters(), before);
        EISBACH_RETURN_IF_ERROR(engine.Collect().status());
        return engine.Collect().status();
      }));
  return counts;
}

class CudaCounts : public testing::TestWithParam<std::string> {};

// Own attention is several kernels where cuDNN's is one execute each way: the
// surplus is taken off, and printed.
TEST_P(CudaCounts, ALayerTakesFewDeviceCalls) {
  constexpr int64_t kOwnAttentionSurplus = 2;
  const Counts two = CountStep(Config(GetParam(), 2, 1));
  const Counts three = CountStep(Config(GetParam(), 3, 1));
  const int64_t calls = three.calls - two.calls;
  std::printf(
      "%s, bf16, tensor=1: %lld device calls a layer, forward and "
      "backward (%lld with own attention), %lld copies\n",
      GetParam().c_str(), static_cast<long long>(calls - kOwnAttentionSurplus),
      static_cast<long long>(calls),
      static_cast<long long>(three.copies - two.copies));
  EXPECT_LE(calls - kOwnAttentionSurplus, 30);
  EXPECT_EQ(three.copies - two.copies, 0);
}

TEST_P(CudaCounts, AStepNeverWaitsAndAllocatesNothing) {
  const Counts counts = CountStep(Config(GetParam(), 2, 2));
  EXPECT_EQ(counts.synchronisations, 0);
  EXPECT_EQ(counts.allocations, 0);
}

// Without graphs the calls grow with the model; with graphs they are one launch
// and seven copies, whatever the model.
TEST_P(CudaCounts, AReplayedStepTakesEightHostCalls) {
  for (const int64_t layers : {2, 3}) {
    const EngineConfig config = Config(GetParam(), layers, 2);
    const Counts replayed = CountStep(config, /*replays=*/true);
    const Counts called = CountStep(config);
    std::printf(
        "%s, bf16, %lld layers: host calls a step with graphs: %lld, "
        "without: %lld\n",
        GetParam().c_str(), static_cast<long long>(layers),
        static_cast<long long>(replayed.host_calls()),
        static_cast<long long>(called.host_calls()));
    EXPECT_EQ(replayed.graph_launches, 1);
    EXPECT_EQ(replayed.host_calls(), 8);
    EXPECT_EQ(replayed.synchronisations, 0);
    EXPECT_EQ(replayed.allocations, 0);
    EXPECT_EQ(called.graph_launches, 0);
  }
}

// A bucket's update does not depend on how many layers it holds.
TEST(CudaOptimizerCounts, TheOptimizerTakesFewLaunchesABucket) {
  auto world = test::Value(comm::InitWorld(DeviceType::kCuda));
  EISBACH_EXPECT_OK(test::WithEngine(
      *world, {}, Config("gpt", 3, 1), [&](Engine& engine) -> absl::Status {
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        const Counters before = doubles::counters();
        EISBACH_RETURN_IF_ERROR(engine.update().optimizer().Step(
            engine.update().state(),
            engine.context().device().compute_stream()));
        const Counts counts = Difference(doubles::counters(), before);
        const auto buckets =
            static_cast<int64_t>(engine.update().buffer().buckets().size());
        std::printf("AdamW: %lld launches for %lld bucket(s)\n",
                    static_cast<long long>(counts.calls),
                    static_cast<long long>(buckets));
        EXPECT_LE(counts.calls, 3 * buckets);
        return absl::OkStatus();
      }));
}

INSTANTIATE_TEST_SUITE_P(Families, CudaCounts, testing::Values("gpt", "llama"));

}  // namespace
}  // namespace eisbach::train
