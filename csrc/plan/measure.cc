#include "plan/measure.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "core/median.h"
#include "core/philox.h"
#include "core/status_macros.h"
#include "device/tracer.h"
#include "plan/record.h"

namespace eisbach::plan {
namespace {

constexpr int kWarmUp = 2;
constexpr int kSteps = 3;
constexpr int64_t kSmallestMove = 256;
constexpr int64_t kLargestMove = int64_t{64} << 20;
constexpr int64_t kLargestCollective = int64_t{16} << 20;
// Calls of less are timed many at a time.
constexpr int64_t kBatchedBytes = 64 << 10;
constexpr int kBatch = 50;
constexpr int kRepeats = 7;

double SecondsSince(int64_t begin_ns) {
  return static_cast<double>(Tracer::Now() - begin_ns) * 1e-9;
}

// Replaces each value by its sum or greatest over the ranks.
absl::Status Reduce(comm::World& world, comm::ReduceOp op,
                    absl::Span<double> values) {
  if (world.size() == 1 || values.empty()) return absl::OkStatus();
  Stream& stream = world.device().compute_stream();
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor all,
      Tensor::Empty(Shape{static_cast<int64_t>(values.size())}, DType::kF64,
                    world.device()));
  std::copy(values.begin(), values.end(), all.data<double>());
  EISBACH_RETURN_IF_ERROR(world.communicator().AllReduce(all, op, stream));
  std::copy_n(all.data<double>(), values.size(), values.begin());
  return absl::OkStatus();
}

absl::Status Average(comm::World& world, std::vector<OpSample>& samples,
                     double& rest) {
  std::vector<double> seconds;
  for (const OpSample& sample : samples) seconds.push_back(sample.seconds);
  seconds.push_back(rest);
  EISBACH_RETURN_IF_ERROR(
      Reduce(world, comm::ReduceOp::kSum, absl::MakeSpan(seconds)));
  for (double& value : seconds) value /= world.size();
  for (size_t i = 0; i < samples.size(); ++i) samples[i].seconds = seconds[i];
  rest = seconds.back();
  return absl::OkStatus();
}

absl::Status Meet(comm::World& world) {
  return world.communicator().Barrier(world.device().compute_stream());
}

// Seconds of a call that moves so many bytes, a few times: each begins when all
// ranks are there and `before` is done.
absl::StatusOr<std::vector<double>> TimeCalls(
    comm::World& world, int64_t bytes, const std::function<void()>& before,
    const std::function<absl::Status()>& call) {
  const int batch = bytes < kBatchedBytes ? kBatch : 1;
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    before();
    EISBACH_RETURN_IF_ERROR(Meet(world));
    const int64_t begin = Tracer::Now();
    for (int j = 0; j < batch; ++j) EISBACH_RETURN_IF_ERROR(call());
    seconds.push_back(SecondsSince(begin) / batch);
  }
  return seconds;
}

class OpRecorder final : public Recorder {
 public:
  explicit OpRecorder(Device& device) : device_(device) {
    device_.set_recorder(this);
  }
  ~OpRecorder() override { device_.set_recorder(nullptr); }

  void OnOp(absl::string_view name, const OpCost& cost,
            const Stream&) override {
    ops_.push_back({.name = std::string(name), .cost = cost});
  }
  void OnCollective(absl::string_view, absl::string_view, const CollectiveCost&,
                    const Stream&) override {}

  std::vector<OpSample> Take() { return std::exchange(ops_, {}); }

 private:
  Device& device_;
  std::vector<OpSample> ops_;
};

// Tokens at random, all of which count.
absl::StatusOr<train::StepInput> RandomInput(const train::Engine& engine) {
  Device& device = engine.context().device();
  const Shape shape{engine.samples(), engine.config().model.context};
  const auto vocab = static_cast<uint32_t>(engine.config().model.vocab);
  train::StepInput input;
  uint32_t number = 0;
  for (Tensor* tensor : {&input.tokens, &input.targets}) {
    EISBACH_ASSIGN_OR_RETURN(*tensor,
                             Tensor::Empty(shape, DType::kI32, device));
    int32_t* ids = tensor->data<int32_t>();
    for (int64_t i = 0; i < tensor->elements(); ++i) {
      ids[i] = static_cast<int32_t>(Philox({number++, 0}, MakePhiloxKey(7))[0] %
                                    vocab);
    }
  }
  EISBACH_ASSIGN_OR_RETURN(
      input.sample_index,
      Tensor::Empty(Shape{engine.samples()}, DType::kI64, device));
  int64_t* index = input.sample_index.data<int64_t>();
  for (int64_t i = 0; i < engine.samples(); ++i) index[i] = i;
  return input;
}

std::string ModelOf(const train::EngineConfig& config) {
  const models::ModelConfig& model = config.model;
  return absl::StrCat(model.family, " layers=", model.layers,
                      " hidden=", model.hidden, " heads=", model.heads,
                      " context=", model.context, " vocab=", model.vocab,
                      " batch=", config.micro_batch);
}

// One step with the seconds of its ops, and of all of it in `spread`.
absl::StatusOr<StepSample> TimeStep(train::Engine& engine,
                                    const train::StepInput& input,
                                    OpRecorder& recorder) {
  Tracer& tracer = engine.context().device().tracer();
  tracer.StartRecording();
  recorder.Take();
  const int64_t begin = Tracer::Now();
  EISBACH_RETURN_IF_ERROR(engine.Step(input).status());
  const double whole = SecondsSince(begin);
  StepSample step{.model = ModelOf(engine.config()),
                  .ops = recorder.Take(),
                  .rest = whole,
                  .spread = whole};
  EISBACH_ASSIGN_OR_RETURN(const std::vector<Span> spans,
                           tracer.StopRecording());
  size_t op = 0;
  for (const Span& span : spans) {
    if (span.kind != SpanKind::kOp) continue;
    if (op == step.ops.size() || step.ops[op].name != span.name) {
      return absl::InternalError(
          absl::StrCat("op ", op, " was traced as ", span.name));
    }
    step.ops[op].seconds =
        static_cast<double>(span.end_ns - span.begin_ns) * 1e-9;
    step.rest -= step.ops[op++].seconds;
  }
  if (op != step.ops.size()) {
    return absl::InternalError(
        absl::StrCat(op, " of ", step.ops.size(), " ops were traced"));
  }
  return step;
}

// What meta tells of a step beside its `ops`.
absl::StatusOr<std::vector<OpSample>> MovesOf(const train::EngineConfig& config,
                                              const parallel::Mesh& mesh,
                                              absl::Span<const OpSample> ops) {
  EISBACH_ASSIGN_OR_RETURN(const WorkRecord record,
                           RecordSteps(config, mesh, /*rank=*/0));
  std::vector<OpSample> moves;
  size_t next = 0;
  for (const Work& work : record.work) {
    if (work.kind == Work::Kind::kStepEnd) break;
    if (work.kind != Work::Kind::kOp) continue;
    const std::string& name = record.name(work);
    if (next < ops.size() && ops[next].name == name &&
        ops[next].cost.bytes_written == work.op.bytes_written) {
      ++next;
    } else {
      moves.push_back({name, work.op});
    }
  }
  return moves;
}

StepSample MedianOf(const std::vector<StepSample>& steps) {
  StepSample median = steps[0];
  std::vector<double> values;
  const auto middle = [&](auto value) {
    values.clear();
    for (const StepSample& step : steps) values.push_back(value(step));
    return UpperMedian(values);
  };
  for (size_t i = 0; i < median.ops.size(); ++i) {
    median.ops[i].seconds =
        middle([i](const StepSample& step) { return step.ops[i].seconds; });
  }
  median.rest = middle([](const StepSample& step) { return step.rest; });
  const double whole =
      middle([](const StepSample& step) { return step.spread; });
  std::sort(values.begin(), values.end());
  median.spread = values[values.size() * 3 / 4] / whole - 1;
  return median;
}

}  // namespace

absl::StatusOr<StepSample> MeasureStep(comm::World& world,
                                       const train::EngineConfig& config) {
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<comm::World> alone,
      comm::SimWorld(/*rank=*/0, /*size=*/1, DeviceType::kCpu));
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh,
                           parallel::MakeMesh(1, {.data = 1}));
  EISBACH_ASSIGN_OR_RETURN(
      const std::unique_ptr<parallel::ParallelContext> context,
      parallel::ParallelContext::Make(*alone, mesh));
  EISBACH_ASSIGN_OR_RETURN(const std::unique_ptr<train::Engine> engine,
                           train::Engine::Make(config, *context));
  EISBACH_ASSIGN_OR_RETURN(const train::StepInput input, RandomInput(*engine));
  OpRecorder recorder(alone->device());
  std::vector<StepSample> steps;
  for (int i = 0; i < kWarmUp + kSteps; ++i) {
    EISBACH_RETURN_IF_ERROR(Meet(world));
    EISBACH_ASSIGN_OR_RETURN(StepSample step,
                             TimeStep(*engine, input, recorder));
    if (i >= kWarmUp) steps.push_back(std::move(step));
  }
  StepSample median = MedianOf(steps);
  EISBACH_ASSIGN_OR_RETURN(median.moves, MovesOf(config, mesh, median.ops));
  EISBACH_RETURN_IF_ERROR(Average(world, median.ops, median.rest));
  EISBACH_RETURN_IF_ERROR(
      Reduce(world, comm::ReduceOp::kMax, absl::MakeSpan(&median.spread, 1)));
  return median;
}

absl::StatusOr<std::vector<OpSample>> MeasureMoves(comm::World& world) {
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor from,
      Tensor::Zeros(Shape{kLargestMove}, DType::kU8, stream));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor to, Tensor::Zeros(Shape{kLargestMove}, DType::kU8, stream));
  std::vector<OpSample> samples;
  for (int64_t bytes = kSmallestMove; bytes <= kLargestMove; bytes *= 4) {
    const double moved = static_cast<double>(bytes);
    const std::pair<OpSample, std::function<absl::Status()>> moves[] = {
        {{.name = "copy",
          .cost = {.bytes_read = moved, .bytes_written = moved}},
         [&] {
           return device.CopyOnDevice(to.raw(), from.raw(), bytes, stream);
         }},
        {{.name = "set_zero", .cost = {.bytes_written = moved}},
         [&] { return device.SetZero(to.raw(), bytes, stream); }}};
    for (const auto& [kind, call] : moves) {
      EISBACH_ASSIGN_OR_RETURN(std::vector<double> seconds,
                               TimeCalls(
                                   world, bytes, [] {}, call));
      samples.push_back(kind);
      samples.back().seconds = UpperMedian(std::move(seconds));
    }
  }
  double rest = 0;
  EISBACH_RETURN_IF_ERROR(Average(world, samples, rest));
  return samples;
}

namespace {

struct Call {
  CollectiveSample kind;
  Tensor input;
  std::function<absl::Status()> run;
};

absl::StatusOr<std::vector<Call>> CallsOf(comm::World& world, int64_t bytes,
                                          bool shared) {
  comm::Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  const int n = all.size();
  const auto zeros = [&](int64_t size) {
    const Shape shape{size / 4};
    return shared ? Tensor::SharedZeros(shape, DType::kF32, stream)
                  : Tensor::Zeros(shape, DType::kF32, stream);
  };
  const int64_t piece = bytes / (4 * n) * 4;
  EISBACH_ASSIGN_OR_RETURN(const Tensor whole, zeros(piece * n));
  EISBACH_ASSIGN_OR_RETURN(const Tensor other, zeros(piece * n));
  EISBACH_ASSIGN_OR_RETURN(const Tensor part, zeros(piece));
  std::vector<Call> calls;
  const auto add = [&](const char* name, double size, const Tensor& input,
                       std::function<absl::Status()> run) {
    calls.push_back(
        {{.name = name, .bytes = size, .ranks = n, .shared = shared},
         input,
         std::move(run)});
  };
  const auto size = static_cast<double>(whole.bytes());
  add("all_reduce", size, whole, [&all, &stream, whole] {
    return all.AllReduce(whole, comm::ReduceOp::kSum, stream);
  });
  add("reduce_scatter", size, whole, [&all, &stream, whole, part] {
    return all.ReduceScatter(whole, part, comm::ReduceOp::kSum, stream);
  });
  add("all_gather", size, part, [&all, &stream, whole, part] {
    return all.AllGather(part, whole, stream);
  });
  if (shared) return calls;  // the rest has none
  add("all_to_all", size, whole, [&all, &stream, whole, other] {
    return all.AllToAll(whole, other, stream);
  });
  add("broadcast", size, whole, [&all, &stream, whole] {
    return all.Broadcast(whole, /*root=*/0, stream);
  });
  const int next = (all.rank() + 1) % n, last = (all.rank() + n - 1) % n;
  add("exchange", 2 * size, whole, [&all, &stream, whole, other, next, last] {
    const comm::Transfer transfers[] = {
        {comm::Transfer::Kind::kSend, next, whole},
        {comm::Transfer::Kind::kReceive, last, other}};
    return all.Exchange(transfers, stream);
  });
  return calls;
}

}  // namespace

absl::StatusOr<std::vector<CollectiveSample>> MeasureCollectives(
    comm::World& world) {
  std::vector<CollectiveSample> samples;
  if (world.size() == 1) return samples;
  for (const bool shared : {false, true}) {
    for (int64_t bytes = 1 << 10; bytes <= kLargestCollective; bytes *= 4) {
      EISBACH_ASSIGN_OR_RETURN(const std::vector<Call> calls,
                               CallsOf(world, bytes, shared));
      for (const Call& call : calls) {
        // What is sent was computed just before.
        const auto compute = [&] {
          std::memset(call.input.raw(), 0, call.input.bytes());
        };
        EISBACH_ASSIGN_OR_RETURN(std::vector<double> seconds,
                                 TimeCalls(world, bytes, compute, call.run));
        EISBACH_RETURN_IF_ERROR(
            Reduce(world, comm::ReduceOp::kMax, absl::MakeSpan(seconds)));
        samples.push_back(call.kind);
        samples.back().seconds = UpperMedian(std::move(seconds));
      }
    }
  }
  return samples;
}

}  // namespace eisbach::plan
