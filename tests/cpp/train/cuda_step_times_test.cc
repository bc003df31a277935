// A GPU that is slow in a part of its steps is named, whether steps are given
// to it call by call or replayed, and read at once or a step late. Each case is
// a test of its own, whose name begins with the ranks that it needs.
#include <algorithm>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "device/cuda/cuda_stream.h"
#include "support/cuda/streams.h"
#include "support/gpu_toy.h"
#include "support/mpi_world.h"
#include "support/status_testing.h"
#include "train/engine.h"

namespace eisbach::train::cuda_step_times_test {
namespace {

using test::Layout;

constexpr int kSteps = 10;  // that a rank must be slow for
// The first step that is watched, when one has been captured and is under way.
constexpr int kWatched = StepReplay::kRunsBeforeCapture + 2;
// Much longer than a step takes, also on a busy machine.
constexpr int kMuch = 150;
constexpr int kNever = 1 << 30;

// Has a stream sleep where the recorder says so. The sleep is captured with a
// step; whether there is one is asked when the stream comes to it.
class Slowness : public Recorder {
 public:
  explicit Slowness(Device& device) : device_(device) {
    device.set_recorder(this);
  }
  ~Slowness() override { device_.set_recorder(nullptr); }

  bool now = false;

  void OnOp(absl::string_view, const OpCost&, const Stream&) override {}
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}

 protected:
  void Sleep(const Stream& stream) {
    // Other streams have time to come to where they wait for it: one thread
    // does what all streams do.
    const auto make = [this] {
      return [this, tries = 0]() mutable {
        if (now && ++tries < 40) {
          doubles::WaitsForPeer();
          return false;
        }
        if (now) absl::SleepFor(absl::Milliseconds(kMuch));
        return true;
      };
    };
    EXPECT_EQ(doubles::EnqueueMade(cuda::Handle(stream), make), cudaSuccess);
  }

 private:
  Device& device_;
};

// The GPU is slow in the first op of an action, or in the optimizer.
class SlowPart final : public Slowness {
 public:
  SlowPart(Device& device, StepPart part) : Slowness(device), part_(part) {}

  void OnAction(const ActionMark& action) override { action_ = action; }
  void OnOp(absl::string_view name, const OpCost&,
            const Stream& stream) override {
    const char letter = std::exchange(action_.letter, 0);
    const bool here =
        part_ == StepPart::kOptimizer
            ? absl::StrContains(name, "adamw")
            : letter == (part_ == StepPart::kForward ? 'F' : 'B') &&
                  action_.micro_batch == 0;
    if (here) Sleep(stream);
  }

 private:
  const StepPart part_;
  ActionMark action_;
};

// What is behind compute is slow on all ranks, or what is sent from rank to
// rank while links are measured: nobody is late.
class SlowLinks final : public Slowness {
 public:
  explicit SlowLinks(Device& device, bool links)
      : Slowness(device), compute_(device.compute_stream()), links_(links) {}
  void OnCollective(absl::string_view name, absl::string_view,
                    const CollectiveCost&, const Stream& stream) override {
    if (&stream != &compute_ || (links_ && name == "exchange")) Sleep(stream);
  }

 private:
  const Stream& compute_;
  const bool links_;
};

struct Case {
  Layout layout;
  bool replays;
  int lag;  // steps that are given to the device before one is collected
  int slow = -1;
  StepPart part = StepPart::kHost;
  bool by_peers = true;
  bool slow_link = false;

  std::string ToString() const {
    return absl::StrCat("ranks", layout.ranks(), "_", layout.ToString(),
                        replays ? "_replayed" : "", lag > 0 ? "_late" : "",
                        slow_link ? "_slow_link" : "",
                        slow < 0 ? "" : absl::StrCat("_slow", slow));
  }
};

struct Seen {
  std::vector<std::string> news;
  std::vector<watch::Straggler> worst;  // after each step in which there is one
  std::vector<double> curve;            // loss and norm of each step
};

class CudaStepTimes : public testing::TestWithParam<Case> {
 protected:
  // `slowness` from step `from` until before step `until`; null: none ever.
  using MakeSlowness = std::function<std::unique_ptr<Slowness>(Device&)>;
  static absl::StatusOr<Seen> Train(bool watches, int steps,
                                    const MakeSlowness& make = nullptr,
                                    int from = kNever, int until = kNever) {
    const Case& c = GetParam();
    Seen seen;
    EngineConfig config = test::GpuToyConfig("gpt", 2, 2);
    config.micro_batch = 1;
    config.global_batch = 2 * c.layout.data;
    config.replays_steps = c.replays;
    Device& device = TestWorld().device();
    const std::unique_ptr<Slowness> slowness =
        make == nullptr ? nullptr : make(device);
    const auto body = [&](Engine& engine) -> absl::Status {
      EISBACH_ASSIGN_OR_RETURN(const std::vector<StepInput> inputs,
                               test::ToyInputs(engine, steps));
      for (int step = 1; step <= steps + c.lag; ++step) {
        if (watches && step == kWatched) {
          EISBACH_RETURN_IF_ERROR(engine.WatchStragglers(kSteps));
        }
        // What is under way on the double's streams has it, too.
        if (slowness != nullptr) slowness->now = step >= from && step < until;
        if (step <= steps) {
          EISBACH_RETURN_IF_ERROR(engine.Submit(inputs[step]));
        }
        if (step <= c.lag) continue;
        EISBACH_ASSIGN_OR_RETURN(StepResult result, engine.Collect());
        seen.curve.push_back(result.loss);
        seen.curve.push_back(result.grad_norm);
        if (!result.stragglers.empty()) {
          seen.worst.push_back(result.stragglers[0]);
        }
        for (std::string& line : result.straggler_news) {
          seen.news.push_back(std::move(line));
        }
      }
      return absl::OkStatus();
    };
    EISBACH_RETURN_IF_ERROR(
        test::WithEngine(TestWorld(), c.layout, config, body));
    return seen;
  }
};

class SlowGpu : public CudaStepTimes {};

TEST_P(SlowGpu, IsNamedWithThePartAndForgiven) {
  const Case& c = GetParam();
  const auto make = [&](Device& device) -> std::unique_ptr<Slowness> {
    if (TestWorld().rank() != c.slow) return nullptr;
    return std::make_unique<SlowPart>(device, c.part);
  };
  // Who works alone is measured by its earlier steps.
  const int from = kWatched + (c.by_peers ? 0 : 2 * kSteps);
  const int until = from + 2 * kSteps;
  const Seen seen =
      test::Value(Train(true, until + 2 * kSteps, make, from, until));
  if (TestWorld().rank() != 0) {
    EXPECT_TRUE(seen.worst.empty());
    EXPECT_TRUE(seen.news.empty());
    return;
  }
  const auto named = std::find_if(
      seen.worst.begin(), seen.worst.end(), [&](const watch::Straggler& one) {
        return one.rank == c.slow && one.part == c.part;
      });
  ASSERT_NE(named, seen.worst.end())
      << (seen.news.empty() ? "no news" : seen.news[0]);
  EXPECT_EQ(named->by_peers, c.by_peers);
  EXPECT_GE(named->excess, 0.5 * kMuch / 1000);
  const auto told = [&](absl::string_view what) {
    return std::any_of(
        seen.news.begin(), seen.news.end(), [&](const std::string& line) {
          return absl::StartsWith(line, absl::StrCat("rank ", c.slow, " (")) &&
                 absl::StrContains(line, what);
        });
  };
  EXPECT_TRUE(told(") is slow since step "));
  EXPECT_TRUE(told(") is no longer slow since step "));
}

std::vector<Case> SlowCases() {
  std::vector<Case> cases;
  for (const bool replays : {false, true}) {
    for (const Case& c :
         {Case{{2, 1, 1}, replays, 1, 1, StepPart::kBackward},
          Case{{1, 2, 1}, replays, 0, 0, StepPart::kForward},
          Case{{1, 1, 2}, replays, 1, 1, StepPart::kOptimizer, false},
          Case{{2, 1, 2}, replays, 1, 2, StepPart::kForward}}) {
      cases.push_back(c);
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, SlowGpu, testing::ValuesIn(SlowCases()),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

// All wait, and each for its own. Which link is slow is known where one is: an
// emulated GPU's are the host's memory, and tests share the cores.
class SlowNetwork : public CudaStepTimes {};

TEST_P(SlowNetwork, IsNamedByTheLinkThatIsSlow) {
  const bool slow_link = GetParam().slow_link;
  const auto make = [&](Device& device) {
    return std::make_unique<SlowLinks>(device, slow_link);
  };
  constexpr int kFrom = kWatched + 2 * kSteps;
  const Seen seen =
      test::Value(Train(true, kFrom + 2 * kSteps, make, kFrom, kNever));
  EXPECT_TRUE(seen.worst.empty());
  if (TestWorld().rank() != 0) return;
  const auto told = [&](const std::string& line) {
    return slow_link ? absl::StartsWith(line, "the link between rank 0 (") &&
                           absl::StrContains(line, "is slow since step ") &&
                           absl::StrContains(line, "; ranks wait 0.")
                     : absl::StrContains(line, "ranks wait 0.");
  };
  EXPECT_TRUE(std::any_of(seen.news.begin(), seen.news.end(), told))
      << (seen.news.empty() ? "no news" : seen.news[0]);
}

std::vector<Case> NetworkCases() {
  Case direct{{2, 1, 1}, /*replays=*/false, /*lag=*/1};
  Case stages{{1, 1, 2}, /*replays=*/true, /*lag=*/0};
  direct.slow_link = stages.slow_link = true;
  return {direct, {{2, 1, 1}, /*replays=*/true, /*lag=*/1}, stages};
}

INSTANTIATE_TEST_SUITE_P(All, SlowNetwork, testing::ValuesIn(NetworkCases()),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

// To look changes no bit, and finds nobody where nobody is late. (That all wait
// longer than they did may be said, and is true: tests share the cores.)
class GoodGpus : public CudaStepTimes {};

TEST_P(GoodGpus, HaveTheSameBitsAndNoAlarm) {
  constexpr int kLast = 4 * kSteps;
  const Seen watched = test::Value(Train(true, kLast));
  const Seen want = test::Value(Train(false, kLast));
  EXPECT_EQ(want.curve.size(), 2 * kLast);
  EXPECT_EQ(watched.curve, want.curve);
  EXPECT_TRUE(watched.worst.empty());
  for (const std::string& line : watched.news) {
    EXPECT_FALSE(absl::StartsWith(line, "rank ")) << line;
  }
}

std::vector<Case> GoodCases() {
  std::vector<Case> cases;
  for (const bool replays : {false, true}) {
    for (const Layout& layout :
         {Layout{2, 1, 1}, Layout{1, 2, 1}, Layout{1, 1, 2}, Layout{2, 1, 2}}) {
      cases.push_back({layout, replays, 1});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, GoodGpus, testing::ValuesIn(GoodCases()),
                         [](const auto& info) {
                           return info.param.ToString();
                         });

}  // namespace
}  // namespace eisbach::train::cuda_step_times_test
