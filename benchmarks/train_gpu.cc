// Training steps of a GPT on one device, without Python:
//
//   build/release/benchmarks/train_gpu --layers=12 --hidden=768 --heads=12
//       --context=1024 --vocab=50304 --batch=16 --micro_batch=16 --steps=30
//
// Prints a JSON line: the median seconds of a step from the sixth on, tokens
// and FLOPs of it, the last loss, the most memory that tensors took, and what
// matmul and memory reach here. --profile=N traces N further steps, call by
// call, and adds where their time went. --dtype is bf16 unless it is f32 or
// f16, --device cuda unless it is cpu. Without a GPU it says so and ends
// with 77.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "comm/world.h"
#include "core/philox.h"
#include "core/status_macros.h"
#include "models/config.h"
#include "train/engine.h"
#include "train/peak.h"
#include "train/profile.h"
#include "train/rank_trace.h"

namespace eisbach {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kNotRun = 77;
// Before the steps that count: memory is taken, the third is captured.
constexpr int kWarmUp = 5;

struct Arguments {
  std::map<std::string, int64_t> numbers = {
      {"layers", 12},      {"hidden", 768},  {"heads", 12},
      {"context", 1024},   {"vocab", 50304}, {"batch", 16},
      {"micro_batch", 16}, {"steps", 30},    {"profile", 0}};
  std::string device = "cuda", dtype = "bf16";

  int64_t operator[](const std::string& name) const { return numbers.at(name); }
};

absl::StatusOr<Arguments> Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    absl::string_view text = argv[i];
    absl::ConsumePrefix(&text, "--");
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(text, absl::MaxSplits('=', 1));
    const auto number = arguments.numbers.find(pair.first);
    if (pair.first == "device" &&
        (pair.second == "cuda" || pair.second == "cpu")) {
      arguments.device = pair.second;
    } else if (pair.first == "dtype" &&
               (pair.second == "bf16" || pair.second == "f16" ||
                pair.second == "f32")) {
      arguments.dtype = pair.second;
    } else if (number == arguments.numbers.end() ||
               !absl::SimpleAtoi(pair.second, &number->second) ||
               number->second < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "train_gpu: ", argv[i], " is none of its arguments: sizes such as ",
          "--layers=12, --device=cuda|cpu, --dtype=bf16|f16|f32"));
    }
  }
  if (arguments["steps"] <= kWarmUp) {
    return absl::InvalidArgumentError(
        absl::StrCat("train_gpu: --steps=", arguments["steps"], " is below ",
                     kWarmUp + 1, ": the first ", kWarmUp, " do not count"));
  }
  return arguments;
}

train::EngineConfig ConfigOf(const Arguments& arguments) {
  train::EngineConfig config{};
  config.model = {.family = "gpt",
                  .architecture = models::FindFamily("gpt").value(),
                  .layers = arguments["layers"],
                  .hidden = arguments["hidden"],
                  .heads = arguments["heads"],
                  .kv_heads = arguments["heads"],
                  .head_dim = arguments["hidden"] / arguments["heads"],
                  .ffn_hidden = 4 * arguments["hidden"],
                  .context = arguments["context"],
                  .vocab = arguments["vocab"],
                  .dropout = 0,
                  .tie_embeddings = true,
                  .norm_eps = 1e-5};
  config.update.optimizer = {.name = "adamw",
                             .beta1 = 0.9,
                             .beta2 = 0.95,
                             .eps = 1e-8,
                             .momentum = 0,
                             .weight_decay = 0.1};
  config.update.schedule = {.name = "constant",
                            .learning_rate = 3e-4,
                            .min_learning_rate = 3e-4,
                            .warmup_steps = 2,
                            .total_steps = 1000};
  config.update.clip_grad_norm = 1;
  config.update.compute_dtype = arguments.dtype == "bf16"  ? DType::kBF16
                                : arguments.dtype == "f16" ? DType::kF16
                                                           : DType::kF32;
  config.update.bucket_bytes = int64_t{4} << 20;  // as `eisbach train` has it
  config.update.seed = 1;
  config.global_batch = arguments["batch"];
  config.micro_batch = arguments["micro_batch"];
  config.pipeline_schedule = "1f1b";
  return config;
}

// Random bytes, a batch for each number.
absl::StatusOr<train::StepInput> Batch(const train::EngineConfig& config,
                                       uint32_t number, Device& device) {
  const int64_t samples = config.global_batch, length = config.model.context;
  const auto words =
      static_cast<uint32_t>(std::min<int64_t>(config.model.vocab, 256));
  std::vector<int32_t> ids(samples * length + 1);
  for (size_t i = 0; i < ids.size(); ++i) {
    const PhiloxCounter bits = Philox({static_cast<uint32_t>(i), number, 0, 0},
                                      MakePhiloxKey(/*seed=*/7));
    ids[i] = static_cast<int32_t>(bits[0] % words);
  }
  std::vector<int64_t> index(samples);
  for (int64_t s = 0; s < samples; ++s) index[s] = number * samples + s;
  train::StepInput input;
  Stream& stream = device.compute_stream();
  const auto put = [&](const Shape& shape, DType dtype, const void* values,
                       Tensor& to) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(to, Tensor::Empty(shape, dtype, device));
    return device.CopyToDevice(to.raw(), values, to.bytes(), stream);
  };
  const Shape shape{samples, length};
  EISBACH_RETURN_IF_ERROR(put(shape, DType::kI32, ids.data(), input.tokens));
  EISBACH_RETURN_IF_ERROR(
      put(shape, DType::kI32, ids.data() + 1, input.targets));
  EISBACH_RETURN_IF_ERROR(
      put(Shape{samples}, DType::kI64, index.data(), input.sample_index));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());  // the vectors end here
  return input;
}

// Gives each step to the device while the one before runs, as training does.
absl::Status TimeSteps(train::Engine& engine, int64_t steps, Json& result) {
  using Clock = std::chrono::steady_clock;
  constexpr int kBatches = 4;
  std::vector<train::StepInput> inputs(kBatches);
  for (int i = 0; i < kBatches; ++i) {
    EISBACH_ASSIGN_OR_RETURN(
        inputs[i], Batch(engine.config(), i, engine.context().device()));
  }
  std::vector<double> seconds;
  Clock::time_point last;
  const auto collect = [&]() -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(const train::StepResult step, engine.Collect());
    const Clock::time_point now = Clock::now();
    if (step.step > kWarmUp) {
      seconds.push_back(std::chrono::duration<double>(now - last).count());
    }
    last = now;
    result["loss"] = step.loss;
    return absl::OkStatus();
  };
  for (int64_t step = 0; step < steps; ++step) {
    EISBACH_RETURN_IF_ERROR(engine.Submit(inputs[step % kBatches]));
    if (step > 0) EISBACH_RETURN_IF_ERROR(collect());
  }
  EISBACH_RETURN_IF_ERROR(collect());
  std::sort(seconds.begin(), seconds.end());
  result["step_seconds"] = seconds[seconds.size() / 2];
  return absl::OkStatus();
}

absl::Status TraceSteps(train::Engine& engine, comm::World& world,
                        const train::Peak& peak, int64_t steps, Json& result) {
  EISBACH_ASSIGN_OR_RETURN(const train::StepInput input,
                           Batch(engine.config(), 0, world.device()));
  world.device().tracer().StartRecording();
  for (int64_t step = 0; step < steps; ++step) {
    EISBACH_RETURN_IF_ERROR(engine.Step(input).status());
  }
  EISBACH_ASSIGN_OR_RETURN(const std::vector<train::RankTrace> traces,
                           train::GatherTraces(peak, world.communicator()));
  EISBACH_ASSIGN_OR_RETURN(
      const train::Profile profile,
      train::Summarise(traces, engine.config().update.compute_dtype));
  Json ops = Json::array();
  for (const train::OpRow& op : profile.ops) {
    ops.push_back({{"name", op.name},
                   {"calls", op.calls},
                   {"seconds", op.seconds},
                   {"share", op.share},
                   {"of_peak", op.of_peak()},
                   {"bound", std::string(op.bound())}});
  }
  result["profile"] = {{"steps", profile.steps},
                       {"step_seconds", profile.step_seconds},
                       {"matmul", profile.shares.matmul},
                       {"attention", profile.shares.attention},
                       {"other", profile.shares.other},
                       {"ops", ops}};
  return absl::OkStatus();
}

absl::Status Run(const Arguments& arguments, comm::World& world) {
  const train::EngineConfig config = ConfigOf(arguments);
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                           parallel::MakeMesh(1, {}));
  EISBACH_ASSIGN_OR_RETURN(const auto context,
                           parallel::ParallelContext::Make(world, mesh));
  EISBACH_ASSIGN_OR_RETURN(const train::Peak peak, train::MeasurePeak(world));
  EISBACH_ASSIGN_OR_RETURN(const auto engine,
                           train::Engine::Make(config, *context));
  Json result = {
      {"device", arguments.device},
      {"dtype", arguments.dtype},
      {"parameters", models::ParameterCount(config.model)},
      {"tokens", config.global_batch * config.model.context},
      {"flops_per_token", models::TrainingFlopsPerToken(config.model)},
      {"bf16_matmul_flops_per_second", peak.bf16_flops},
      {"memory_bytes_per_second", peak.bytes}};
  world.device().ResetPeakMemory();
  EISBACH_RETURN_IF_ERROR(TimeSteps(*engine, arguments["steps"], result));
  result["peak_memory_bytes"] = world.device().memory().peak_bytes_in_use;
  if (arguments["profile"] > 0) {
    EISBACH_RETURN_IF_ERROR(
        TraceSteps(*engine, world, peak, arguments["profile"], result));
  }
  std::printf("%s\n", result.dump().c_str());
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  const absl::StatusOr<Arguments> arguments = Parse(argc, argv);
  if (!arguments.ok()) {
    std::fprintf(stderr, "%s\n", arguments.status().ToString().c_str());
    return 2;
  }
  const DeviceType type =
      arguments->device == "cpu" ? DeviceType::kCpu : DeviceType::kCuda;
  const absl::Status there = CountDevices(type).status();
  if (absl::IsUnavailable(there)) {
    std::printf("NOT RUN: %s\n", std::string(there.message()).c_str());
    return kNotRun;
  }
  auto world = comm::InitWorld(type);
  absl::Status status = world.status();
  if (status.ok()) status = Run(*arguments, **world);
  if (status.ok()) status = (*world)->Finalize();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace eisbach

int main(int argc, char** argv) { return eisbach::Main(argc, argv); }
