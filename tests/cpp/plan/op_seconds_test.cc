#include "plan/op_seconds.h"

#include <gtest/gtest.h>

#include "cpp/plan/plan_testing.h"

namespace eisbach::plan::op_seconds_test {
namespace {

OpCost Product(int64_t m, int64_t n, int64_t k, DType dtype = DType::kBF16) {
  return {.flops = 2.0 * static_cast<double>(m * n * k),
          .rows = m,
          .columns = n,
          .inner = k,
          .dtype = dtype};
}

double Seconds(const OpCost& cost, const Hardware& machine,
               ProductType products = ProductType::kAsIs) {
  return OpSeconds("matmul", cost, machine, products);
}

TEST(OpSecondsTest, ProductsTakeThePeakOfTheirType) {
  const Hardware machine = RoundMachine();
  const OpCost cost = Product(1000, 1000, 1000);
  EXPECT_DOUBLE_EQ(Seconds(cost, machine), 1e-3);
  EXPECT_DOUBLE_EQ(Seconds(Product(1000, 1000, 1000, DType::kF32), machine),
                   2e-3);
  EXPECT_DOUBLE_EQ(Seconds(cost, machine, ProductType::kF8), 0.5e-3);
  EXPECT_DOUBLE_EQ(Seconds(cost, machine, ProductType::kF4), 0.25e-3);
  // f32 stays f32, and a machine without f4 has f8.
  EXPECT_DOUBLE_EQ(Seconds(Product(1000, 1000, 1000, DType::kF32), machine,
                           ProductType::kF8),
                   2e-3);
  Hardware older = machine;
  older.peak.f4 = 0;
  EXPECT_DOUBLE_EQ(Seconds(cost, older, ProductType::kF4), 0.5e-3);
}

TEST(OpSecondsTest, TypesThatAMachineLacksAreNamed) {
  Hardware machine = RoundMachine();
  machine.peak.f8 = machine.peak.f4 = 1e15;
  EISBACH_EXPECT_OK(Check(ProductType::kF4, DType::kBF16, machine));
  machine.peak.f4 = 0;
  EXPECT_THAT(Check(ProductType::kF4, DType::kBF16, machine).message(),
              testing::HasSubstr("nearest that works: f8"));
  machine.peak.f8 = 0;
  EXPECT_THAT(Check(ProductType::kF8, DType::kBF16, machine).message(),
              testing::HasSubstr("nearest that works: as_is"));
  EISBACH_EXPECT_OK(Check(ProductType::kAsIs, DType::kBF16, machine));
  EISBACH_EXPECT_OK(Check(ProductType::kAsIs, DType::kF32, machine));
  EXPECT_THAT(Check(ProductType::kF8, DType::kF32, machine).message(),
              testing::HasSubstr("works: precision.compute=bf16"));
}

TEST(OpSecondsTest, TheSlowerOfComputeAndMemoryCounts) {
  Hardware machine = RoundMachine();
  machine.memory_fraction = 0.5;
  OpCost cost = Product(1000, 1000, 1000);
  cost.bytes_read = 1e9;
  cost.bytes_written = 1e9;
  EXPECT_DOUBLE_EQ(Seconds(cost, machine), 2e9 / 0.5e11);
  EXPECT_DOUBLE_EQ(
      OpSeconds("gelu", {.bytes_read = 1e8}, machine, ProductType::kAsIs),
      1e8 / 0.5e11);
  machine.kernel_gap = 0.1;
  EXPECT_DOUBLE_EQ(
      OpSeconds("gelu", {.bytes_read = 1e8}, machine, ProductType::kAsIs), 0.1);
}

TEST(OpSecondsTest, TilesAndWavesAreWhole) {
  Hardware machine = RoundMachine();
  machine.units = 100;
  machine.tile_rows = machine.tile_columns = 128;
  machine.matmul_fraction = 0.8;
  const auto efficiency = [&](double m, double n) {
    return ProductEfficiency(m, n, 1000, DType::kBF16, machine);
  };
  EXPECT_DOUBLE_EQ(efficiency(1280, 1280), 0.8);  // one full wave
  // A hundred and one tiles take two waves, unless smaller tiles are better.
  EXPECT_LT(efficiency(1280 + 128, 1280), 0.8 * 0.9);
  EXPECT_GT(efficiency(1280 + 128, 1280), 0.8 * 0.5);
  EXPECT_LT(efficiency(64, 64), 0.8 * 0.03);  // most units have nothing
  // More rows never take less time.
  double before = 0;
  for (int64_t rows = 1; rows < 3000; rows += 37) {
    const double seconds = Seconds(Product(rows, 1280, 1000), machine);
    EXPECT_GE(seconds, before * 0.999) << rows;
    before = seconds;
  }
}

// Several in one kernel share waves.
TEST(OpSecondsTest, GroupedProductsFillWavesTogether) {
  Hardware machine = RoundMachine();
  machine.units = 100;
  machine.tile_rows = machine.tile_columns = 128;
  const auto efficiency = [&](double rows, int64_t groups) {
    return ProductEfficiency(rows, 128, 1000, DType::kBF16, machine, groups);
  };
  EXPECT_DOUBLE_EQ(efficiency(128, 100), 1);
  EXPECT_LT(efficiency(128, 1), 0.05);
  EXPECT_LT(efficiency(128, 101), 0.9);
  // Tiles do not reach from one to the next.
  EXPECT_LT(efficiency(64 + 1, 100), efficiency(6500, 1));
  OpCost cost = Product(128, 128, 1000);
  const double one = OpSeconds("matmul", cost, machine, ProductType::kAsIs);
  cost.flops *= 100;
  const auto grouped = [&](int64_t groups) {
    return OpSeconds("grouped_matmul", cost, machine, ProductType::kAsIs,
                     /*unfused=*/{}, groups);
  };
  EXPECT_LT(grouped(100), 4 * one);  // a tile each, as one has small ones
  EXPECT_GT(grouped(1), 90 * one);
}

TEST(OpSecondsTest, ShortInnerSizesFillNoPipeline) {
  Hardware machine = RoundMachine();
  machine.half_f16.inner = 500;
  const auto efficiency = [&](double inner, DType dtype) {
    return ProductEfficiency(1000, 1000, inner, dtype, machine);
  };
  EXPECT_DOUBLE_EQ(efficiency(500, DType::kBF16), 0.5);
  EXPECT_DOUBLE_EQ(efficiency(1500, DType::kBF16), 0.75);
  EXPECT_DOUBLE_EQ(efficiency(500, DType::kF32), 1);
}

TEST(OpSecondsTest, SmallSidesTakeTheirPart) {
  Hardware machine = RoundMachine();
  machine.half_f16 = {.rows = 100, .columns = 200, .inner = 300};
  EXPECT_DOUBLE_EQ(Seconds(Product(100, 200, 300), machine),
                   4 * 2.0 * 100 * 200 * 300 / 2e12);
}

TEST(OpSecondsTest, WhatWasMeasuredComesFirst) {
  Hardware machine = RoundMachine();
  machine.speeds["gelu"] = {.call = 1e-6, .flop = 1e-9, .byte = 2e-9};
  machine.speeds_f16["attention_forward"] = {.row = 1e-9};
  machine.speeds["matmul"] = {.call = 5e-6};
  const auto seconds = [&](absl::string_view name, const OpCost& cost) {
    return OpSeconds(name, cost, machine, ProductType::kAsIs);
  };
  EXPECT_DOUBLE_EQ(seconds("gelu", {.flops = 1e3, .bytes_written = 1e3}),
                   1e-6 + 3e-6);
  EXPECT_DOUBLE_EQ(
      seconds("attention_forward",
              {.flops = 64e3, .columns = 64, .dtype = DType::kBF16}),
      1e-6);
  // In f32 it was not measured, and takes the peak.
  EXPECT_DOUBLE_EQ(seconds("attention_forward", {.flops = 1e6, .columns = 64}),
                   1e-6);
  EXPECT_DOUBLE_EQ(Seconds(Product(1000, 1000, 1000, DType::kF32), machine),
                   2e-3 + 5e-6);
  EXPECT_DOUBLE_EQ(seconds("silu", {.bytes_read = 1e8}), 1e-3);
}

TEST(OpSecondsTest, AttentionHasItsOwnRates) {
  Hardware machine = RoundMachine();
  machine.attention_forward = 0.5;
  machine.attention_backward = 0.25;
  const OpCost cost{.flops = 2e9, .columns = 64, .dtype = DType::kBF16};
  const auto seconds = [&](absl::string_view name, bool plain) {
    return OpSeconds(name, cost, machine, ProductType::kAsIs,
                     {.attention = plain});
  };
  EXPECT_DOUBLE_EQ(seconds("attention_forward", false), 2e-3);
  EXPECT_DOUBLE_EQ(seconds("attention_backward", false), 4e-3);
  // All pairs at the rate of products, and scores by way of memory.
  const double pairs = 2 * 2e9 / (2 * 2 * 64.0);
  EXPECT_DOUBLE_EQ(seconds("attention_forward", true),
                   4e9 / 2e12 + 13 * pairs / 1e11);
}

TEST(OpSecondsTest, AnUnfusedLossGoesThroughMemoryInF32) {
  const auto seconds = [](absl::string_view name, bool plain) {
    const OpCost cost{.flops = 4e8,
                      .bytes_read = 2e8,
                      .bytes_written = name == "gelu" ? 0.0 : 2e8,
                      .dtype = DType::kBF16};
    return OpSeconds(name, cost, RoundMachine(), ProductType::kAsIs,
                     {.loss = plain});
  };
  EXPECT_DOUBLE_EQ(seconds("cross_entropy_backward", false), 4e-3);
  EXPECT_DOUBLE_EQ(seconds("cross_entropy_backward", true), 22e-3);
  EXPECT_DOUBLE_EQ(seconds("cross_entropy_stats", true), 18e-3);
  EXPECT_DOUBLE_EQ(seconds("gelu", true), seconds("gelu", false));
}

}  // namespace
}  // namespace eisbach::plan::op_seconds_test
