#include "ops/embedding.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::embedding_test {
namespace {

using test::Empty;
using test::ExpectClose;
using test::Indices;
using test::IsOk;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

TEST(EmbeddingForward, LooksRowsUp) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t width : {1, 5, 8, 33}) {
      const Tensor ids = Indices({3, 7}, DType::kI32, 20, 1);
      const Tensor weight = Normal({6, width}, dtype, 2);
      const int64_t first_row = 9;  // ids below 9 and from 15 on are others'
      const Tensor y =
          Value(ops::EmbeddingForward(ids, weight, first_row, 20, TheStream()));
      EXPECT_EQ(y.shape(), (Shape{3, 7, width}));
      const std::vector<double> id = ToDoubles(ids), w = ToDoubles(weight);
      std::vector<double> expected;
      for (double i : id) {
        const int64_t row = static_cast<int64_t>(i) - first_row;
        for (int64_t c = 0; c < width; ++c) {
          expected.push_back(row >= 0 && row < 6 ? w[row * width + c] : 0);
        }
      }
      EXPECT_EQ(ToDoubles(y), expected);
    }
  }
}

TEST(EmbeddingForward, AcceptsNoIds) {
  const Tensor y = Value(ops::EmbeddingForward(Empty({2, 0}, DType::kI32),
                                               Normal({4, 3}, DType::kF32, 1),
                                               0, 4, TheStream()));
  EXPECT_EQ(y.shape(), (Shape{2, 0, 3}));
}

// A rank's rows may end in padding, which stands for no token either.
TEST(EmbeddingForward, RefusesIdsOutsideTheVocabulary) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t width : {3, 16, 33}) {
      for (int64_t bad : {-1, 5, 999}) {
        const Tensor ids = test::FromValues(
            {2, 2}, DType::kI32, {1, 4, static_cast<double>(bad), 0});
        const auto y = ops::EmbeddingForward(ids, Normal({6, width}, dtype, 2),
                                             0, 5, TheStream());
        const Tensor dweight = Empty({6, width}, DType::kF32);
        const absl::Status backward =
            ops::EmbeddingBackward(Normal({2, 2, width}, dtype, 3), ids, 0, 5,
                                   false, dweight, TheStream());
        if (test::TheDevice().type() == DeviceType::kCpu) {
          const auto refused =
              StatusIs(absl::StatusCode::kInvalidArgument,
                       absl::StrCat("token ", bad,
                                    " at position 0 of sample 1 is outside "
                                    "the vocabulary of 5"));
          EXPECT_THAT(y.status(), refused);
          EXPECT_THAT(backward, refused);
          continue;
        }
        const std::vector<double> values = ToDoubles(*y);
        for (int64_t i = 0; i < 4 * width; ++i) {
          EXPECT_EQ(std::isnan(values[i]), i / width == 2) << i;
        }
        EXPECT_THAT(backward, IsOk());
      }
    }
  }
}

TEST(EmbeddingBackward, AddsContributionsInOrder) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t width : {1, 7, 16, 33, 100}) {
      const Tensor ids = Indices({5, 9}, DType::kI32, 12, 1);
      const Tensor dy = Normal({5, 9, width}, dtype, 2);
      const int64_t first_row = 2, rows = 8;
      const std::vector<double> id = ToDoubles(ids), g = ToDoubles(dy);
      std::vector<float> expected(rows * width, 0.0f);
      for (size_t i = 0; i < id.size(); ++i) {
        const int64_t row = static_cast<int64_t>(id[i]) - first_row;
        if (row < 0 || row >= rows) continue;
        for (int64_t c = 0; c < width; ++c) {
          expected[row * width + c] += static_cast<float>(g[i * width + c]);
        }
      }
      const Tensor dweight = Normal({rows, width}, DType::kF32, 3);
      EXPECT_THAT(ops::EmbeddingBackward(dy, ids, first_row, 12, false, dweight,
                                         TheStream()),
                  IsOk());
      EXPECT_EQ(test::ToFloats(dweight), expected);
      EXPECT_THAT(ops::EmbeddingBackward(dy, ids, first_row, 12, true, dweight,
                                         TheStream()),
                  IsOk());
      ExpectClose(
          dweight,
          [&] {
            std::vector<double> twice(expected.begin(), expected.end());
            for (double& v : twice) v *= 2;
            return twice;
          }(),
          1e-6, 4);
    }
  }
}

// Many contributions to few rows, and many rows.
TEST(EmbeddingBackward, KeepsTheOrderAtAnySize) {
  struct {
    int64_t tokens, bound, width;
    DType dtype;
  } cases[] = {{300, 3, 264, DType::kBF16},
               {300, 1, 5, DType::kF32},
               {1000, 70, 8, DType::kF16},
               {50000, 200000, 1, DType::kF32}};
  for (const auto& c : cases) {
    const Tensor ids = Indices({c.tokens}, DType::kI32, c.bound, 1);
    const Tensor dy = Normal({c.tokens, c.width}, c.dtype, 2);
    const Tensor dweight = Normal({c.bound, c.width}, DType::kF32, 3);
    const std::vector<double> id = ToDoubles(ids), g = ToDoubles(dy);
    std::vector<float> expected = test::ToFloats(dweight);
    for (size_t i = 0; i < g.size(); ++i) {
      const size_t row = static_cast<size_t>(id[i / c.width]);
      expected[row * c.width + i % c.width] += static_cast<float>(g[i]);
    }
    EXPECT_THAT(
        ops::EmbeddingBackward(dy, ids, 0, c.bound, true, dweight, TheStream()),
        IsOk());
    EXPECT_EQ(test::ToFloats(dweight), expected);
  }
}

TEST(EmbeddingBackward, DoesNotDependOnThreads) {
  const Tensor ids = Indices({4, 300}, DType::kI32, 50, 1);
  const Tensor dy = Normal({4, 300, 136}, DType::kBF16, 2);
  test::ExpectThreadInvariant([&] {
    const Tensor dweight = Normal({50, 136}, DType::kF32, 3);
    EXPECT_THAT(
        ops::EmbeddingBackward(dy, ids, 0, 50, true, dweight, TheStream()),
        IsOk());
    return std::vector<Tensor>{dweight};
  });
}

TEST(EmbeddingBackward, IsTheGradient) {
  const Tensor ids = Indices({11}, DType::kI32, 6, 4);
  const Tensor weight = Normal({5, 3}, DType::kF32, 5);
  const Tensor dy = Normal({11, 3}, DType::kF32, 6);
  const Tensor dweight = Empty({5, 3}, DType::kF32);
  EXPECT_THAT(
      ops::EmbeddingBackward(dy, ids, 0, 6, false, dweight, TheStream()),
      IsOk());
  test::ExpectGradient(weight, dweight, [&] {
    return test::Dot(
        Value(ops::EmbeddingForward(ids, weight, 0, 6, TheStream())), dy);
  });
}

TEST(AddPosition, AddsTheRowOfEachPosition) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t width : {1, 9, 32}) {
      const Tensor x = Normal({3, 4, width}, dtype, 1);
      const Tensor weight = Normal({6, width}, dtype, 2);
      std::vector<double> expected = ToDoubles(x);
      const std::vector<double> w = ToDoubles(weight);
      for (size_t i = 0; i < expected.size(); ++i) {
        expected[i] += w[i % (4 * width)];
      }
      EXPECT_THAT(ops::AddPosition(x, weight, TheStream()), IsOk());
      ExpectClose(x, expected);
    }
  }
  EXPECT_THAT(ops::AddPosition(Normal({1, 5, 2}, DType::kF32, 1),
                               Normal({4, 2}, DType::kF32, 1), TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "5 positions are more than context=4 "
                       "(model.context)"));
}

TEST(PositionBackward, SumsOverTheBatch) {
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t batch : {0, 1, 3}) {
      const int64_t width = 21, positions = 4, context = 6;
      const Tensor dy = Normal({batch, positions, width}, dtype, 1);
      const std::vector<double> g = ToDoubles(dy);
      std::vector<double> expected(context * width, 0.0);
      for (size_t i = 0; i < g.size(); ++i) {
        expected[i % (positions * width)] += g[i];
      }
      const Tensor dweight = Normal({context, width}, DType::kF32, 2);
      EXPECT_THAT(ops::PositionBackward(dy, false, dweight, TheStream()),
                  IsOk());
      ExpectClose(dweight, expected);
      EXPECT_THAT(ops::PositionBackward(dy, true, dweight, TheStream()),
                  IsOk());
      for (double& v : expected) v *= 2;
      ExpectClose(dweight, expected);
    }
  }
}

TEST(PositionBackward, DoesNotDependOnThreads) {
  const Tensor dy = Normal({5, 130, 100}, DType::kF32, 1);
  test::ExpectThreadInvariant([&] {
    const Tensor dweight = Empty({130, 100}, DType::kF32);
    EXPECT_THAT(ops::PositionBackward(dy, false, dweight, TheStream()), IsOk());
    return std::vector<Tensor>{dweight};
  });
}

TEST(Embedding, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    const Tensor ids = Indices({2, 5}, DType::kI32, 7, 1),
                 table = Normal({7, 64}, dtype, 2),
                 x = Normal({2, 5, 64}, dtype, 3),
                 gradient = Normal({7, 64}, DType::kF32, 4);
    test::ExpectAnyAlignment({ids, table, x}, [](const std::vector<Tensor>& t) {
      return ops::EmbeddingForwardSlot().Run({t[0], t[1], 0, 7, t[2]}, {},
                                             TheStream());
    });
    test::ExpectAnyAlignment({x, table}, [](const std::vector<Tensor>& t) {
      return ops::AddPosition(t[0], t[1], TheStream());
    });
    for (bool accumulate : {false, true}) {
      test::ExpectAnyAlignment(
          {x, ids, gradient}, [accumulate](const std::vector<Tensor>& t) {
            return ops::EmbeddingBackward(t[0], t[1], 0, 7, accumulate, t[2],
                                          TheStream());
          });
      test::ExpectAnyAlignment(
          {x, gradient}, [accumulate](const std::vector<Tensor>& t) {
            return ops::PositionBackward(t[0], accumulate, t[1], TheStream());
          });
    }
  }
}

TEST(Embedding, NamesWhatDoesNotFit) {
  const Tensor ids = Indices({2, 3}, DType::kI32, 4, 1);
  EXPECT_THAT(
      ops::EmbeddingForward(ids, Normal({4}, DType::kF32, 1), 0, 4, TheStream())
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "weight=f32[4] on cpu must have two "
               "dimensions"));
  EXPECT_THAT(
      ops::EmbeddingForward(Indices({2}, DType::kI64, 4, 1),
                            Normal({4, 2}, DType::kF32, 1), 0, 4, TheStream())
          .status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "ids=i64[2] on cpu must be i32"));
  EXPECT_THAT(
      ops::EmbeddingBackward(Normal({2, 4, 5}, DType::kF32, 1), ids, 0, 4,
                             false, Empty({4, 5}, DType::kF32), TheStream()),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "ids=i32[2, 3] on cpu must have the shape [2, 4]"));
}

TEST(Embedding, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const auto costs = test::MetaCosts([&] {
    const Tensor y = Value(ops::EmbeddingForward(
        Empty({2, 3}, DType::kI32, meta), Empty({9, 4}, DType::kBF16, meta), 0,
        9, test::MetaStream()));
    EXPECT_EQ(y.shape(), (Shape{2, 3, 4}));
  });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].first, "embedding_forward");
  EXPECT_EQ(costs[0].second.bytes_read, 48 + 24);
  EXPECT_EQ(costs[0].second.bytes_written, 48);
}

}  // namespace
}  // namespace eisbach::embedding_test
