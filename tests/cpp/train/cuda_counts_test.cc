// What a training step asks of a GPU, counted on the emulated one: device
// calls a transformer layer, launches of the optimizer, waits of the host. Each
// case is a test of its own, whose name begins with the ranks that it needs.
#include <cstdio>
#include <optional>

#include "support/cuda/host_access.h"
#include "support/cuda/streams.h"
#include "support/gpu_toy.h"
#include "support/mpi_world.h"
#include "train/engine.h"

namespace eisbach::train::cuda_counts_test {
namespace {

using doubles::Counters;
using test::Layout;
constexpr auto Config = &test::GpuToyConfig;

struct Counts {
  int64_t calls = 0;   // kernels, and executes of cuBLASLt
  int64_t copies = 0;  // and memsets
  int64_t collectives = 0;
  int64_t graph_launches = 0;
  int64_t synchronisations = 0;
  int64_t allocations = 0;
  int64_t requests = 0;  // for memory, of which the allocator may have some

  int64_t host_calls() const {
    return calls + copies + collectives + graph_launches;
  }
};

Counts Difference(const Counters& after, const Counters& before) {
  return {.calls = after.launches + after.library_calls - before.launches -
                   before.library_calls,
          .copies = after.copies - before.copies,
          .collectives = after.collectives - before.collectives,
          .graph_launches = after.graph_launches - before.graph_launches,
          .synchronisations =
              after.host_synchronisations - before.host_synchronisations,
          .allocations = after.allocations - before.allocations};
}

constexpr int kSteps = 10;
constexpr int kFirst = 3;  // that takes no memory any more
// Where who is late is looked for: links were measured before it.
constexpr int kFirstWatched = 6;

// Of one step: what is done before it is on its way, and until the result of
// the one before is there.
struct CountedStep {
  Counts submit;
  Counts collect;
};

// Of every step, the first at [1]. Each is given to the device while the result
// of the one before waits; in kFirst, which gives it everything also where
// later ones are replayed, one rank's host keeps off its memory.
// With `watches` who is late is looked for, and told after every step.
std::vector<CountedStep> CountSteps(const Layout& layout, EngineConfig config,
                                    bool replays, int steps = kSteps,
                                    bool watches = false) {
  config.replays_steps = replays;
  std::vector<CountedStep> counted(steps + 1);
  const auto body = [&](Engine& engine) -> absl::Status {
    Device& device = engine.context().device();
    const auto count = [&](const std::function<absl::Status()>& what,
                           Counts& counts) -> absl::Status {
      const Counters before = doubles::counters();
      const int64_t requests = device.memory().allocations;
      EISBACH_RETURN_IF_ERROR(what());
      counts = Difference(doubles::counters(), before);
      counts.requests = device.memory().allocations - requests;
      return absl::OkStatus();
    };
    if (watches) EISBACH_RETURN_IF_ERROR(engine.WatchStragglers(5));
    // Before any step: making them takes memory, and waits.
    EISBACH_ASSIGN_OR_RETURN(const std::vector<StepInput> inputs,
                             test::ToyInputs(engine, steps));
    for (int step = 1; step <= steps; ++step) {
      std::optional<doubles::ClosedToHost> closed;
      if (step == kFirst && layout.ranks() == 1) closed.emplace();
      EISBACH_RETURN_IF_ERROR(count([&] { return engine.Submit(inputs[step]); },
                                    counted[step].submit));
      closed.reset();
      if (step == 1) continue;
      EISBACH_RETURN_IF_ERROR(count([&] { return engine.Collect().status(); },
                                    counted[step].collect));
    }
    return engine.Collect().status();
  };
  EISBACH_EXPECT_OK(test::WithEngine(TestWorld(), layout, config, body));
  return counted;
}

struct Case {
  const char* family;
  Layout layout = {};
  const char* schedule = "1f1b";
  bool replays = false;
  bool watches = false;

  std::string ToString() const {
    return absl::StrCat("ranks", layout.ranks(), "_", layout.ToString(), "_",
                        family, replays ? "_replayed" : "",
                        watches ? "_watched" : "");
  }
};

class CudaSteps : public testing::TestWithParam<Case> {};

TEST_P(CudaSteps, NeverWaitAndAllocateNothing) {
  const Case& c = GetParam();
  EngineConfig config = Config(c.family, 2, 2);
  config.update.bucket_bytes = 1 << 15;  // several
  config.micro_batch = 1;
  config.global_batch = 2 * c.layout.data;
  config.pipeline_schedule = c.schedule;
  const std::vector<CountedStep> counted =
      CountSteps(c.layout, config, c.replays, kSteps, c.watches);
  const int from = c.watches ? kFirstWatched : kFirst;
  // The first replay is that of the step that is captured.
  const int same_from = c.replays ? from + 1 : from;
  for (int step = from; step <= kSteps; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    const auto& [submit, collect] = counted[step];
    EXPECT_EQ(submit.synchronisations, 0);
    EXPECT_EQ(submit.allocations, 0);
    EXPECT_EQ(submit.graph_launches, c.replays ? 1 : 0);
    if (step >= same_from) {
      const Counts& first = counted[same_from].submit;
      EXPECT_EQ(submit.calls, first.calls);
      EXPECT_EQ(submit.copies, first.copies);
      EXPECT_EQ(submit.collectives, first.collectives);
      EXPECT_EQ(submit.requests, first.requests);
    }
    EXPECT_LE(collect.synchronisations, 1);  // for the result
    EXPECT_EQ(collect.allocations, 0);
    EXPECT_EQ(collect.requests, 0);
    EXPECT_EQ(collect.host_calls(), 0);
  }
  const Counts& last = counted[kSteps].submit;
  if (!c.replays) {
    EXPECT_GT(last.calls, 0);
    EXPECT_EQ(last.collectives > 0, c.layout.ranks() > 1);
    return;
  }
  // One launch, and a few copies: three of what changes from step to step,
  // three of the input, one of the result.
  EXPECT_EQ(last.requests, 0);
  if (!c.watches) {
    EXPECT_EQ(last.host_calls(), 8);
    EXPECT_EQ(last.copies, 7);
    return;
  }
  // What the clock has, an all-gather of it between two laps, and a copy.
  EXPECT_EQ(last.calls, 3);
  EXPECT_EQ(last.collectives, 1);
  EXPECT_EQ(last.copies, 8);
}

std::vector<Case> Cases() {
  std::vector<Case> cases = {
      {"gpt", {1, 1, 1}},   {"llama", {1, 1, 1}},        {"gpt", {2, 1, 1}},
      {"llama", {1, 2, 1}}, {"gpt", {1, 1, 2}, "gpipe"}, {"gpt", {2, 2, 1}},
      {"llama", {2, 1, 2}}, {"gpt", {1, 2, 2}, "gpipe"},
  };
  for (size_t i = cases.size(); i-- > 0;) {
    cases.push_back(cases[i]);
    cases.back().replays = true;
  }
  for (const Layout& layout :
       {Layout{2, 1, 1}, Layout{1, 1, 2}, Layout{2, 2, 1}}) {
    for (const bool replays : {false, true}) {
      cases.push_back({"gpt", layout, "1f1b", replays, /*watches=*/true});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, CudaSteps, testing::ValuesIn(Cases()),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

// What the counts of one rank say of the model's size.
class CudaCounts : public testing::TestWithParam<std::string> {};

// The first that is replayed, or is like all later ones.
Counts CountAStep(const EngineConfig& config, bool replays) {
  constexpr int kStep = kFirst + 1;
  return CountSteps({}, config, replays, kStep)[kStep].submit;
}

// Own attention is several kernels where cuDNN's is one execute each way: the
// surplus is taken off, and printed.
TEST_P(CudaCounts, ALayerTakesFewDeviceCalls) {
  constexpr int64_t kOwnAttentionSurplus = 2;
  const Counts two = CountAStep(Config(GetParam(), 2, 1), false);
  const Counts three = CountAStep(Config(GetParam(), 3, 1), false);
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

// Without graphs the calls grow with the model; with graphs they are one launch
// and seven copies, whatever the model.
TEST_P(CudaCounts, AReplayedStepTakesEightHostCalls) {
  for (const int64_t layers : {2, 3}) {
    const EngineConfig config = Config(GetParam(), layers, 2);
    const Counts replayed = CountAStep(config, true);
    const Counts called = CountAStep(config, false);
    std::printf(
        "%s, bf16, %lld layers: host calls a step with graphs: %lld, "
        "without: %lld\n",
        GetParam().c_str(), static_cast<long long>(layers),
        static_cast<long long>(replayed.host_calls()),
        static_cast<long long>(called.host_calls()));
    EXPECT_EQ(replayed.graph_launches, 1);
    EXPECT_EQ(replayed.host_calls(), 8);
    EXPECT_EQ(called.graph_launches, 0);
  }
}

// A bucket's update does not depend on how many layers it holds.
TEST_P(CudaCounts, TheOptimizerTakesFewLaunchesABucket) {
  EISBACH_EXPECT_OK(test::WithEngine(
      TestWorld(), {}, Config(GetParam(), 3, 1),
      [&](Engine& engine) -> absl::Status {
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

INSTANTIATE_TEST_SUITE_P(ranks1, CudaCounts, testing::Values("gpt", "llama"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace eisbach::train::cuda_counts_test
