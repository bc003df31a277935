#include "plan/calibrate.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "plan/collective_seconds.h"
#include "plan/op_seconds.h"
#include "support/status_testing.h"

namespace eisbach::plan::calibrate_test {
namespace {

constexpr double kOpHost = 3e-6, kStepHost = 2e-3;
constexpr double kCopyBandwidth = 8e9;

OpCost Product(int64_t m, int64_t n, int64_t k, DType dtype) {
  return {.flops = 2.0 * static_cast<double>(m * n * k),
          .rows = m,
          .columns = n,
          .inner = k,
          .dtype = dtype};
}

// 20 GFLOP/s in f32; in bf16 as many, and a nanosecond for each element of
// the three matrices, which are converted.
double ProductSeconds(const OpCost& cost) {
  const auto m = static_cast<double>(cost.rows);
  const auto n = static_cast<double>(cost.columns);
  const auto k = static_cast<double>(cost.inner);
  double seconds = 5e-6 + cost.flops / 20e9;
  if (cost.dtype == DType::kBF16) seconds += 1e-9 * (m * n + m * k + n * k);
  return seconds;
}

double GeluSeconds(const OpCost& cost) {
  return 1e-6 + 2e-10 * cost.flops + 1e-10 * cost.bytes_read;
}

double AttentionSeconds(const OpCost& cost) {
  return 1e-6 + cost.flops / 10e9 +
         5e-10 * cost.flops / static_cast<double>(cost.columns);
}

// What the host does, and two copies.
double RestOf(const StepSample& step) {
  return kStepHost + kOpHost * static_cast<double>(step.ops.size()) +
         2 * 8e6 / kCopyBandwidth;
}

StepSample StepOf(int64_t size, DType dtype,
                  std::initializer_list<int64_t> widths) {
  StepSample step;
  for (const int64_t k : widths) {
    for (const OpCost& cost :
         {Product(size, 128, k, dtype), Product(256, size, k, dtype)}) {
      step.ops.push_back({"matmul", cost, ProductSeconds(cost)});
    }
    const double bytes =
        static_cast<double>(size * k * static_cast<int64_t>(SizeOf(dtype)));
    OpCost gelu{.flops = static_cast<double>(size * k), .bytes_read = bytes};
    step.ops.push_back({"gelu", gelu, GeluSeconds(gelu)});
    OpCost attention{.flops = static_cast<double>(size * size * k),
                     .columns = k,
                     .dtype = dtype};
    step.ops.push_back(
        {"attention_forward", attention, AttentionSeconds(attention)});
  }
  const OpCost copy{.bytes_read = 4e6, .bytes_written = 4e6};
  step.moves = {{"copy", copy}, {"copy", copy}};
  step.rest = RestOf(step);
  return step;
}

// A machine of these figures, measured without noise.
Measurements Measured() {
  Measurements measured;
  measured.ranks = 4;
  measured.memory_bytes = 4e9;
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t size : {64, 256, 1024}) {
      measured.steps.push_back(StepOf(size, dtype, {64, 300}));
    }
    measured.steps.back().ops.resize(3);
    measured.steps.back().rest = RestOf(measured.steps.back());
  }
  for (const double bytes : {1e3, 1e6, 1e8}) {
    measured.moves.push_back({"copy",
                              {.bytes_read = bytes, .bytes_written = bytes},
                              2 * bytes / kCopyBandwidth});
  }
  for (const bool shared : {false, true}) {
    for (const double bytes : {1e3, 1e5, 1e7}) {
      measured.collectives.push_back(
          {.name = "all_reduce",
           .bytes = bytes,
           .ranks = 4,
           .shared = shared,
           .seconds = 4 * 2e-6 + 1.5 * bytes / (shared ? 4e9 : 1e9)});
      if (shared) continue;
      measured.collectives.push_back({.name = "exchange",
                                      .bytes = 2 * bytes,
                                      .ranks = 4,
                                      .seconds = 3e-6 + bytes / 2e9});
    }
  }
  return measured;
}

TEST(CalibrateTest, WhatWasMeasuredIsForetold) {
  const Measurements measured = Measured();
  const Hardware machine = test::Value(FitHardware(measured, "mine"));
  EXPECT_EQ(machine.name, "mine");
  EXPECT_EQ(machine.device, DeviceType::kCpu);
  EXPECT_EQ(machine.memory_bytes, 4e9);
  EXPECT_NEAR(machine.peak.f32, 20e9, 1e6);
  EXPECT_NEAR(machine.peak.f16, 20e9, 1e6);
  EXPECT_NEAR(machine.half.rows, 0, 0.1);
  // Converting an element takes the time of 20 operations, 10 of its products.
  EXPECT_NEAR(machine.half_f16.rows, 10, 0.1);
  EXPECT_NEAR(machine.half_f16.columns, 10, 0.1);
  EXPECT_NEAR(machine.half_f16.inner, 10, 0.1);
  for (const StepSample& step : measured.steps) {
    for (const OpSample& op : step.ops) {
      EXPECT_NEAR(OpSeconds(op.name, op.cost, machine, ProductType::kAsIs),
                  op.seconds + kOpHost, 1e-3 * op.seconds + 1e-8)
          << op.name;
    }
  }
  EXPECT_NEAR(machine.step_host, kStepHost, 1e-6);
  EXPECT_NEAR(machine.memory_bandwidth, kCopyBandwidth, 1);
}

TEST(CalibrateTest, CollectivesHaveTheirOwnRates) {
  const Hardware machine = test::Value(FitHardware(Measured(), "mine"));
  EXPECT_EQ(machine.domain.devices, 4);
  const GroupPlace place{.size = 4, .inside = 4};
  const auto seconds = [&](absl::string_view name, double bytes, bool staged) {
    return CollectiveSeconds(name, bytes, place, machine, staged);
  };
  EXPECT_NEAR(seconds("all_reduce", 2e6, true), 8e-6 + 3e-3, 1e-6);
  EXPECT_NEAR(seconds("all_reduce", 2e6, false), 8e-6 + 0.75e-3, 1e-6);
  EXPECT_NEAR(seconds("exchange", 2e6, true), 3e-6 + 1e-3, 1e-6);
  // What was not measured is as quick as the sums.
  EXPECT_NEAR(seconds("all_to_all", 4e6, true), 4e-6 + 3e-3, 1e-6);
  EXPECT_EQ(machine.shared_by_collectives, 1);
}

TEST(CalibrateTest, OneRankHasNoCollectives) {
  Measurements measured = Measured();
  measured.collectives.clear();
  measured.ranks = 1;
  const Hardware machine = test::Value(FitHardware(measured, "mine"));
  EXPECT_TRUE(machine.collectives.empty());
  EXPECT_EQ(machine.domain.devices, 1);
  EXPECT_GT(machine.network.bandwidth, 0);
}

// The same of models, each in both types.
Measurements OfModels() {
  Measurements measured = Measured();
  measured.steps.clear();
  const std::vector<std::pair<std::string, int64_t>> models = {
      {"a", 64}, {"b", 128}, {"c", 256}, {"d", 512}, {"e", 1024}};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const auto& [model, size] : models) {
      StepSample step = model == "b" || model == "d"
                            ? StepOf(size, dtype, {64, 300, 1000})
                            : StepOf(size, dtype, {64, 128, 300, 500});
      step.model = model;
      measured.steps.push_back(std::move(step));
    }
  }
  return measured;
}

void Slow(Measurements& measured, const std::string& model, double factor) {
  for (StepSample& step : measured.steps) {
    if (step.model != model) continue;
    for (OpSample& op : step.ops) op.seconds *= factor;
    step.rest *= factor;
  }
}

TEST(CalibrateTest, EachModelIsForetoldFromTheOthers) {
  Measurements measured = OfModels();
  const Accuracy known = test::Value(FitHardware(measured, "mine")).accuracy;
  EXPECT_EQ(known.cases, 10);
  EXPECT_LT(known.p90, 1e-3);
  // One takes a quarter longer than the others let expect, and they, with it
  // among them, hardly less than is foretold.
  Slow(measured, "c", 1.25);
  const Accuracy off = test::Value(FitHardware(measured, "mine")).accuracy;
  EXPECT_EQ(off.cases, 10);
  EXPECT_NEAR(off.p90, 0.2, 0.02);
  EXPECT_LT(off.median, 0.1);
}

TEST(CalibrateTest, NoErrorIsKnownOfOneModelNorOfNoise) {
  EXPECT_EQ(test::Value(FitHardware(Measured(), "mine")).accuracy.cases, 0);
  Measurements noise = OfModels();
  Slow(noise, "c", 0.3);
  const Accuracy none = test::Value(FitHardware(noise, "mine")).accuracy;
  EXPECT_EQ(none.cases, 0);
  EXPECT_EQ(none.p90, 0);
  // All but one have no products.
  Measurements one = Measured();
  one.steps.push_back(one.steps.front());
  std::erase_if(one.steps.back().ops,
                [](const OpSample& op) { return op.name == "matmul"; });
  one.steps.back().model = "other";
  EXPECT_EQ(test::Value(FitHardware(one, "mine")).accuracy.cases, 0);
}

// Of one size nothing tells a call from its arithmetic.
TEST(CalibrateTest, ProductsOfOneSizeHaveARate) {
  Measurements measured = Measured();
  StepSample step = StepOf(64, DType::kF32, {64});
  step.ops.resize(1);
  step.moves.clear();
  step.rest = 0;
  measured.steps = {step, step};
  const Hardware machine = test::Value(FitHardware(measured, "mine"));
  const OpSample& product = step.ops[0];
  EXPECT_GT(machine.peak.f32, 0);
  EXPECT_NEAR(OpSeconds("matmul", product.cost, machine, ProductType::kAsIs),
              product.seconds, 1e-9);
}

// Sizes that are alike do not tell what a small op takes: not as much.
TEST(CalibrateTest, OpsOfAlikeSizesHaveNoLongCalls) {
  Measurements measured = Measured();
  StepSample step;
  for (const double bytes : {1e6, 1e6, 1.1e6, 1.1e6}) {
    const double noise =
        1 + 0.06 * (step.ops.size() % 2 == 0 ? 1 : -1) * (bytes > 1e6 ? -1 : 1);
    step.ops.push_back({"dropout", {.bytes_read = bytes}, bytes / 1e9 * noise});
  }
  measured.steps.push_back(step);
  const Hardware machine = test::Value(FitHardware(measured, "mine"));
  EXPECT_NEAR(
      OpSeconds("dropout", {.bytes_read = 1e6}, machine, ProductType::kAsIs),
      1e-3, 1e-4);
  EXPECT_LT(
      OpSeconds("dropout", {.bytes_read = 1e3}, machine, ProductType::kAsIs),
      1e-4);
}

TEST(CalibrateTest, ProductsAndCopiesAreNeeded) {
  Measurements measured = Measured();
  measured.moves.clear();
  EXPECT_EQ(FitHardware(measured, "mine").status().code(),
            absl::StatusCode::kInvalidArgument);
  measured = Measured();
  measured.steps.clear();
  EXPECT_EQ(FitHardware(measured, "mine").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace eisbach::plan::calibrate_test
