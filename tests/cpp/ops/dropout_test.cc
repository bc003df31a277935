#include "ops/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/hash.h"
#include "core/philox.h"
#include "support/op_alignment.h"
#include "support/op_invariance.h"
#include "support/op_testing.h"

namespace eisbach::dropout_test {
namespace {

using ops::DropoutSource;
using test::Empty;
using test::FromValues;
using test::Normal;
using test::StatusIs;
using test::TheStream;
using test::ToDoubles;
using test::Value;

Tensor Int64(const std::vector<int64_t>& values) {
  return FromValues({static_cast<int64_t>(values.size())}, DType::kI64,
                    {values.begin(), values.end()});
}

DropoutSource Source(const std::vector<int64_t>& samples,
                     int64_t first_feature = 0, int64_t step = 3) {
  return {.seed = 1234,
          .layer = StableHash("block.0.mlp"),
          .step = Int64({step}),
          .sample_index = Int64(samples),
          .first_feature = first_feature};
}

Tensor Ones(const Shape& shape, DType dtype = DType::kF32) {
  return FromValues(shape, dtype, std::vector<double>(shape.elements(), 1.0));
}

// What the header promises, one element at a time.
bool Kept(const DropoutSource& s, uint64_t step, int64_t sample,
          int64_t position, int64_t feature, float p) {
  const uint64_t index = static_cast<uint64_t>(sample);
  const uint64_t high = (index >> 32 << 32) | (step >> 32);
  const PhiloxCounter words = Philox(
      {static_cast<uint32_t>(feature / 4), static_cast<uint32_t>(position),
       static_cast<uint32_t>(index), static_cast<uint32_t>(step)},
      MakePhiloxKey(MixBits(MixBits(s.seed ^ MixBits(s.layer)) ^ high)));
  return ToUniform(words[feature % 4]) >= p;
}

TEST(Dropout, MatchesPhiloxElementByElement) {
  const std::vector<int64_t> samples = {0, 17, (int64_t{1} << 40) + 5};
  for (DType dtype : test::kFloatDTypes) {
    for (int64_t width : {1, 3, 8, 37, 1030, 1032, 2100}) {
      for (int64_t first : {0, 1, 6, 1023}) {
        const int64_t step = (int64_t{1} << 33) + 7;
        const DropoutSource source = Source(samples, first, step);
        const Tensor x = Normal({3, 2, width}, dtype, 1);
        const Tensor y = Value(ops::Dropout(x, 0.25f, source, TheStream()));
        std::vector<double> expected = ToDoubles(x);
        for (size_t i = 0; i < expected.size(); ++i) {
          const int64_t f = i % width, t = i / width % 2, b = i / width / 2;
          expected[i] *= Kept(source, step, samples[b], t, first + f, 0.25f)
                             ? 1.0 / 0.75
                             : 0.0;
        }
        test::ExpectClose(y, expected);
      }
    }
  }
}

TEST(Dropout, KeepsTheGivenShare) {
  for (float p : {0.0f, 0.1f, 0.5f, 0.9f}) {
    const Tensor x = Ones({4, 64, 512});
    double sum = 0, kept = 0;
    for (double v : ToDoubles(
             Value(ops::Dropout(x, p, Source({0, 1, 2, 3}), TheStream())))) {
      sum += v;
      kept += v != 0;
    }
    const double n = static_cast<double>(x.elements());
    EXPECT_NEAR(kept / n, 1 - p, 4 * std::sqrt(p * (1 - p) / n) + 1e-12);
    EXPECT_NEAR(sum / n, 1, 0.02);
  }
}

// What is kept is a number of 2^24, which is not 1 - p, and its share is what
// the scale takes out.
TEST(Dropout, KeepsTheMeanWhereLittleIsKept) {
  for (double p : {0.999, 0.9999}) {
    const double share = 1 - std::ceil(p * 0x1p24) * 0x1p-24;
    const Tensor x = Ones({1, 1, int64_t{1} << 17});
    int kept = 0;
    for (double v :
         ToDoubles(Value(ops::Dropout(x, p, Source({5}), TheStream())))) {
      if (v == 0) continue;
      ++kept;
      EXPECT_NEAR(v * share, 1, 1e-6) << p;
    }
    EXPECT_GT(kept, 0) << p;
  }
}

// Tokens that stand elsewhere have the masks of where they stand.
TEST(Dropout, GoesByPositionsWhereTheyAreGiven) {
  const Tensor x = Normal({2, 6, 37}, DType::kF32, 1);
  const std::vector<double> whole =
      ToDoubles(Value(ops::Dropout(x, 0.5, Source({4, 9}), TheStream())));
  const std::vector<int> places = {5, 0, 3};
  const Tensor part = Empty({2, 3, 37}, DType::kF32);
  std::vector<double> values, expected, positions;
  const std::vector<double> all = ToDoubles(x);
  for (int b = 0; b < 2; ++b) {
    for (const int place : places) {
      positions.push_back(place);
      const auto row = (b * 6 + place) * 37;
      values.insert(values.end(), all.begin() + row, all.begin() + row + 37);
      expected.insert(expected.end(), whole.begin() + row,
                      whole.begin() + row + 37);
    }
  }
  test::Assign(part, values);
  DropoutSource source = Source({4, 9});
  source.places = FromValues({2, 3}, DType::kI32, positions);
  EXPECT_EQ(ToDoubles(Value(ops::Dropout(part, 0.5, source, TheStream()))),
            expected);
  source.places = FromValues({6}, DType::kI32, positions);
  EXPECT_THAT(ops::Dropout(part, 0.5, source, TheStream()),
              StatusIs(absl::StatusCode::kInvalidArgument, "places=i32[6]"));
}

TEST(Dropout, DoesNotDependOnTheLayout) {
  const DropoutSource all = Source({4, 5, 6, 7});
  const Tensor x = Normal({4, 3, 50}, DType::kF32, 1);
  const Tensor whole = Value(ops::Dropout(x, 0.5f, all, TheStream()));
  // Micro-batches.
  for (int64_t b = 0; b < 4; ++b) {
    const Tensor part = Value(ops::Dropout(Value(x.Narrow(0, b, 1)), 0.5f,
                                           Source({4 + b}), TheStream()));
    EXPECT_EQ(ToDoubles(part), ToDoubles(Value(whole.Narrow(0, b, 1))));
  }
  // Rows divided among tensor ranks, also inside a sample.
  for (int64_t count : {1, 2, 4, 6}) {
    for (int64_t begin = 0; begin < 12; begin += count) {
      const Shape part{1, count, 50};
      const auto rows = [&](const Tensor& t) {
        return Value(Value(Value(t.View(Shape{12, 50})).Narrow(0, begin, count))
                         .View(part));
      };
      DropoutSource source = all;
      source.positions = 3;
      source.first_row = begin;
      EXPECT_EQ(
          ToDoubles(Value(ops::Dropout(rows(x), 0.5f, source, TheStream()))),
          ToDoubles(rows(whole)));
    }
  }
  // Features divided among tensor ranks, also at odd places.
  for (int64_t cut : {1, 8, 25, 47}) {
    for (bool second : {false, true}) {
      const int64_t begin = second ? cut : 0, n = second ? 50 - cut : cut;
      const Tensor view = Value(x.Narrow(2, begin, n));
      const Tensor part =
          FromValues(view.shape(), DType::kF32, ToDoubles(view));
      EXPECT_EQ(ToDoubles(Value(ops::Dropout(
                    part, 0.5f, Source({4, 5, 6, 7}, begin), TheStream()))),
                ToDoubles(Value(whole.Narrow(2, begin, n))));
    }
  }
}

TEST(Dropout, ChangesWithStepLayerSeedSampleAndPosition) {
  const Tensor x = Ones({1, 1, 64});
  const DropoutSource source = Source({1});
  const auto mask = [&](const DropoutSource& s) {
    return ToDoubles(Value(ops::Dropout(x, 0.5f, s, TheStream())));
  };
  const std::vector<double> first = mask(source);
  EXPECT_EQ(mask(source), first);
  EXPECT_NE(mask(Source({1}, 0, 4)), first);
  EXPECT_NE(mask(Source({2})), first);
  DropoutSource other = source;
  other.layer = StableHash("block.1.mlp");
  EXPECT_NE(mask(other), first);
  other = source;
  other.seed = 1235;
  EXPECT_NE(mask(other), first);
  const Tensor two =
      Value(ops::Dropout(Ones({1, 2, 64}), 0.5f, source, TheStream()));
  EXPECT_NE(ToDoubles(Value(two.Narrow(1, 0, 1))),
            ToDoubles(Value(two.Narrow(1, 1, 1))));
}

TEST(Dropout, IsItsOwnGradient) {
  const Tensor x = Normal({2, 2, 9}, DType::kF32, 1);
  const Tensor dy = Normal({2, 2, 9}, DType::kF32, 2);
  const DropoutSource source = Source({3, 8});
  test::ExpectGradient(
      x, Value(ops::Dropout(dy, 0.3f, source, TheStream())), [&] {
        return test::Dot(Value(ops::Dropout(x, 0.3f, source, TheStream())), dy);
      });
}

TEST(Dropout, DoesNotDependOnThreads) {
  const Tensor x = Normal({6, 70, 133}, DType::kBF16, 1);
  test::ExpectThreadInvariant([&] {
    return std::vector<Tensor>{
        Value(ops::Dropout(x, 0.2f, Source({0, 1, 2, 3, 4, 5}), TheStream()))};
  });
}

TEST(Dropout, KeepsNaNOfKeptElementsAndAcceptsNone) {
  const Tensor nan = FromValues(
      {1, 1, 9}, DType::kF32,
      std::vector<double>(9, std::numeric_limits<double>::quiet_NaN()));
  for (double v :
       ToDoubles(Value(ops::Dropout(nan, 0.0f, Source({0}), TheStream())))) {
    EXPECT_TRUE(std::isnan(v));
  }
  EXPECT_EQ(Value(ops::Dropout(Empty({0, 2, 3}, DType::kF32), 0.5f, Source({}),
                               TheStream()))
                .elements(),
            0);
}

TEST(Dropout, TakesOperandsAtAnyOffset) {
  for (DType dtype : test::kFloatDTypes) {
    test::ExpectAnyAlignment(
        {Normal({2, 3, 64}, dtype, 1), Empty({2, 3, 64}, dtype)},
        [](const std::vector<Tensor>& t) {
          const DropoutSource source = Source({4, 9});
          return ops::DropoutSlot().Run({t[0], 0.4, source, t[1]}, {},
                                        TheStream());
        });
  }
}

TEST(Dropout, NamesWhatDoesNotFit) {
  const Tensor x = Ones({2, 1, 4});
  EXPECT_THAT(ops::Dropout(x, 1.0f, Source({0, 1}), TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "p=1 is outside [0, 1 - 2^-24] (model.dropout)"));
  // A double below 1, and no float.
  EXPECT_THAT(ops::Dropout(x, 0.99999999, Source({0, 1}), TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, "is outside"));
  EXPECT_THAT(ops::Dropout(x, 0.5f, Source({0}), TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "sample_index=i64[1] on cpu must have the "
                       "shape [2]"));
  EXPECT_THAT(
      ops::Dropout(Ones({2, 4}), 0.5f, Source({0, 1}), TheStream()).status(),
      StatusIs(absl::StatusCode::kInvalidArgument,
               "must be [samples, positions, features]"));
  DropoutSource rows = Source({0, 1});
  rows.positions = 3;
  rows.first_row = 4;
  EXPECT_THAT(ops::Dropout(Ones({1, 3, 4}), 0.5f, rows, TheStream()).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "dropout: x has 3 rows from 4 on of 2 x 3"));
}

TEST(Dropout, TellsItsCostOnMeta) {
  Device& meta = test::Meta();
  const DropoutSource source = {.step = Empty({1}, DType::kI64, meta),
                                .sample_index = Empty({2}, DType::kI64, meta)};
  const auto costs = test::MetaCosts([&] {
    EXPECT_EQ(Value(ops::Dropout(Empty({2, 3, 4}, DType::kF32, meta), 0.1f,
                                 source, test::MetaStream()))
                  .shape(),
              (Shape{2, 3, 4}));
  });
  ASSERT_EQ(costs.size(), 1u);
  EXPECT_EQ(costs[0].second.bytes_read, 96);
  EXPECT_EQ(costs[0].second.bytes_written, 96);
}

}  // namespace
}  // namespace eisbach::dropout_test
