#include "ops/rope.h"

#include <array>

#include "support/op_alignment.h"
#include "support/op_testing.h"

namespace eisbach::ops::rope_test {
namespace {

using test::Value;

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

// `rotated`: of each head.
std::vector<double> Reference(const Tensor& qkv, const AttentionHeads& heads,
                              double theta, bool inverse, int64_t rotated) {
  std::vector<double> x = test::ToDoubles(qkv);
  const int64_t half = rotated / 2, width = heads.packed_width();
  for (int64_t row = 0; row < qkv.dim(0) * qkv.dim(1); ++row) {
    const int64_t t = row % qkv.dim(1);
    for (int64_t h = 0; h < heads.heads + heads.kv_heads; ++h) {
      for (int64_t i = 0; i < half; ++i) {
        const double angle =
            (inverse ? -1 : 1) * t * std::pow(theta, -2.0 * i / rotated);
        double& a = x[row * width + h * heads.head_dim + i];
        double& b = x[row * width + h * heads.head_dim + half + i];
        const double rotated_a = a * std::cos(angle) - b * std::sin(angle);
        b = b * std::cos(angle) + a * std::sin(angle);
        a = rotated_a;
      }
    }
  }
  return x;
}

TEST(RopeTest, RotatesQueriesAndKeysAndLeavesValues) {
  struct Case {
    int64_t batch, length;
    AttentionHeads heads;
  };
  const Case cases[] = {{2, 5, {3, 1, 2, 3}},     {1, 33, {2, 2, 16}},
                        {3, 7, {4, 2, 10, 2}},    {1, 4, {1, 1, 300}},
                        {2, 3, {2, 2, 64, 2, 1}}, {0, 4, {1, 1, 8}}};
  for (const Case& c : cases) {
    const Tensor table = Value(
        RopeTable(40, c.heads.head_dim, PlainRope(10000.0), test::TheStream()));
    for (DType dtype : kDTypes) {
      for (bool inverse : {false, true}) {
        const Tensor qkv =
            test::Normal({c.batch, c.length, c.heads.packed_width()}, dtype, 7);
        const std::vector<double> expected =
            Reference(qkv, c.heads, 10000.0, inverse, c.heads.head_dim);
        EISBACH_ASSERT_OK(
            Rope(qkv, c.heads, table, inverse, test::TheStream()));
        test::ExpectClose(qkv, expected);
      }
    }
  }
}

// The rest of a head passes.
TEST(RopeTest, RotatesAPartOfEachHead) {
  struct Case {
    AttentionHeads heads;
    double fraction;
    int64_t rotated;
  };
  for (const Case& c :
       {Case{{3, 1, 10, 3}, 0.4, 4}, Case{{2, 2, 64}, 0.5, 32},
        Case{{4, 2, 8, 2}, 0.25, 2}, Case{{1, 1, 100}, 0.64, 64},
        Case{{2, 1, 24, 2}, 0.75, 18}}) {
    RopeOptions options = PlainRope(100.0);
    options.fraction = c.fraction;
    const Tensor table =
        Value(RopeTable(9, c.heads.head_dim, options, test::TheStream()));
    EXPECT_EQ(table.dim(1), c.rotated / 2);
    for (DType dtype : kDTypes) {
      for (bool inverse : {false, true}) {
        const Tensor qkv =
            test::Normal({2, 9, c.heads.packed_width()}, dtype, 7);
        const std::vector<double> expected =
            Reference(qkv, c.heads, 100.0, inverse, c.rotated);
        EISBACH_ASSERT_OK(
            Rope(qkv, c.heads, table, inverse, test::TheStream()));
        test::ExpectClose(qkv, expected);
      }
    }
  }
}

// A token turns by its place in its document: each document as if it were
// alone in a row, bit for bit.
TEST(RopeTest, DocumentsBeginAtPosition0) {
  const AttentionHeads heads{2, 1, 10, 2};
  const int64_t width = heads.packed_width();
  const Tensor table =
      Value(RopeTable(9, 10, PlainRope(10000.0), test::TheStream()));
  const Tensor starts =
      test::FromValues({2, 9}, DType::kI32,
                       {0, 0, 0, 3, 3, 3, 3, 7, 8, 0, 1, 1, 1, 1, 1, 1, 1, 8});
  for (DType dtype : kDTypes) {
    for (bool inverse : {false, true}) {
      const Tensor x = test::Normal({2, 9, width}, dtype, 7);
      const std::vector<double> before = test::ToDoubles(x);
      EISBACH_ASSERT_OK(
          Rope(x, heads, table, inverse, test::TheStream(), starts));
      for (const auto& [row, first, length] : {std::array<int64_t, 3>{0, 0, 3},
                                               {0, 3, 4},
                                               {0, 7, 1},
                                               {0, 8, 1},
                                               {1, 0, 1},
                                               {1, 1, 7},
                                               {1, 8, 1}}) {
        const auto* from = &before[(row * 9 + first) * width];
        const Tensor alone = test::FromValues({1, length, width}, dtype,
                                              {from, from + length * width});
        EISBACH_ASSERT_OK(
            Rope(alone, heads, table, inverse, test::TheStream()));
        const Tensor mine =
            Value(Value(x.Narrow(0, row, 1)).Narrow(1, first, length));
        EXPECT_EQ(test::ToBytes(mine), test::ToBytes(alone)) << row << first;
      }
    }
  }
  EXPECT_THAT(
      Rope(test::Normal({2, 9, width}, DType::kF32, 7), heads, table, false,
           test::TheStream(), test::Empty({2, 8}, DType::kI32)),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "starts=i32[2, 8]"));
}

TEST(RopeTest, TokensStandWherePositionsSay) {
  const AttentionHeads heads{2, 1, 8, 2};
  const Tensor table = Value(
      RopeTable(40, heads.head_dim, PlainRope(10000.0), test::TheStream()));
  for (bool inverse : {false, true}) {
    const Tensor whole =
        test::Normal({2, 9, heads.packed_width()}, DType::kF32, 7);
    const std::vector<double> before = test::ToDoubles(whole);
    EISBACH_ASSERT_OK(Rope(whole, heads, table, inverse, test::TheStream()));
    const std::vector<double> after = test::ToDoubles(whole);
    const int64_t width = heads.packed_width();
    std::vector<double> values, expected, positions;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t place : {int64_t{8}, int64_t{1}, b}) {
        positions.push_back(static_cast<double>(place));
        const int64_t row = (b * 9 + place) * width;
        values.insert(values.end(), before.begin() + row,
                      before.begin() + row + width);
        expected.insert(expected.end(), after.begin() + row,
                        after.begin() + row + width);
      }
    }
    const Tensor part = test::FromValues({2, 3, width}, DType::kF32, values);
    const Tensor places = test::FromValues({2, 3}, DType::kI32, positions);
    EISBACH_ASSERT_OK(
        RopeAt(part, heads, table, places, inverse, test::TheStream()));
    EXPECT_EQ(test::ToDoubles(part), expected);
  }
}

TEST(RopeTest, InverseIsTheGradient) {
  const AttentionHeads heads{2, 1, 6, 2};
  const Shape shape{2, 4, heads.packed_width()};
  const Tensor table =
      Value(RopeTable(4, 6, PlainRope(100.0), test::TheStream()));
  const Tensor x = test::Normal(shape, DType::kF32, 1);
  const Tensor dy = test::Normal(shape, DType::kF32, 2);
  const auto loss = [&] {
    const Tensor y = test::FromValues(shape, DType::kF32, test::ToDoubles(x));
    EISBACH_EXPECT_OK(Rope(y, heads, table, false, test::TheStream()));
    return test::Dot(y, dy);
  };
  const Tensor dx = test::FromValues(shape, DType::kF32, test::ToDoubles(dy));
  EISBACH_ASSERT_OK(Rope(dx, heads, table, true, test::TheStream()));
  test::ExpectGradient(x, dx, loss);
}

TEST(RopeTest, ThreadCountDoesNotChangeTheBits) {
  const AttentionHeads heads{4, 2, 20, 2};
  const Tensor table =
      Value(RopeTable(64, 20, PlainRope(10000.0), test::TheStream()));
  std::vector<uint8_t> first;
  for (int count : {1, 2, 3}) {
    const test::ScopedThreads threads(count);
    const Tensor x =
        test::Normal({2, 50, heads.packed_width()}, DType::kF32, 3);
    EISBACH_ASSERT_OK(Rope(x, heads, table, false, test::TheStream()));
    if (first.empty()) first = test::ToBytes(x);
    EXPECT_EQ(test::ToBytes(x), first);
  }
}

TEST(RopeTest, NotANumberStaysInItsPair) {
  const AttentionHeads heads{1, 1, 4};
  std::vector<double> values(12, 1.0);
  values[1] = NAN;
  const Tensor x = test::FromValues({1, 1, 12}, DType::kF32, values);
  const Tensor table =
      Value(RopeTable(1, 4, PlainRope(10.0), test::TheStream()));
  EISBACH_ASSERT_OK(Rope(x, heads, table, false, test::TheStream()));
  const std::vector<double> y = test::ToDoubles(x);
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_EQ(std::isnan(y[i]), i == 1 || i == 3) << i;
  }
}

TEST(RopeTest, TakesOperandsAtAnyOffset) {
  const AttentionHeads heads{2, 1, 32, 2};
  const Tensor table =
      Value(RopeTable(8, 32, PlainRope(10000.0), test::TheStream()));
  for (DType dtype : kDTypes) {
    test::ExpectAnyAlignment(
        {test::Normal({2, 5, heads.packed_width()}, dtype, 7), table},
        [&](const std::vector<Tensor>& t) {
          return Rope(t[0], heads, t[1], false, test::TheStream());
        });
  }
}

TEST(RopeTest, MetaRecordsTheCost) {
  const AttentionHeads heads{2, 1, 4, 2};
  const Tensor table =
      Value(RopeTable(8, 4, PlainRope(10000.0), test::MetaStream()));
  EXPECT_EQ(table.shape(), Shape({8, 2, 2}));
  const Tensor x =
      test::Empty({2, 3, heads.packed_width()}, DType::kBF16, test::Meta());
  test::CostRecorder recorder(test::Meta());
  EISBACH_ASSERT_OK(Rope(x, heads, table, false, test::MetaStream()));
  ASSERT_EQ(recorder.ops.size(), 1);
  EXPECT_EQ(recorder.ops[0].first, "rope");
  EXPECT_EQ(recorder.ops[0].second.flops, 3 * 6 * 3 * 4);
  EXPECT_EQ(recorder.ops[0].second.bytes_written, 6 * 3 * 4 * 2);
}

TEST(RopeTest, ErrorsSayWhatIsWrong) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  Stream& stream = test::TheStream();
  EXPECT_THAT(RopeTable(8, 5, PlainRope(10000.0), stream),
              test::StatusIs(kInvalid, "head_dim=5 must be even"));
  EXPECT_THAT(RopeTable(8, 4, PlainRope(0.0), stream),
              test::StatusIs(kInvalid, "theta=0 must be positive"));
  const AttentionHeads heads{2, 1, 4, 2};
  const Tensor table = Value(RopeTable(3, 4, PlainRope(10000.0), stream));
  const auto f32 = [](const Shape& shape) {
    return test::Empty(shape, DType::kF32);
  };
  EXPECT_THAT(Rope(f32({1, 4, 16}), heads, table, false, stream),
              test::StatusIs(kInvalid, "must be [context >= 4, up to 2, 2]"));
  EXPECT_THAT(Rope(f32({1, 3, 17}), heads, table, false, stream),
              test::StatusIs(kInvalid, "must be [B, T, 16]"));
  const AttentionHeads bad{3, 1, 4, 2};
  EXPECT_THAT(Rope(f32({1, 3, 20}), bad, table, false, stream),
              test::StatusIs(kInvalid, "query head 2 reads key/value head 1"));
}

}  // namespace
}  // namespace eisbach::ops::rope_test
