#include "plan/calibrate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/types/span.h"
#include "core/median.h"
#include "core/status_macros.h"
#include "plan/collective_seconds.h"
#include "plan/least_squares.h"
#include "plan/op_seconds.h"

namespace eisbach::plan {
namespace {

// Errors of what is shorter count by their seconds: clocks and chance are most
// of it.
constexpr double kShort = 20e-6;

double WeightOf(double seconds) { return 1 / (seconds + kShort); }

// An op of no size takes no time, for all that is known. Counts as a thirtieth
// of a sample: enough where sizes are too alike to tell a call from the rest.
constexpr double kNothing = 1.0 / 30;

Observation NothingTakesNoTime(size_t parts) {
  Observation nothing{.parts = std::vector<double>(parts, 0),
                      .weight = kNothing * WeightOf(0)};
  nothing.parts[0] = 1;
  return nothing;
}

// By names, f32 or not.
using Groups = std::map<std::pair<std::string, bool>, std::vector<OpSample>>;

Groups GroupsOf(const Measurements& measured) {
  Groups groups;
  const auto add = [&](const OpSample& op) {
    groups[{op.name, op.cost.dtype == DType::kF32}].push_back(op);
  };
  for (const StepSample& step : measured.steps) {
    std::for_each(step.ops.begin(), step.ops.end(), add);
  }
  std::for_each(measured.moves.begin(), measured.moves.end(), add);
  return groups;
}

OpSpeed FitOp(absl::Span<const OpSample> samples) {
  std::vector<Observation> observations;
  for (const OpSample& op : samples) {
    observations.push_back(
        {.parts = {1, op.cost.flops, op.cost.bytes(), RowsOf(op.cost)},
         .value = op.seconds,
         .weight = WeightOf(op.seconds)});
  }
  observations.push_back(NothingTakesNoTime(4));
  const std::vector<double> x = RobustLeastSquares(observations);
  return {.call = x[0], .flop = x[1], .byte = x[2], .row = x[3]};
}

struct ProductFit {
  double call = 0;
  double peak = 0;
  HalfSizes half{};
};

// call + FLOP / peak x (1 + half.rows / M + half.columns / N + half.inner / K)
ProductFit FitProducts(absl::Span<const OpSample> samples) {
  std::vector<Observation> observations;
  for (const OpSample& op : samples) {
    const auto m = static_cast<double>(op.cost.rows);
    const auto n = static_cast<double>(op.cost.columns);
    const auto k = static_cast<double>(op.cost.inner);
    observations.push_back({.parts = {1, op.cost.flops, n * k, m * k, m * n},
                            .value = op.seconds,
                            .weight = WeightOf(op.seconds)});
  }
  observations.push_back(NothingTakesNoTime(5));
  std::vector<double> x = RobustLeastSquares(observations);
  if (x[1] <= 0) {
    // Products too small, or too few, to tell arithmetic from the rest.
    for (Observation& o : observations) o.parts = {o.parts[1]};
    x = {0, RobustLeastSquares(observations)[0], 0, 0, 0};
  }
  const double elements = 2 * x[1];  // seconds of one of the three matrices
  return {.call = x[0],
          .peak = 1 / x[1],
          .half = {x[2] / elements, x[3] / elements, x[4] / elements}};
}

// Seconds of the host for each op, and for each step.
std::pair<double, double> FitHost(const Measurements& measured,
                                  const Hardware& machine) {
  std::vector<Observation> observations;
  for (const StepSample& step : measured.steps) {
    double rest = step.rest;
    for (const OpSample& move : step.moves) {
      const OpSpeed* speed = machine.SpeedOf(move.name, DType::kF32);
      if (speed == nullptr) continue;
      rest -= speed->call + speed->byte * move.cost.bytes();
    }
    observations.push_back({.parts = {static_cast<double>(step.ops.size()), 1},
                            .value = std::max(rest, 0.0),
                            .weight = WeightOf(step.rest)});
  }
  const std::vector<double> x = RobustLeastSquares(observations);
  return {x[0], x[1]};
}

CollectiveSpeed FitCollective(const std::vector<CollectiveSample>& samples) {
  std::vector<Observation> observations;
  for (const CollectiveSample& one : samples) {
    const double sent = one.bytes * ShareSent(one.name, one.ranks) /
                        (one.name == "exchange" ? 2 : 1);
    observations.push_back(
        {.parts = {MessagesSent(one.name, one.ranks), one.shared ? sent : 0,
                   one.shared ? 0 : sent},
         .value = one.seconds,
         .weight = WeightOf(one.seconds)});
  }
  const std::vector<double> x = RobustLeastSquares(observations);
  const double direct = x[1] > 0 ? x[1] : x[2];
  const double staged = x[2] > 0 ? x[2] : x[1];
  if (direct <= 0) return {};
  return {
      .latency = x[0], .bandwidth = 1 / direct, .staged_bandwidth = 1 / staged};
}

void FitCollectives(const Measurements& measured, Hardware& machine) {
  std::map<std::string, std::vector<CollectiveSample>> groups;
  for (const CollectiveSample& one : measured.collectives) {
    groups[one.name].push_back(one);
  }
  for (const auto& [name, samples] : groups) {
    const CollectiveSpeed speed = FitCollective(samples);
    if (speed.bandwidth > 0) machine.collectives[name] = speed;
  }
  machine.domain = {.devices = measured.ranks,
                    .bandwidth = machine.memory_bandwidth};
  const auto sum = machine.collectives.find("all_reduce");
  if (sum != machine.collectives.end()) {
    machine.domain.bandwidth = sum->second.staged_bandwidth;
    machine.domain.latency = sum->second.latency;
  }
  // There is none.
  machine.network = {.bandwidth = machine.domain.bandwidth,
                     .latency = machine.domain.latency};
}

// As forecast.h has it of one rank, whose ops take turns.
double ForetoldSeconds(const StepSample& step, const Hardware& machine) {
  double seconds = machine.step_host;
  for (const auto* ops : {&step.ops, &step.moves}) {
    for (const OpSample& op : *ops) {
      seconds += OpSeconds(op.name, op.cost, machine, ProductType::kAsIs);
    }
  }
  return seconds;
}

double MeasuredSeconds(const StepSample& step) {
  double seconds = step.rest;
  for (const OpSample& op : step.ops) seconds += op.seconds;
  return seconds;
}

absl::StatusOr<Hardware> Fit(const Measurements& measured, std::string name) {
  Hardware machine;
  machine.name = std::move(name);
  machine.device = DeviceType::kCpu;
  machine.memory_bytes = measured.memory_bytes;
  machine.shared_by_collectives = 1;
  for (const OpSample& move : measured.moves) {
    if (move.name != "copy") continue;
    // The last one is the largest.
    machine.memory_bandwidth = move.cost.bytes() / move.seconds;
  }
  const Groups groups = GroupsOf(measured);
  for (const auto& [key, samples] : groups) {
    const auto& [op, f32] = key;
    auto& speeds = f32 ? machine.speeds : machine.speeds_f16;
    if (samples[0].cost.inner == 0) {
      speeds[op] = FitOp(samples);
      continue;
    }
    const ProductFit fit = FitProducts(samples);
    (f32 ? machine.peak.f32 : machine.peak.f16) = fit.peak;
    (f32 ? machine.half : machine.half_f16) = fit.half;
    speeds[op] = {.call = fit.call};
  }
  if (machine.peak.f32 <= 0 || machine.memory_bandwidth <= 0) {
    return absl::InvalidArgumentError(
        "a machine is described by measured products in f32 and copies");
  }
  const auto [op_host, step_host] = FitHost(measured, machine);
  machine.step_host = step_host;
  for (auto* speeds : {&machine.speeds, &machine.speeds_f16}) {
    for (auto& [op, speed] : *speeds) {
      if (op != "copy" && op != "set_zero") speed.call += op_host;
    }
  }
  FitCollectives(measured, machine);
  EISBACH_RETURN_IF_ERROR(Check(machine));
  return machine;
}

Accuracy LeaveOneOut(const Measurements& measured) {
  std::map<std::string, std::vector<StepSample>> models;
  for (const StepSample& step : measured.steps) {
    models[step.model].push_back(step);
  }
  if (models.size() < 2) return {};
  std::vector<double> errors;
  for (const auto& [model, steps] : models) {
    Measurements others = measured;
    std::erase_if(others.steps,
                  [&](const StepSample& step) { return step.model == model; });
    const absl::StatusOr<Hardware> machine = Fit(others, "without one model");
    if (!machine.ok()) return {};
    for (const StepSample& step : steps) {
      errors.push_back(std::abs(
          ForetoldSeconds(step, *machine) / MeasuredSeconds(step) - 1));
    }
  }
  std::sort(errors.begin(), errors.end());
  const auto count = static_cast<int>(errors.size());
  const double p90 = errors[(9 * count + 9) / 10 - 1];
  if (!(p90 < 1)) return {};
  return {.median = UpperMedian(errors), .p90 = p90, .cases = count};
}

}  // namespace

absl::StatusOr<Hardware> FitHardware(const Measurements& measured,
                                     std::string name) {
  EISBACH_ASSIGN_OR_RETURN(Hardware machine, Fit(measured, std::move(name)));
  machine.accuracy = LeaveOneOut(measured);
  return machine;
}

}  // namespace eisbach::plan
