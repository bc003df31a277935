// Steps that an emulated GPU replays are those it is given call by call, bit
// for bit. Each case is a test of its own, whose name begins with the ranks
// that it needs.
#include "train/step_replay.h"

#include <cmath>
#include <limits>
#include <map>

#include "checkpoint/agree.h"
#include "checkpoint/folder.h"
#include "checkpoint/gather.h"
#include "checkpoint/read_weights.h"
#include "support/cuda/streams.h"
#include "support/gpu_toy.h"
#include "support/mpi_world.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"
#include "train/engine.h"

namespace eisbach::train::step_replay_test {
namespace {

using test::Layout;

constexpr int kSteps = 6;
constexpr int kReplays = kSteps - StepReplay::kRunsBeforeCapture;

struct Case {
  const char* family;
  Layout layout;
  const char* schedule = "1f1b";
  bool recompute = false;
  bool deferred_weights = false;
  bool documents = false;  // two in a row, elsewhere in each step
  bool pairs = false;      // of which the first is to be preferred

  std::string ToString() const {
    return absl::StrCat("ranks", layout.ranks(), "_", layout.ToString(), "_",
                        family, "_", schedule, recompute ? "_recompute" : "",
                        deferred_weights ? "_deferred" : "",
                        pairs       ? "_pairs"
                        : documents ? "_documents"
                                    : "");
  }
};

EngineConfig ConfigOf(const Case& c, bool replays) {
  EngineConfig config = test::GpuToyConfig(c.family, 2, 2);
  config.model.dropout = 0.1f;
  config.update.bucket_bytes = 1 << 15;  // several
  config.micro_batch = 1;
  config.pipeline_schedule = c.schedule;
  if (c.recompute) config.recompute = nn::Recompute::kBlock;
  config.deferred_weights = c.deferred_weights;
  config.replays_steps = replays;
  if (c.pairs) {
    config.model.adapter = {.rank = 2, .alpha = 4};
    config.preference = PreferenceConfig{.rule = {.beta = 0.5}};
  }
  return config;
}

class StepReplayTest : public testing::TestWithParam<Case> {
 protected:
  absl::Status With(bool replays, const test::EngineBody& body) {
    return test::WithEngine(TestWorld(), GetParam().layout,
                            ConfigOf(GetParam(), replays), body);
  }

  // Number, loss and norm of kSteps steps, and all weights after them.
  // `between` comes before each.
  struct Trained {
    std::vector<double> curve;
    std::vector<float> weights;
  };
  absl::StatusOr<Trained> Train(
      bool replays, int lag,
      const std::function<absl::Status(Engine&, int step)>& between) {
    Trained trained;
    EISBACH_RETURN_IF_ERROR(With(replays, [&](Engine& engine) -> absl::Status {
      std::vector<StepInput> inputs(kSteps);
      for (int i = 0; i < kSteps; ++i) {
        EISBACH_ASSIGN_OR_RETURN(inputs[i], test::ToyInput(engine, i + 1));
        if (!GetParam().documents) continue;
        EISBACH_RETURN_IF_ERROR(test::AddDocuments(i + 1, inputs[i]));
      }
      for (int step = 1; step <= kSteps + lag; ++step) {
        if (step <= kSteps) {
          EISBACH_RETURN_IF_ERROR(between(engine, step));
          EISBACH_RETURN_IF_ERROR(engine.Submit(inputs[step - 1]));
        }
        if (step <= lag) continue;
        EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Collect());
        trained.curve.push_back(static_cast<double>(result.step));
        trained.curve.push_back(result.loss);
        trained.curve.push_back(result.grad_norm);
      }
      Device& device = engine.context().device();
      for (const FlatBucket& bucket : engine.update().buffer().buckets()) {
        std::vector<float> values(bucket.master.elements());
        EISBACH_RETURN_IF_ERROR(
            device.CopyToHost(values.data(), bucket.master.raw(),
                              bucket.master.bytes(), device.compute_stream()));
        EISBACH_RETURN_IF_ERROR(device.compute_stream().Synchronize());
        trained.weights.insert(trained.weights.end(), values.begin(),
                               values.end());
      }
      return absl::OkStatus();
    }));
    return trained;
  }

  static void ExpectSame(const Trained& got, const Trained& want) {
    EXPECT_EQ(want.curve.size(), 3 * kSteps);
    EXPECT_NE(want.curve[1], want.curve[3 * kSteps - 2]);
    EXPECT_EQ(got.curve, want.curve);
    EXPECT_EQ(got.weights, want.weights);
  }
};

absl::Status Nothing(Engine&, int) { return absl::OkStatus(); }

TEST_P(StepReplayTest, SameBits) {
  const Trained want = test::Value(Train(false, 0, &Nothing));
  const int64_t before = doubles::counters().graph_launches;
  ExpectSame(test::Value(Train(true, 0, &Nothing)), want);
  EXPECT_EQ(doubles::counters().graph_launches, before + kReplays);
  ExpectSame(test::Value(Train(true, 1, &Nothing)), want);
}

// What is asked before a step is in that step's result, also where it is
// replayed and read late.
TEST_P(StepReplayTest, RequestsGoWithTheirStep) {
  constexpr int kStop = 5, kSave = 4;
  static_assert(kSave > StepReplay::kRunsBeforeCapture + 1);
  for (const int lag : {0, 1}) {
    EISBACH_EXPECT_OK(With(true, [&](Engine& engine) -> absl::Status {
      const parallel::Mesh& mesh = engine.context().mesh();
      const bool asks =
          engine.context().everyone().rank() == mesh.world_size() - 1;
      std::vector<StepInput> inputs(kSteps);
      for (int i = 0; i < kSteps; ++i) {
        EISBACH_ASSIGN_OR_RETURN(inputs[i], test::ToyInput(engine, i + 1));
      }
      for (int step = 1; step <= kSteps + lag; ++step) {
        if (asks && step == kStop) engine.Ask(Request::kStop);
        if (asks && step == kSave) engine.Ask(Request::kSave);
        if (step <= kSteps) {
          EISBACH_RETURN_IF_ERROR(engine.Submit(inputs[step - 1]));
        }
        if (step <= lag) continue;
        EISBACH_ASSIGN_OR_RETURN(const StepResult result, engine.Collect());
        EXPECT_EQ(result.asked_to_stop, result.step == kStop) << result.step;
        EXPECT_EQ(result.asked_to_save, result.step == kSave) << result.step;
      }
      return absl::OkStatus();
    }));
  }
}

// A checkpoint that is written while steps are captured and replayed holds what
// was there when it began, and changes no bit of them.
TEST_P(StepReplayTest, CheckpointsAreWrittenBehind) {
  const Trained want = test::Value(Train(true, 0, &Nothing));
  const test::TempFolder temp;  // rank 0's is used
  std::string root;
  std::vector<checkpoint::LogicalTensor> before;
  ExpectSame(test::Value(
                 Train(true, 0,
                       [&](Engine& engine, int step) -> absl::Status {
                         if (step == 1) {
                           EISBACH_ASSIGN_OR_RETURN(
                               const std::vector<std::string> roots,
                               checkpoint::GatherText(
                                   temp.path(), TestWorld().communicator(),
                                   engine.context().device().compute_stream()));
                           root = roots[0];
                           return engine.saves().Prepare(
                               {.asynchronous = true, .bytes_per_file = 0});
                         }
                         if (step == kSteps) {
                           const auto outcome = engine.saves().Finish();
                           return outcome ? outcome->status : absl::OkStatus();
                         }
                         if (step != StepReplay::kRunsBeforeCapture + 1) {
                           return absl::OkStatus();
                         }
                         EISBACH_ASSIGN_OR_RETURN(
                             before, checkpoint::GatherParameters(
                                         engine.update().parameters(),
                                         checkpoint::ParameterValue::kMaster,
                                         engine.context()));
                         return engine.saves().Begin({root});
                       })),
             want);
  if (TestWorld().rank() != 0) return;
  const checkpoint::SavedWeights saved = test::Value(checkpoint::ReadWeights(
      checkpoint::StepFolder(root, StepReplay::kRunsBeforeCapture)));
  std::map<std::string, std::vector<float>> values;
  for (const auto& tensor : saved.tensors) values[tensor.name] = tensor.values;
  EXPECT_EQ(values.size(), before.size());
  for (const auto& tensor : before) {
    EXPECT_EQ(values[tensor.name], tensor.values) << tensor.name;
  }
}

// Evaluation, other tensors, and a step number that is set anew leave replays
// as they are, and replays leave them alone.
TEST_P(StepReplayTest, OtherWorkBetweenSteps) {
  std::vector<double> losses[2];
  Trained trained[2];
  for (const bool replays : {false, true}) {
    std::vector<std::pair<Tensor, int32_t>> canaries;
    trained[replays] = test::Value(
        Train(replays, 0, [&](Engine& engine, int step) -> absl::Status {
          Device& device = engine.context().device();
          Stream& stream = device.compute_stream();
          for (const auto& [canary, value] : canaries) {
            std::vector<int32_t> found(canary.elements());
            EISBACH_RETURN_IF_ERROR(device.CopyToHost(
                found.data(), canary.raw(), canary.bytes(), stream));
            EISBACH_RETURN_IF_ERROR(stream.Synchronize());
            EXPECT_EQ(found, std::vector<int32_t>(found.size(), value));
          }
          for (const int64_t size : {1, 300, 5000, 100000}) {
            EISBACH_ASSIGN_OR_RETURN(
                const Tensor canary,
                Tensor::Empty({size}, DType::kI32, device));
            const std::vector<int32_t> values(size, step);
            EISBACH_RETURN_IF_ERROR(device.CopyToDevice(
                canary.raw(), values.data(), canary.bytes(), stream));
            EISBACH_RETURN_IF_ERROR(stream.Synchronize());
            canaries.emplace_back(canary, step);
          }
          EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                                   test::ToyInput(engine, 100 + step));
          EISBACH_ASSIGN_OR_RETURN(const double loss, engine.Evaluate(input));
          losses[replays].push_back(loss);
          if (step == 5) engine.update().set_step(20);
          if (step == 6) engine.update().set_step(5);
          return absl::OkStatus();
        }));
  }
  EXPECT_EQ(losses[true], losses[false]);
  ExpectSame(trained[true], trained[false]);
}

// Evaluation takes its memory from the step's, which nothing else does.
TEST_P(StepReplayTest, EvaluationNeedsNoMemoryOfItsOwn) {
  EISBACH_EXPECT_OK(With(true, [&](Engine& engine) -> absl::Status {
    for (int step = 1; step <= 4; ++step) {
      EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
    }
    EISBACH_ASSIGN_OR_RETURN(const StepInput input,
                             test::ToyInput(engine, 100));
    const AllocatorStats before = engine.context().device().memory();
    EISBACH_RETURN_IF_ERROR(engine.Evaluate(input).status());
    const AllocatorStats after = engine.context().device().memory();
    EXPECT_EQ(after.bytes_reserved, before.bytes_reserved);
    EXPECT_EQ(after.peak_bytes_in_use, before.peak_bytes_in_use);
    return absl::OkStatus();
  }));
}

TEST_P(StepReplayTest, AnotherShapeIsCapturedAnew) {
  EISBACH_EXPECT_OK(With(true, [&](Engine& engine) -> absl::Status {
    std::vector<int64_t> launches;
    for (int step = 1; step <= 8; ++step) {
      EISBACH_ASSIGN_OR_RETURN(StepInput input, test::ToyInput(engine, step));
      if (step > 4) {
        // Half of each sample.
        const Shape half{input.tokens.dim(0), input.tokens.dim(1) / 2};
        EISBACH_ASSIGN_OR_RETURN(
            input.tokens,
            Tensor::FromStorage(input.tokens.storage(), 0, half, DType::kI32));
        EISBACH_ASSIGN_OR_RETURN(
            input.targets,
            Tensor::FromStorage(input.targets.storage(), 0, half, DType::kI32));
      }
      const int64_t before = doubles::counters().graph_launches;
      EISBACH_RETURN_IF_ERROR(engine.Step(input).status());
      launches.push_back(doubles::counters().graph_launches - before);
    }
    EXPECT_EQ(launches, (std::vector<int64_t>{0, 0, 1, 1, 0, 0, 1, 1}));
    return absl::OkStatus();
  }));
}

// A replayed step that is not finite is run again call by call, names the
// tensor, and changes nothing.
TEST_P(StepReplayTest, NonFiniteValuesAreNamed) {
  EISBACH_EXPECT_OK(With(true, [&](Engine& engine) -> absl::Status {
    for (int step = 1; step <= 4; ++step) {
      EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
    }
    Device& device = engine.context().device();
    Stream& stream = device.compute_stream();
    const Tensor& weight = engine.update().parameters()[0]->data();
    std::vector<uint16_t> saved(weight.elements());
    EISBACH_RETURN_IF_ERROR(
        device.CopyToHost(saved.data(), weight.raw(), weight.bytes(), stream));
    EISBACH_RETURN_IF_ERROR(stream.Synchronize());
    const std::vector<uint16_t> bad(saved.size(), 0x7fc0);  // bf16 NaN
    EISBACH_RETURN_IF_ERROR(
        device.CopyToDevice(weight.raw(), bad.data(), weight.bytes(), stream));
    EISBACH_RETURN_IF_ERROR(stream.Synchronize());
    EXPECT_THAT(test::ToyStep(engine),
                test::StatusIs(absl::StatusCode::kDataLoss, "at step 5"));
    EISBACH_RETURN_IF_ERROR(device.CopyToDevice(weight.raw(), saved.data(),
                                                weight.bytes(), stream));
    EISBACH_RETURN_IF_ERROR(stream.Synchronize());
    const int64_t before = doubles::counters().graph_launches;
    EISBACH_ASSIGN_OR_RETURN(const StepResult result, test::ToyStep(engine));
    EXPECT_TRUE(std::isfinite(result.loss));
    EXPECT_EQ(doubles::counters().graph_launches, before + 1);
    return absl::OkStatus();
  }));
}

class StepDocumentsTest : public StepReplayTest {};

// They are read where the step reads them, not where they once were.
TEST_P(StepDocumentsTest, SameBits) {
  const Trained want = test::Value(Train(false, 0, &Nothing));
  ExpectSame(test::Value(Train(true, 0, &Nothing)), want);
}

class StepPairsTest : public StepReplayTest {};
TEST_P(StepPairsTest, SameBits) {
  ExpectSame(test::Value(Train(true, 0, &Nothing)),
             test::Value(Train(false, 0, &Nothing)));
}

// A step with documents is another one than without.
TEST_P(StepDocumentsTest, AreCapturedAnew) {
  EISBACH_EXPECT_OK(With(true, [&](Engine& engine) -> absl::Status {
    std::vector<int64_t> launches;
    for (int step = 1; step <= 8; ++step) {
      EISBACH_ASSIGN_OR_RETURN(StepInput input, test::ToyInput(engine, step));
      if (step > 4) EISBACH_RETURN_IF_ERROR(test::AddDocuments(step, input));
      const int64_t before = doubles::counters().graph_launches;
      EISBACH_RETURN_IF_ERROR(engine.Step(input).status());
      launches.push_back(doubles::counters().graph_launches - before);
    }
    EXPECT_EQ(launches, (std::vector<int64_t>{0, 0, 1, 1, 0, 0, 1, 1}));
    return absl::OkStatus();
  }));
}

// Fewer layouts will do.
class StepFaultTest : public StepReplayTest {};

// Fills a weight with NaN, or gives it its values back.
class Poison {
 public:
  explicit Poison(Engine& engine)
      : device_(engine.context().device()),
        weight_(engine.update().parameters().back()->data()),
        saved_(weight_.elements()) {
    EISBACH_EXPECT_OK(device_.CopyToHost(saved_.data(), weight_.raw(),
                                         weight_.bytes(), stream()));
    Write(std::vector<uint16_t>(saved_.size(), 0x7fc0));  // bf16 NaN
  }
  void TakeBack() { Write(saved_); }

 private:
  Stream& stream() { return device_.compute_stream(); }
  void Write(const std::vector<uint16_t>& values) {
    EISBACH_EXPECT_OK(stream().Synchronize());
    EISBACH_EXPECT_OK(device_.CopyToDevice(weight_.raw(), values.data(),
                                           weight_.bytes(), stream()));
    EISBACH_EXPECT_OK(stream().Synchronize());
  }

  Device& device_;
  Tensor weight_;
  std::vector<uint16_t> saved_;
};

// A replayed step that is bad changes nothing, and is skipped or computed again
// while the next one is on the device; no step waits for the host to judge it.
TEST_P(StepFaultTest, BadStepsAreJudgedOnTheDevice) {
  constexpr int kBad = 5;
  static_assert(kBad > StepReplay::kRunsBeforeCapture + 1);
  const Trained unbroken = test::Value(Train(true, 1, &Nothing));
  for (const bool reruns : {false, true}) {
    EngineConfig config = ConfigOf(GetParam(), true);
    config.spikes = {
        .on_spike = reruns ? optim::OnSpike::kRerun : optim::OnSpike::kSkip,
        .rule = {.window = 4, .deviations = 1e3}};
    std::vector<StepResult> results;
    EISBACH_EXPECT_OK(test::WithEngine(
        TestWorld(), GetParam().layout, config,
        [&](Engine& engine) -> absl::Status {
          std::vector<StepInput> inputs(kSteps);
          for (int i = 0; i < kSteps; ++i) {
            EISBACH_ASSIGN_OR_RETURN(inputs[i], test::ToyInput(engine, i + 1));
          }
          for (int step = 1; step <= kSteps + 1; ++step) {
            if (step <= kSteps) {
              std::unique_ptr<Poison> poison;
              if (step == kBad) poison = std::make_unique<Poison>(engine);
              const int64_t before = doubles::counters().host_synchronisations;
              EISBACH_RETURN_IF_ERROR(engine.Submit(inputs[step - 1]));
              if (step > StepReplay::kRunsBeforeCapture + 1) {
                EXPECT_EQ(doubles::counters().host_synchronisations, before);
              }
              if (poison != nullptr) poison->TakeBack();
            }
            if (step == 1) continue;
            EISBACH_ASSIGN_OR_RETURN(StepResult result, engine.Collect());
            results.push_back(std::move(result));
          }
          return absl::OkStatus();
        }));
    ASSERT_EQ(results.size(), static_cast<size_t>(kSteps));
    for (const StepResult& result : results) {
      const bool bad = result.step == kBad;
      EXPECT_EQ(result.skipped, bad && !reruns) << result.step;
      EXPECT_EQ(result.transient_fault, bad && reruns) << result.why;
      if (reruns || result.step < kBad) {
        EXPECT_EQ(result.loss, unbroken.curve[3 * (result.step - 1) + 1]);
      }
    }
    EXPECT_TRUE(std::isfinite(results[kBad].loss));
  }
}

// Fingerprints come between replayed steps, and wait for the host when the
// step is collected.
TEST_P(StepFaultTest, ReplicasAreCompared) {
  const Trained unbroken = test::Value(Train(true, 1, &Nothing));
  EngineConfig config = ConfigOf(GetParam(), true);
  config.hash_every = 2;
  const Layout& layout = GetParam().layout;
  EISBACH_EXPECT_OK(test::WithEngine(
      TestWorld(), layout, config, [&](Engine& engine) -> absl::Status {
        for (int step = 1; step <= 4; ++step) {
          EISBACH_ASSIGN_OR_RETURN(const StepResult result,
                                   test::ToyStep(engine));
          EXPECT_EQ(result.loss, unbroken.curve[3 * (step - 1) + 1]);
        }
        if (layout.data == 1) return absl::OkStatus();
        EXPECT_EQ(engine.replicas()->equal_at(), 4);
        const Tensor& weight = engine.update().parameters()[0]->master();
        Device& device = engine.context().device();
        float value = 0;
        Stream& stream = device.compute_stream();
        EISBACH_RETURN_IF_ERROR(
            device.CopyToHost(&value, weight.raw(), sizeof(value), stream));
        EISBACH_RETURN_IF_ERROR(stream.Synchronize());
        if (engine.context().index(Axis::kData) == 1) value += 1;
        EISBACH_RETURN_IF_ERROR(
            device.CopyToDevice(weight.raw(), &value, sizeof(value), stream));
        EISBACH_RETURN_IF_ERROR(stream.Synchronize());
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        EXPECT_THAT(test::ToyStep(engine),
                    test::StatusIs(absl::StatusCode::kAborted,
                                   "all were equal after step 4"));
        return absl::OkStatus();
      }));
}

INSTANTIATE_TEST_SUITE_P(
    All, StepReplayTest,
    testing::Values(Case{"gpt", {1, 1, 1}}, Case{"llama", {1, 1, 1}},
                    Case{"gpt", {1, 1, 1}, "1f1b", true, false},
                    Case{"llama", {1, 1, 1}, "gpipe", true, true},
                    Case{"gpt", {2, 1, 1}}, Case{"llama", {1, 2, 1}},
                    Case{"gpt", {1, 1, 2}, "gpipe"},
                    Case{"llama", {1, 1, 2}, "1f1b", true, false},
                    Case{"gpt", {2, 2, 1}}, Case{"llama", {1, 2, 2}},
                    Case{"gpt", {2, 1, 2}, "1f1b", false, true}),
    [](const auto& info) { return info.param.ToString(); });

INSTANTIATE_TEST_SUITE_P(
    Packed, StepDocumentsTest,
    testing::Values(Case{"gpt", {1, 1, 1}, "1f1b", false, false, true},
                    Case{"llama", {1, 1, 1}, "1f1b", true, true, true}),
    [](const auto& info) { return info.param.ToString(); });

INSTANTIATE_TEST_SUITE_P(
    Packed, StepPairsTest,
    testing::Values(Case{"llama", {1, 1, 1}, "1f1b", false, false, true, true}),
    [](const auto& info) { return info.param.ToString(); });

INSTANTIATE_TEST_SUITE_P(
    Few, StepFaultTest,
    testing::Values(Case{"gpt", {1, 1, 1}}, Case{"gpt", {2, 1, 1}},
                    Case{"llama", {1, 1, 2}}, Case{"gpt", {2, 2, 1}}),
    [](const auto& info) { return info.param.ToString(); });

}  // namespace
}  // namespace eisbach::train::step_replay_test
