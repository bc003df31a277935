#pragma once

#include <string>
#include <vector>

#include "ops/cuda/activation_kernels.h"
#include "ops/cuda/cross_entropy_kernels.h"
#include "ops/cuda/dropout_kernels.h"
#include "ops/cuda/embedding_kernels.h"
#include "ops/cuda/matmul_kernels.h"
#include "ops/cuda/norm_kernels.h"
#include "ops/cuda/reduce_kernels.h"
#include "ops/cuda/rope_kernels.h"
#include "ops/cuda/softmax_kernels.h"
#include "support/cuda/wide.h"
#include "wide_element_cases.h"

// Cases of wide_test.cc whose units are rows.
namespace eisbach::cuda {

inline constexpr int64_t kWidth = 4096;
inline constexpr int64_t kRows = kPast / kWidth + 2;

inline std::vector<WideCase> RowCases() {
  const WideOperand row = {kT, kWidth}, twice = {kT, 2 * kWidth},
                    f32 = {Fill::kF32};
  std::vector<WideCase> cases;
  cases.push_back({"SwigluForward",
                   {"SwigluForwardKernel"},
                   kRows,
                   1,
                   {twice, row},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchSwigluForward(kType, p[0], p[1], rows, kWidth,
                                                false, TheStream());
                   },
                   16});
  cases.push_back({"SwigluBackward",
                   {"SwigluBackwardKernel"},
                   kRows,
                   1,
                   {row, twice, twice},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchSwigluBackward(kType, p[0], p[1], p[2], rows,
                                                 kWidth, false, TheStream());
                   },
                   16});
  cases.push_back({"Rope",
                   {"RopeKernel"},
                   kPast / 256 + 2,
                   2,
                   {{kT, 256}},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchRope(kType, p[0], Shared<float>(64), nullptr,
                                       rows, 256, 1, 3, 64, 32, false,
                                       TheStream());
                   }});
  for (int64_t width : {int64_t{64}, 4 * kWidth}) {
    const std::string name = width == 64 ? "Narrow" : "Wide";
    const WideOperand x = {kT, width};
    cases.push_back({"SoftmaxForward" + name,
                     {"SoftmaxForwardKernel"},
                     kPast / width + 2,
                     2,
                     {x, x},
                     [=](char* const* p, int64_t, int64_t rows) {
                       return LaunchSoftmaxForward(kType, p[0], p[1], rows,
                                                   width, TheStream());
                     }});
    cases.push_back({"SoftmaxBackward" + name,
                     {"SoftmaxBackwardKernel"},
                     kPast / width + 2,
                     2,
                     {x, x, x},
                     [=](char* const* p, int64_t, int64_t rows) {
                       return LaunchSoftmaxBackward(kType, p[0], p[1], p[2],
                                                    rows, width, TheStream());
                     }});
    for (bool again : {false, true}) {
      cases.push_back({(again ? "Normalize" : "NormForward") + name,
                       {"NormForwardKernel"},
                       kPast / width + 2,
                       2,
                       {x, x, x, x, f32, f32},
                       [=](char* const* p, int64_t, int64_t rows) {
                         const NormOperands operands = {kType,
                                                        rows,
                                                        width,
                                                        /*inner=*/1,
                                                        /*stride=*/width,
                                                        p[0],
                                                        again ? nullptr : p[1],
                                                        Shared<uint16_t>(width),
                                                        Shared<uint16_t>(width),
                                                        again ? nullptr : p[2],
                                                        p[3],
                                                        As<float>(p[4]),
                                                        As<float>(p[5])};
                         return again ? LaunchNormalize(operands, TheStream())
                                      : LaunchNormForward(operands, 1e-5f,
                                                          TheStream());
                       }});
    }
  }
  // A row a block.
  constexpr int64_t kLong = 4 * kWidth;
  const WideOperand long_row = {kT, kLong};
  cases.push_back({"NormBackward",
                   {"NormBackwardKernel"},
                   kPast / kLong + 2,
                   1,
                   {long_row,
                    long_row,
                    long_row,
                    long_row,
                    f32,
                    f32,
                    {Fill::kF32, kLong, 2}},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchNormBackward(
                         {kType, true, rows, kLong, 1, kLong, p[0], p[1], p[2],
                          Shared<uint16_t>(kLong), As<float>(p[4]),
                          As<float>(p[5]), p[3]},
                         static_cast<int>(rows), As<float>(p[6]), TheStream());
                   }});
  cases.push_back({"CrossEntropyStats",
                   {"StatsKernel"},
                   kRows,
                   2,
                   {row, {Fill::kSmall}, {Fill::kF32, 3}},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchCrossEntropyStats(
                         kType, p[0], As<int>(p[1]), {rows, kWidth, kWidth, 0},
                         As<float>(p[2]), 3, TheStream());
                   }});
  cases.push_back({"CrossEntropyBackward",
                   {"BackwardKernel"},
                   kRows,
                   1,
                   {row, {Fill::kSmall}, f32},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchCrossEntropyBackward(
                         kType, p[0], As<int>(p[1]), As<float>(p[2]),
                         {rows, kWidth, kWidth, 0}, 1.0f, nullptr, nullptr,
                         {0, 0, 32}, TheStream());
                   }});
  cases.push_back({"Dropout",
                   {"DropoutKernel"},
                   kRows,
                   1,
                   {row, row, {Fill::kI64}},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchDropout(
                         kType, p[0], p[1], {rows, 0, 1, kWidth, 0}, 7, 8,
                         As<int64_t>(p[2]), &kStep,
                         /*places=*/nullptr, 1u << 22, 2.0f, TheStream());
                   },
                   16});
  cases.push_back({"AddBias",
                   {"AddBiasKernel"},
                   kRows,
                   1,
                   {row},
                   [](char* const* p, int64_t, int64_t rows) {
                     return LaunchAddBias(kType, Type::kF32, p[0],
                                          Shared<float>(kWidth), rows, kWidth,
                                          kWidth, TheStream());
                   },
                   16});
  // Two rows of x a chunk.
  constexpr int64_t kLongest = 1 << 17;
  cases.push_back({"ColumnSum",
                   {"ColumnSumKernel"},
                   kPast / kLongest + 2,
                   1,
                   {{kT, 2 * kLongest}, {Fill::kF32, kLongest}},
                   [](char* const* p, int64_t, int64_t chunks) {
                     return LaunchColumnSum(kType, p[0], 2 * chunks, kLongest,
                                            2, true, As<float>(p[1]),
                                            TheStream());
                   },
                   4,
                   64});
  // A row of bytes of the table for each token, its own.
  cases.push_back({"EmbeddingForward",
                   {"EmbeddingForwardKernel"},
                   8 * kPast / kWidth + 2,
                   1,
                   {{Fill::kIndex}, row, row},
                   [](char* const* p, int64_t first, int64_t tokens) {
                     return LaunchEmbeddingForward(
                         As<int32_t>(p[0]), tokens, p[1], first, tokens,
                         int64_t{1} << 30, kWidth * 2, p[2], TheStream());
                   }});
  return cases;
}

}  // namespace eisbach::cuda
