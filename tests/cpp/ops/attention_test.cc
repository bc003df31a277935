#include "ops/attention.h"

#include "support/attention_reference.h"
#include "support/op_alignment.h"
#include "support/op_testing.h"

namespace eisbach::ops::attention_test {
namespace {

using test::AttentionExpected;
using test::Value;

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

struct Case {
  int64_t batch, length;
  AttentionHeads heads;
};

// {heads, kv_heads, head_dim, group, query_offset}
const Case kCases[] = {
    {1, 1, {1, 1, 1}},         {2, 3, {2, 2, 5}},
    {1, 17, {1, 1, 8}},        {2, 64, {2, 2, 16}},
    {1, 65, {3, 3, 33}},       {1, 130, {4, 2, 24, 2}},
    {2, 200, {2, 1, 64, 2}},   {1, 63, {3, 2, 10, 2, 1}},
    {1, 71, {2, 2, 12, 4, 3}}, {1, 100, {1, 1, 80}},
    {1, 9, {2, 3, 4, 1, 1}},   {1, 193, {1, 1, 128}},
    {1, 70, {2, 1, 192, 2}},   {1, 67, {1, 1, 300}},
    {0, 4, {1, 1, 8}},         {2, 0, {1, 1, 8}},
};

std::string Describe(const Case& c, DType dtype) {
  return absl::StrCat("B=", c.batch, " T=", c.length, " heads=", c.heads.heads,
                      "/", c.heads.kv_heads, " D=", c.heads.head_dim,
                      " offset=", c.heads.query_offset, " ", Name(dtype));
}

Tensor MakeQkv(const Case& c, DType dtype, double scale = 1.0) {
  return test::Normal({c.batch, c.length, c.heads.packed_width()}, dtype, 5,
                      scale);
}

AttentionExpected Reference(const Case& c, const std::vector<double>& qkv,
                            const std::vector<double>& dout) {
  return test::AttentionReference(c.batch, c.length, c.heads, {}, qkv, dout);
}

double GradientTolerance(DType dtype) {
  return dtype == DType::kF32 ? 5e-6 : dtype == DType::kF16 ? 3e-3 : 2e-2;
}

TEST(AttentionTest, ForwardMatchesTheFormula) {
  for (const Case& c : kCases) {
    for (DType dtype : kDTypes) {
      SCOPED_TRACE(Describe(c, dtype));
      const Tensor qkv = MakeQkv(c, dtype);
      const AttentionOutput y =
          Value(AttentionForward(qkv, c.heads, test::TheStream()));
      EXPECT_EQ(y.out.shape(),
                Shape({c.batch, c.length, c.heads.heads * c.heads.head_dim}));
      EXPECT_EQ(y.out.dtype(), dtype);
      const AttentionExpected e = Reference(c, test::ToDoubles(qkv), {});
      test::ExpectClose(y.out, e.out);
      test::ExpectClose(y.lse, e.lse);
    }
  }
}

TEST(AttentionTest, BackwardMatchesTheFormula) {
  for (const Case& c : kCases) {
    for (DType dtype : kDTypes) {
      SCOPED_TRACE(Describe(c, dtype));
      const Tensor qkv = MakeQkv(c, dtype);
      const AttentionOutput y =
          Value(AttentionForward(qkv, c.heads, test::TheStream()));
      const Tensor dout = test::Normal(y.out.shape(), dtype, 6);
      const Tensor dqkv = Value(AttentionBackward(dout, qkv, y.out, y.lse,
                                                  c.heads, test::TheStream()));
      const AttentionExpected e =
          Reference(c, test::ToDoubles(qkv), test::ToDoubles(dout));
      double largest = 1;
      for (double g : e.dqkv) largest = std::max(largest, std::abs(g));
      test::ExpectClose(dqkv, e.dqkv, GradientTolerance(dtype), largest);
    }
  }
}

TEST(AttentionTest, BackwardMatchesFiniteDifferences) {
  const Case cases[] = {
      {2, 5, {2, 2, 4}}, {1, 7, {3, 2, 6, 2, 1}}, {1, 70, {1, 1, 8}}};
  for (const Case& c : cases) {
    const Tensor qkv = MakeQkv(c, DType::kF32);
    const AttentionOutput y =
        Value(AttentionForward(qkv, c.heads, test::TheStream()));
    const Tensor dout = test::Normal(y.out.shape(), DType::kF32, 6);
    const Tensor dqkv = Value(
        AttentionBackward(dout, qkv, y.out, y.lse, c.heads, test::TheStream()));
    test::ExpectGradient(qkv, dqkv, [&] {
      return test::Dot(
          Value(AttentionForward(qkv, c.heads, test::TheStream())).out, dout);
    });
  }
}

TEST(AttentionTest, LargeScoresDoNotOverflow) {
  const Case c{1, 150, {2, 1, 32, 2}};
  const Tensor qkv = MakeQkv(c, DType::kF32, 20.0);
  const AttentionOutput y =
      Value(AttentionForward(qkv, c.heads, test::TheStream()));
  const AttentionExpected e = Reference(c, test::ToDoubles(qkv), {});
  // Scores reach 2000, whose own rounding is 1e-4.
  test::ExpectClose(y.out, e.out, 1e-3, 20);
  test::ExpectClose(y.lse, e.lse, 1e-6);
}

TEST(AttentionTest, ThreadCountDoesNotChangeTheBits) {
  const Case c{2, 150, {6, 3, 20, 2}};
  for (DType dtype : kDTypes) {
    const Tensor qkv = MakeQkv(c, dtype);
    std::vector<uint8_t> out, dqkv;
    for (int count : {1, 2, 3, 5}) {
      const test::ScopedThreads threads(count);
      const AttentionOutput y =
          Value(AttentionForward(qkv, c.heads, test::TheStream()));
      const Tensor dout = test::Normal(y.out.shape(), dtype, 6);
      const Tensor gradient = Value(AttentionBackward(
          dout, qkv, y.out, y.lse, c.heads, test::TheStream()));
      if (out.empty()) {
        out = test::ToBytes(y.out);
        dqkv = test::ToBytes(gradient);
      }
      EXPECT_EQ(test::ToBytes(y.out), out) << count;
      EXPECT_EQ(test::ToBytes(gradient), dqkv) << count;
    }
  }
}

// A batch row or a head computes the same bits whatever lies beside it, which
// layouts rely on.
TEST(AttentionTest, HeadsAndSequencesAreIndependent) {
  const Case both{2, 90, {2, 2, 16}};
  const Case one{1, 90, {1, 1, 16}};
  const Tensor qkv = MakeQkv(both, DType::kF32);
  const AttentionOutput y =
      Value(AttentionForward(qkv, both.heads, test::TheStream()));
  const Tensor alone = test::Empty({1, 90, 48}, DType::kF32);
  const Tensor last = Value(qkv.Narrow(0, 1, 1));
  std::vector<double> values;
  const std::vector<double> source = test::ToDoubles(last);
  for (int64_t t = 0; t < 90; ++t) {
    for (int64_t part = 0; part < 3; ++part) {
      const auto* first = &source[t * 96 + part * 32 + 16];
      values.insert(values.end(), first, first + 16);
    }
  }
  test::Assign(alone, values);
  const AttentionOutput y_alone =
      Value(AttentionForward(alone, one.heads, test::TheStream()));
  const Tensor mine = Value(Value(y.out.Narrow(0, 1, 1)).Narrow(2, 16, 16));
  EXPECT_EQ(test::ToBytes(mine), test::ToBytes(y_alone.out));
}

TEST(AttentionTest, NotANumberReachesEveryRowThatSeesIt) {
  const Case c{1, 140, {2, 2, 8}};
  for (DType dtype : kDTypes) {
    for (int64_t part : {0, 1, 2}) {  // query, key, value of head 1
      std::vector<double> values =
          test::NormalValues(c.length * c.heads.packed_width(), 5);
      const int64_t position = 70;
      values[position * c.heads.packed_width() + part * 16 + 8 + 3] = NAN;
      const Tensor qkv = test::FromValues({1, c.length, c.heads.packed_width()},
                                          dtype, values);
      const AttentionOutput y =
          Value(AttentionForward(qkv, c.heads, test::TheStream()));
      const std::vector<double> out = test::ToDoubles(y.out);
      const auto has_nan = [&](int64_t t, int64_t head) {
        bool found = false;
        for (int64_t x = 0; x < 8; ++x) {
          found |= std::isnan(out[(t * 2 + head) * 8 + x]);
        }
        return found;
      };
      for (int64_t t = 0; t < c.length; ++t) {
        EXPECT_FALSE(has_nan(t, 0)) << "another head, position " << t;
        if (t < 64) {
          EXPECT_FALSE(has_nan(t, 1)) << "an earlier tile, " << t;
        }
        if (part == 0 ? t == position : t >= position) {
          EXPECT_TRUE(has_nan(t, 1)) << "part " << part << " position " << t;
        }
      }
      const Tensor dout = test::Normal(y.out.shape(), dtype, 6);
      const std::vector<double> dqkv = test::ToDoubles(Value(AttentionBackward(
          dout, qkv, y.out, y.lse, c.heads, test::TheStream())));
      bool found = false;
      for (double g : dqkv) found |= std::isnan(g);
      EXPECT_TRUE(found);
    }
  }
}

TEST(AttentionTest, WorkBuffersAreReusedAfterTheFirstCall) {
  const Case c{2, 128, {2, 2, 32}};
  const Tensor qkv = MakeQkv(c, DType::kBF16);
  const auto step = [&] {
    const AttentionOutput y =
        Value(AttentionForward(qkv, c.heads, test::TheStream()));
    Value(AttentionBackward(y.out, qkv, y.out, y.lse, c.heads,
                            test::TheStream()));
  };
  step();
  const AllocatorStats before = test::TheDevice().memory();
  step();
  const AllocatorStats after = test::TheDevice().memory();
  EXPECT_EQ(after.system_allocations, before.system_allocations);
  EXPECT_EQ(after.bytes_in_use, before.bytes_in_use);
}

TEST(AttentionTest, TakesOperandsAtAnyOffset) {
  const Case c = {1, 5, {2, 1, 16, 2}};
  for (DType dtype : kDTypes) {
    const Tensor qkv = MakeQkv(c, dtype);
    const AttentionOutput y =
        Value(AttentionForward(qkv, c.heads, test::TheStream()));
    test::ExpectAnyAlignment(
        {qkv, y.out, y.lse}, [&](const std::vector<Tensor>& t) {
          return AttentionForwardSlot().Run({t[0], c.heads, t[1], t[2]}, {},
                                            test::TheStream());
        });
    test::ExpectAnyAlignment(
        {test::Normal(y.out.shape(), dtype, 2), qkv, y.out, y.lse,
         test::Empty(qkv.shape(), dtype)},
        [&](const std::vector<Tensor>& t) {
          return AttentionBackwardSlot().Run(
              {t[0], t[1], t[2], t[3], c.heads, t[4]}, {}, test::TheStream());
        },
        4);
  }
}

TEST(AttentionTest, MetaGivesShapesAndCost) {
  const Case c{2, 10, {4, 2, 8, 2}};
  const Tensor qkv = test::Empty({2, 10, 64}, DType::kBF16, test::Meta());
  test::CostRecorder recorder(test::Meta());
  const AttentionOutput y =
      Value(AttentionForward(qkv, c.heads, test::MetaStream()));
  const Tensor dqkv = Value(
      AttentionBackward(y.out, qkv, y.out, y.lse, c.heads, test::MetaStream()));
  EXPECT_EQ(y.out.shape(), Shape({2, 10, 32}));
  EXPECT_EQ(y.lse.shape(), Shape({2, 4, 10}));
  EXPECT_EQ(dqkv.shape(), qkv.shape());
  ASSERT_EQ(recorder.ops.size(), 2);
  // Two products of 55 visible pairs and D numbers, in 8 heads.
  EXPECT_EQ(recorder.ops[0].second.flops, 2 * 2 * 55 * 8 * 8);
  EXPECT_EQ(recorder.ops[1].second.flops, 5 * 2 * 55 * 8 * 8);
  EXPECT_EQ(recorder.ops[0].second.bytes_read, 2 * 10 * 64 * 2);
  EXPECT_EQ(recorder.ops[0].second.bytes_written,
            2 * 10 * 32 * 2 + 2 * 4 * 10 * 4);
}

TEST(AttentionTest, ErrorsSayWhatIsWrong) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  Stream& stream = test::TheStream();
  const AttentionHeads heads{2, 1, 4, 2};
  const auto f32 = [](const Shape& shape) {
    return test::Empty(shape, DType::kF32);
  };
  EXPECT_THAT(AttentionForward(f32({1, 3, 15}), heads, stream),
              test::StatusIs(kInvalid, "must be [B, T, 16]"));
  EXPECT_THAT(AttentionForward(f32({3, 16}), heads, stream),
              test::StatusIs(kInvalid, "must be [B, T, 16]"));
  EXPECT_THAT(
      AttentionForward(test::Empty({1, 3, 16}, DType::kI32), heads, stream),
      test::StatusIs(kInvalid, "i32"));
  EXPECT_THAT(
      AttentionForward(Value(f32({3, 1, 16}).Narrow(2, 0, 8)), heads, stream),
      test::StatusIs(kInvalid, "not contiguous"));
  const AttentionHeads offset{2, 1, 4, 2, 1};
  EXPECT_THAT(AttentionForward(f32({1, 3, 16}), offset, stream),
              test::StatusIs(kInvalid, "query head 1 reads key/value head 1"));
  const AttentionHeads none{0, 1, 4};
  EXPECT_THAT(AttentionForward(f32({1, 3, 8}), none, stream),
              test::StatusIs(kInvalid, "heads=0"));
  const Tensor out = f32({1, 3, 8}), lse = f32({1, 2, 3});
  EXPECT_THAT(AttentionBackward(f32({1, 3, 9}), f32({1, 3, 16}), out, lse,
                                heads, stream),
              test::StatusIs(kInvalid, "dout=f32[1, 3, 9]"));
  EXPECT_THAT(AttentionBackward(out, f32({1, 3, 16}), out, f32({1, 2, 4}),
                                heads, stream),
              test::StatusIs(kInvalid, "lse=f32[1, 2, 4]"));
}

}  // namespace
}  // namespace eisbach::ops::attention_test
