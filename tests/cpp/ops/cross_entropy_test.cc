#include "ops/cross_entropy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/elementwise.h"
#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::cross_entropy_test {
namespace {

using test::Empty;
using test::ExpectClose;
using test::FromValues;
using test::Indices;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// One rank's part of the vocabulary.
struct Shard {
  Tensor logits;
  int64_t first_column;
  int64_t valid_columns;
};

// Divides [N, vocab] into parts of `columns`, the last with padding that holds
// what must never be read as a logit.
std::vector<Shard> Divide(const Tensor& logits, int64_t columns) {
  const int64_t tokens = logits.dim(0), vocab = logits.dim(1);
  const std::vector<double> values = ToDoubles(logits);
  std::vector<Shard> shards;
  for (int64_t first = 0; first < vocab + columns; first += columns) {
    const int64_t valid = std::clamp<int64_t>(vocab - first, 0, columns);
    std::vector<double> part;
    for (int64_t t = 0; t < tokens; ++t) {
      for (int64_t c = 0; c < columns; ++c) {
        part.push_back(c < valid ? values[t * vocab + first + c] : 1e4);
      }
    }
    shards.push_back(
        {FromValues({tokens, columns}, logits.dtype(), part), first, valid});
  }
  return shards;
}

ops::CrossEntropyOutput Forward(const std::vector<Shard>& shards,
                                const Tensor& targets,
                                const Tensor* counted = nullptr) {
  const int64_t tokens = targets.dim(0);
  int64_t vocab = 0;
  const Tensor all =
      Empty({static_cast<int64_t>(shards.size()), tokens, 3}, DType::kF32);
  for (size_t r = 0; r < shards.size(); ++r) {
    const Tensor stats = Value(ops::CrossEntropyStats(
        shards[r].logits, targets, shards[r].first_column,
        shards[r].valid_columns, TheStream()));
    const Tensor slot = Value(Value(all.Narrow(0, r, 1)).View({tokens, 3}));
    EXPECT_THAT(ops::Copy(stats, slot, TheStream()), IsOk());
    vocab += shards[r].valid_columns;
  }
  return Value(
      ops::CrossEntropyCombine(all, targets, vocab, TheStream(), counted));
}

TEST(CrossEntropy, MatchesTheFormulaForEveryDivision) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t tokens : {0, 1, 5}) {
      for (int64_t vocab : {1, 7, 33, 256}) {
        const Tensor logits = Normal({tokens, vocab}, dtype, 1, 4.0);
        const Tensor targets = Indices({tokens}, DType::kI32, vocab, 2);
        const std::vector<double> x = ToDoubles(logits), t = ToDoubles(targets);
        std::vector<double> lse, loss, gradient;
        for (int64_t i = 0; i < tokens; ++i) {
          double sum = 0;
          for (int64_t c = 0; c < vocab; ++c) sum += std::exp(x[i * vocab + c]);
          lse.push_back(std::log(sum));
          loss.push_back(lse[i] - x[i * vocab + static_cast<int64_t>(t[i])]);
          for (int64_t c = 0; c < vocab; ++c) {
            gradient.push_back(
                0.25 * (std::exp(x[i * vocab + c] - lse[i]) - (c == t[i])));
          }
        }
        for (int64_t columns : {vocab, (vocab + 1) / 2, (vocab + 3) / 3}) {
          const std::vector<Shard> shards = Divide(logits, columns);
          const ops::CrossEntropyOutput out = Forward(shards, targets);
          ExpectClose(out.lse, lse, 1e-6);
          ExpectClose(out.loss, loss, 1e-6);
          for (const Shard& shard : shards) {
            EXPECT_THAT(ops::CrossEntropyBackward(
                            shard.logits, targets, out.lse, shard.first_column,
                            shard.valid_columns, 0.25f, TheStream()),
                        IsOk());
            std::vector<double> expected;
            for (int64_t i = 0; i < tokens; ++i) {
              for (int64_t c = 0; c < columns; ++c) {
                expected.push_back(
                    c < shard.valid_columns
                        ? gradient[i * vocab + shard.first_column + c]
                        : 0);
              }
            }
            ExpectClose(shard.logits, expected);
          }
        }
      }
    }
  }
}

// With all logits' rows on one rank or divided, with padding and a row that is
// masked; each term alone and both.
TEST(CrossEntropy, TermsMatchTheFormulaForEveryDivision) {
  const ops::LossTerms all_terms[] = {
      {.z_loss = 0.01f},
      {.label_smoothing = 0.2f},
      {.z_loss = 0.5f, .label_smoothing = 0.1f}};
  constexpr int64_t kTokens = 4;
  for (const ops::LossTerms& terms : all_terms) {
    for (DType dtype : test::kFloatDTypes) {
      for (int64_t vocab : {1, 33, 1030}) {
        const Tensor logits = Normal({kTokens, vocab}, dtype, 1, 2.0);
        std::vector<double> t =
            ToDoubles(Indices({kTokens}, DType::kI32, vocab, 2));
        t[1] = -100;
        const Tensor targets = FromValues({kTokens}, DType::kI32, t);
        const std::vector<double> x = ToDoubles(logits);
        const double rest = static_cast<double>(vocab);
        std::vector<double> loss, added(2 * kTokens, 0.0), gradient;
        for (int64_t i = 0; i < kTokens; ++i) {
          const double* row = &x[i * vocab];
          double sum = 0, mean = 0;
          for (int64_t c = 0; c < vocab; ++c) {
            sum += std::exp(row[c]);
            mean += row[c] / rest;
          }
          const double lse = std::log(sum);
          if (t[i] < 0) {
            loss.push_back(0);
            gradient.insert(gradient.end(), vocab, 0.0);
            continue;
          }
          const double at = row[static_cast<int64_t>(t[i])];
          loss.push_back(lse - at);
          added[i] = terms.z_loss * lse * lse;
          added[kTokens + i] = terms.label_smoothing * (at - mean);
          for (int64_t c = 0; c < vocab; ++c) {
            const double hot = c == t[i] ? 1 - terms.label_smoothing : 0.0;
            gradient.push_back(
                0.25 * (std::exp(row[c] - lse) * (1 + 2 * terms.z_loss * lse) -
                        hot - terms.label_smoothing / rest));
          }
        }
        for (int64_t columns : {vocab, (vocab + 2) / 3}) {
          const std::vector<Shard> shards = Divide(logits, columns);
          const int64_t width = terms.label_smoothing == 0 ? 3 : 4;
          const Tensor all =
              Empty({static_cast<int64_t>(shards.size()), kTokens, width},
                    DType::kF32);
          for (size_t r = 0; r < shards.size(); ++r) {
            const Tensor slot =
                Value(Value(all.Narrow(0, r, 1)).View({kTokens, width}));
            EXPECT_THAT(
                ops::Copy(Value(ops::CrossEntropyStats(
                              shards[r].logits, targets, shards[r].first_column,
                              shards[r].valid_columns, TheStream(),
                              /*with_sum=*/width == 4)),
                          slot, TheStream()),
                IsOk());
          }
          const ops::CrossEntropyOutput out = Value(ops::CrossEntropyCombine(
              all, targets, vocab, TheStream(), nullptr, terms));
          ExpectClose(out.loss, loss, 1e-6);
          ExpectClose(out.added, added, 4e-6);
          for (const Shard& shard : shards) {
            EXPECT_THAT(ops::CrossEntropyBackward(
                            shard.logits, targets, out.lse, shard.first_column,
                            shard.valid_columns, 0.25f, TheStream(), nullptr,
                            nullptr, terms, vocab),
                        IsOk());
            std::vector<double> expected;
            for (int64_t i = 0; i < kTokens; ++i) {
              for (int64_t c = 0; c < columns; ++c) {
                expected.push_back(
                    c < shard.valid_columns
                        ? gradient[i * vocab + shard.first_column + c]
                        : 0);
              }
            }
            ExpectClose(shard.logits, expected);
          }
        }
      }
    }
  }
}

// Rows that many threads share, with padding inside the last vector.
TEST(CrossEntropy, MatchesTheFormulaOnLongRows) {
  constexpr int64_t kTokens = 3, kColumns = 8200, kValid = 8195;
  for (DType dtype : test::kFloatDTypes) {
    std::vector<double> values =
        ToDoubles(Normal({kTokens, kColumns}, dtype, 1, 4.0));
    const std::vector<int64_t> t = {0, 4097, kValid - 1};
    std::vector<double> lse, loss, gradient;
    for (int64_t i = 0; i < kTokens; ++i) {
      double* x = &values[i * kColumns];
      std::fill(x + kValid, x + kColumns, 1e4);
      double sum = 0;
      for (int64_t c = 0; c < kValid; ++c) sum += std::exp(x[c]);
      lse.push_back(std::log(sum));
      loss.push_back(lse[i] - x[t[i]]);
      for (int64_t c = 0; c < kColumns; ++c) {
        gradient.push_back(c < kValid ? std::exp(x[c] - lse[i]) - (c == t[i])
                                      : 0.0);
      }
    }
    const Tensor logits = FromValues({kTokens, kColumns}, dtype, values);
    const Tensor targets =
        FromValues({kTokens}, DType::kI32, {t.begin(), t.end()});
    const ops::CrossEntropyOutput out = Forward({{logits, 0, kValid}}, targets);
    ExpectClose(out.lse, lse, 1e-6);
    ExpectClose(out.loss, loss, 1e-6);
    EXPECT_THAT(ops::CrossEntropyBackward(logits, targets, out.lse, 0, kValid,
                                          1.0f, TheStream()),
                IsOk());
    // The smallest probabilities count as well, relative to themselves.
    ExpectClose(logits, gradient,
                dtype == DType::kF32 ? 1e-5 : test::Tolerance(dtype), 1e-3);
  }
}

TEST(CrossEntropy, BackwardIsTheGradient) {
  const Tensor logits = Normal({4, 11}, DType::kF32, 1);
  const Tensor targets = Indices({4}, DType::kI32, 11, 2);
  const auto loss = [&] {
    double sum = 0;
    for (double v : ToDoubles(Forward({{logits, 0, 11}}, targets).loss)) {
      sum += v;
    }
    return sum;
  };
  const Tensor gradient = test::Clone(logits);
  EXPECT_THAT(ops::CrossEntropyBackward(gradient, targets,
                                        Forward({{logits, 0, 11}}, targets).lse,
                                        0, 11, 1.0f, TheStream()),
              IsOk());
  test::ExpectGradient(logits, gradient, loss);
}

// loss and gradient of a prediction that is almost sure are small, but right.
TEST(CrossEntropy, KeepsPrecisionWhenConfident) {
  const Tensor logits = FromValues({1, 3}, DType::kF32, {50, 36, 35});
  const Tensor targets = FromValues({1}, DType::kI32, {0});
  const double expected = std::log1p(std::exp(-14.0) + std::exp(-15.0));
  const ops::CrossEntropyOutput out = Forward({{logits, 0, 3}}, targets);
  EXPECT_NEAR(ToDoubles(out.loss)[0] / expected, 1.0, 0.05);
}

TEST(CrossEntropy, StatsOfARankWithoutColumnsAreNeutral) {
  const Tensor stats = Value(ops::CrossEntropyStats(
      Normal({2, 4}, DType::kF32, 1), Indices({2}, DType::kI32, 4, 2), 8, 0,
      TheStream()));
  EXPECT_EQ(ToDoubles(stats), (std::vector<double>{-kInf, 0, 0, -kInf, 0, 0}));
}

TEST(CrossEntropy, NaNReachesLossAndGradientOfItsTokenAlone) {
  for (int at : {0, 3, 8, 20}) {
    std::vector<double> values = test::NormalValues(63, 1);
    values[21 + at] = kNaN;
    const Tensor logits = FromValues({3, 21}, DType::kF32, values);
    const Tensor targets = FromValues({3}, DType::kI32, {1, 2, 3});
    const ops::CrossEntropyOutput out = Forward({{logits, 0, 21}}, targets);
    const std::vector<double> loss = ToDoubles(out.loss);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(std::isnan(loss[i]), i == 1);
    EXPECT_THAT(ops::CrossEntropyBackward(logits, targets, out.lse, 0, 21, 1.0f,
                                          TheStream()),
                IsOk());
    const std::vector<double> gradient = ToDoubles(logits);
    for (int i = 0; i < 63; ++i) {
      EXPECT_EQ(std::isnan(gradient[i]), i / 21 == 1) << i;
    }
  }
}

// Rows in more than one block of a GPU, over ranks of which each holds a part.
TEST(CrossEntropy, MaskedRowsHaveNoLossAndNoGradient) {
  constexpr int64_t kVocab = 33;
  const auto masked = [](int64_t row) { return row % 3 == 1; };
  for (DType dtype : test::kFloatDTypes) {
    // More than a block of the GPU counts, for one of them.
    const int64_t tokens = dtype == DType::kF32 ? 300 : 30;
    const Tensor logits = Normal({tokens, kVocab}, dtype, 1, 4.0);
    const Tensor plain = Indices({tokens}, DType::kI32, kVocab, 2);
    std::vector<double> values = ToDoubles(plain);
    for (int64_t i = 0; i < tokens; ++i) {
      if (masked(i)) values[i] = i % 2 == 0 ? -100 : -1;
    }
    const Tensor targets = FromValues({tokens}, DType::kI32, values);
    const std::vector<Shard> shards = Divide(logits, 20);
    const std::vector<double> want = ToDoubles(Forward(shards, plain).loss);
    const Tensor counted = FromValues({1}, DType::kF64, {7});
    const ops::CrossEntropyOutput out = Forward(shards, targets, &counted);
    EXPECT_EQ(ToDoubles(counted)[0], 7 + 2 * tokens / 3);
    const std::vector<double> loss = ToDoubles(out.loss);
    for (int64_t i = 0; i < tokens; ++i) {
      EXPECT_EQ(loss[i], masked(i) ? 0 : want[i]);
    }
    const ops::CrossEntropyOutput all = Forward(shards, plain);
    for (const Shard& shard : shards) {
      const Tensor expected = test::Clone(shard.logits);
      const auto backward = [&](const Tensor& x, const Tensor& of,
                                const Tensor& lse) {
        EXPECT_THAT(
            ops::CrossEntropyBackward(x, of, lse, shard.first_column,
                                      shard.valid_columns, 0.25f, TheStream()),
            IsOk());
        return ToDoubles(x);
      };
      const std::vector<double> w = backward(expected, plain, all.lse);
      const std::vector<double> g = backward(shard.logits, targets, out.lse);
      for (size_t i = 0; i < g.size(); ++i) {
        EXPECT_EQ(g[i], masked(i / 20) ? 0 : w[i]) << i;
      }
    }
  }
}

// A rank's padding stands for no token either.
TEST(CrossEntropy, RefusesTargetsOutsideTheVocabulary) {
  const Tensor logits = Normal({3, 8}, DType::kF32, 1);
  for (int target : {5, 7, 999}) {
    const Tensor targets =
        FromValues({3}, DType::kI32, {1, static_cast<double>(target), -100});
    const Tensor stats =
        Value(ops::CrossEntropyStats(logits, targets, 0, 5, TheStream()));
    const auto out = ops::CrossEntropyCombine(Value(stats.View({1, 3, 3})),
                                              targets, 5, TheStream());
    if (test::TheDevice().type() == DeviceType::kCpu) {
      EXPECT_THAT(out.status(),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           absl::StrCat("target ", target,
                                        " at position 1 is outside the "
                                        "vocabulary of 5")));
      continue;
    }
    EXPECT_TRUE(std::isnan(ToDoubles(out->loss)[1]));
    EXPECT_FALSE(std::isnan(ToDoubles(out->loss)[0]));
    EXPECT_THAT(ops::CrossEntropyBackward(logits, targets, out->lse, 0, 5, 1.0f,
                                          TheStream()),
                IsOk());
    EXPECT_TRUE(std::isnan(ToDoubles(logits)[8]));
  }
}

TEST(CrossEntropy, MultipliesTheGradientByAFactorOnTheDevice) {
  const Tensor factor = FromValues({1}, DType::kF32, {1024});
  for (DType dtype : test::kFloatDTypes) {
    const Tensor logits = Normal({5, 33}, dtype, 1);
    const Tensor targets = Indices({5}, DType::kI32, 30, 2);
    const Tensor lse = Forward({{logits, 0, 30}}, targets).lse;
    const Tensor plain = test::Clone(logits), scaled = test::Clone(logits);
    EXPECT_THAT(ops::CrossEntropyBackward(plain, targets, lse, 0, 30, 512.0f,
                                          TheStream()),
                IsOk());
    EXPECT_THAT(ops::CrossEntropyBackward(scaled, targets, lse, 0, 30, 0.5f,
                                          TheStream(), &factor),
                IsOk());
    EXPECT_EQ(test::ToBytes(scaled), test::ToBytes(plain));
  }
}

TEST(CrossEntropy, WeighsRowsInTheGradient) {
  const Tensor logits = Normal({3, 30}, DType::kF32, 1);
  const Tensor targets = Indices({3}, DType::kI32, 30, 2);
  const Tensor weights = FromValues({3}, DType::kF32, {-2, 0, 0.5});
  const Tensor lse = Normal({3}, DType::kF32, 3);
  const auto backward = [&](const Tensor* by) {
    const Tensor x = test::Clone(logits);
    EXPECT_THAT(ops::CrossEntropyBackward(x, targets, lse, 0, 30, 1.0f,
                                          TheStream(), nullptr, by),
                IsOk());
    return ToDoubles(x);
  };
  const std::vector<double> plain = backward(nullptr);
  const std::vector<double> weighed = backward(&weights);
  for (int i = 0; i < 90; ++i) {
    EXPECT_EQ(weighed[i], plain[i] * ToDoubles(weights)[i / 30]);
  }
}

TEST(CrossEntropy, DoesNotDependOnThreads) {
  const Tensor logits = Normal({3000, 77}, DType::kBF16, 1);
  const Tensor targets = Indices({3000}, DType::kI32, 77, 2);
  test::ExpectThreadInvariant([&] {
    const Tensor x = test::Clone(logits);
    const ops::CrossEntropyOutput out = Forward({{x, 0, 77}}, targets);
    EXPECT_THAT(ops::CrossEntropyBackward(x, targets, out.lse, 0, 77, 0.5f,
                                          TheStream()),
                IsOk());
    return std::vector<Tensor>{out.lse, out.loss, x};
  });
}

TEST(CrossEntropy, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor logits = Normal({3, 64}, dtype, 1),
                 targets = Indices({3}, DType::kI32, 61, 2),
                 stats = Normal({3, 3}, DType::kF32, 3),
                 lse = FromValues({3}, DType::kF32, {3, 4, 5}),
                 loss = Empty({3}, DType::kF32),
                 factor = FromValues({1}, DType::kF32, {0.5});
    test::ExpectAnyAlignment({logits, targets, stats},
                             [](const std::vector<Tensor>& t) {
                               return ops::CrossEntropyStatsSlot().Run(
                                   {t[0], t[1], 0, 61, t[2]}, {}, TheStream());
                             });
    test::ExpectAnyAlignment(
        {FromValues({1, 3, 3}, DType::kF32, {1, 2, 1, 2, 3, 0, 4, 5, 1}),
         targets, lse, loss},
        [](const std::vector<Tensor>& t) {
          return ops::CrossEntropyCombineSlot().Run(
              {t[0], t[1], 61, nullptr, {}, t[2], t[3], nullptr}, {},
              TheStream());
        });
    test::ExpectAnyAlignment(
        {logits, targets, lse, factor}, [](const std::vector<Tensor>& t) {
          return ops::CrossEntropyBackward(t[0], t[1], t[2], 0, 61, 1.0f,
                                           TheStream(), &t[3]);
        });
  }
}

TEST(CrossEntropy, NamesWhatDoesNotFit) {
  const Tensor logits = Normal({2, 4}, DType::kF32, 1);
  const Tensor targets = Indices({2}, DType::kI32, 4, 2);
  EXPECT_THAT(
      ops::CrossEntropyStats(logits, targets, 0, 5, TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "valid_columns=5 is outside [0, 4]"));
  EXPECT_THAT(ops::CrossEntropyStats(logits, Indices({3}, DType::kI32, 4, 2), 0,
                                     4, TheStream())
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "targets=i32[3] on cpu must have the shape [2]"));
  EXPECT_THAT(ops::CrossEntropyCombine(Normal({2, 3}, DType::kF32, 1), targets,
                                       4, TheStream())
                  .status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "must be [ranks >= 1, tokens, 3]"));
}

TEST(CrossEntropy, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  Stream& stream = test::MetaStream();
  const Tensor logits = Empty({6, 16}, DType::kBF16, meta);
  const Tensor targets = Empty({6}, DType::kI32, meta);
  const auto costs = test::MetaCosts([&] {
    const Tensor stats =
        Value(ops::CrossEntropyStats(logits, targets, 0, 10, stream));
    EXPECT_EQ(stats.shape(), (Shape{6, 3}));
    const ops::CrossEntropyOutput out = Value(ops::CrossEntropyCombine(
        Value(stats.View({1, 6, 3})), targets, 10, stream));
    EXPECT_EQ(out.loss.shape(), (Shape{6}));
    EXPECT_THAT(ops::CrossEntropyBackward(logits, targets, out.lse, 0, 10, 1.0f,
                                          stream),
                IsOk());
  });
  ASSERT_EQ(costs.size(), 3u);
  EXPECT_EQ(costs[0].second.bytes_read, 120 + 24);
  EXPECT_EQ(costs[0].second.bytes_written, 72);
  EXPECT_EQ(costs[2].second.bytes_read, 120 + 24 + 24);
  EXPECT_EQ(costs[2].second.bytes_written, 192);
}

}  // namespace
}  // namespace eisbach::cross_entropy_test
