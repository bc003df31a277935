// Attention of documents side by side, in a window, with a scale and a cap.

#include <numeric>

#include "ops/attention.h"
#include "support/attention_reference.h"
#include "support/op_testing.h"

namespace eisbach::ops::attention_options_test {
namespace {

using test::Value;

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

// Where documents of these lengths begin, in one row; what is left of it is
// padding, a token a document.
std::vector<double> RowStarts(const std::vector<int64_t>& lengths,
                              int64_t length) {
  std::vector<double> starts;
  for (int64_t n : lengths) {
    starts.insert(starts.end(), n, static_cast<double>(starts.size()));
  }
  while (static_cast<int64_t>(starts.size()) < length) {
    starts.push_back(static_cast<double>(starts.size()));
  }
  return starts;
}

struct Case {
  std::vector<std::vector<int64_t>> documents;  // by row
  int64_t length;
  AttentionHeads heads;
  int64_t window = 0;
  double scale = 0, cap = 0;

  int64_t batch() const { return static_cast<int64_t>(documents.size()); }
  bool divided() const {
    for (const std::vector<int64_t>& row : documents) {
      if (!row.empty()) return true;
    }
    return false;
  }
  AttentionOptions Options() const {
    AttentionOptions options{.window = window, .scale = scale, .cap = cap};
    if (!divided()) return options;
    std::vector<double> starts;
    for (const std::vector<int64_t>& row : documents) {
      const std::vector<double> more = RowStarts(row, length);
      starts.insert(starts.end(), more.begin(), more.end());
    }
    options.starts =
        test::FromValues(Shape{batch(), length}, DType::kI32, starts);
    return options;
  }
};

const Case kCases[] = {
    // Documents: within a tile, over tiles, at their borders, and padding.
    {{{3, 1, 2}}, 6, {1, 1, 8}},
    {{{5, 60, 70, 1, 30}}, 170, {2, 1, 16, 2}},
    {{{64, 64, 2}, {130}}, 130, {3, 2, 10, 2, 1}},
    {{{1, 1, 1}, {65}}, 80, {2, 2, 33}},
    {{{100, 63}, {7, 129}, {20, 20}}, 170, {4, 2, 24, 2}},
    {{{}, {}}, 1, {1, 1, 4}, 1},
    // Windows: of one token, within a tile, about one, over tiles, past the
    // row.
    {{{}}, 5, {1, 1, 8}, 1},
    {{{}}, 100, {2, 1, 16, 2}, 3},
    {{{}, {}}, 200, {2, 1, 12, 2}, 64},
    {{{}}, 200, {1, 1, 80}, 65},
    {{{}}, 260, {2, 2, 16}, 150},
    {{{}}, 70, {1, 1, 192}, 1000},
    {{{}}, 70, {1, 1, 300}, 20},
    // Both, with scores made otherwise.
    {{{}}, 90, {2, 1, 16, 2}, 0, 0.1},
    {{{}}, 90, {2, 1, 16, 2}, 0, 0, 2.0},
    {{{}}, 130, {2, 2, 16}, 70, 0.5, 1.0},
    {{{5, 60, 70, 1, 30}}, 170, {2, 1, 16, 2}, 20, 0.3, 50.0},
};

std::string Describe(const Case& c, DType dtype) {
  return absl::StrCat(c.divided() ? "documents, " : "", "T=", c.length,
                      " heads=", c.heads.heads, "/", c.heads.kv_heads,
                      " D=", c.heads.head_dim, " window=", c.window,
                      " scale=", c.scale, " cap=", c.cap, " ", Name(dtype));
}

Tensor MakeQkv(const Case& c, DType dtype) {
  return test::Normal({c.batch(), c.length, c.heads.packed_width()}, dtype, 5);
}

double GradientTolerance(DType dtype) {
  return dtype == DType::kF32 ? 5e-6 : dtype == DType::kF16 ? 3e-3 : 2e-2;
}

struct Results {
  AttentionOutput y;
  Tensor dqkv;
};

Results Compute(const Tensor& qkv, const Tensor& dout,
                const AttentionHeads& heads, const AttentionOptions& options) {
  Results r;
  r.y = Value(AttentionForward(qkv, heads, test::TheStream(), options));
  r.dqkv = Value(AttentionBackward(dout, qkv, r.y.out, r.y.lse, heads,
                                   test::TheStream(), options));
  return r;
}

Tensor MakeDout(const Case& c, DType dtype) {
  return test::Normal({c.batch(), c.length, c.heads.heads * c.heads.head_dim},
                      dtype, 6);
}

TEST(AttentionOptionsTest, MatchesTheFormula) {
  for (const Case& c : kCases) {
    for (DType dtype : kDTypes) {
      SCOPED_TRACE(Describe(c, dtype));
      const Tensor qkv = MakeQkv(c, dtype), dout = MakeDout(c, dtype);
      const AttentionOptions options = c.Options();
      const Results r = Compute(qkv, dout, c.heads, options);
      const test::AttentionExpected e =
          test::AttentionReference(c.batch(), c.length, c.heads, options,
                                   test::ToDoubles(qkv), test::ToDoubles(dout));
      test::ExpectClose(r.y.out, e.out);
      test::ExpectClose(r.y.lse, e.lse);
      double largest = 1;
      for (double g : e.dqkv) largest = std::max(largest, std::abs(g));
      test::ExpectClose(r.dqkv, e.dqkv, GradientTolerance(dtype), largest);
    }
  }
}

TEST(AttentionOptionsTest, BackwardMatchesFiniteDifferences) {
  const Case cases[] = {{{{3, 4}}, 9, {2, 1, 4, 2}},
                        {{{}}, 70, {1, 1, 8}, 5},
                        {{{}}, 9, {2, 1, 4, 2}, 0, 0.7, 1.5},
                        {{{4, 3}, {9}}, 9, {2, 2, 4}, 3, 0.7, 1.5}};
  for (const Case& c : cases) {
    SCOPED_TRACE(Describe(c, DType::kF32));
    const Tensor qkv = MakeQkv(c, DType::kF32), dout = MakeDout(c, DType::kF32);
    const AttentionOptions options = c.Options();
    const Results r = Compute(qkv, dout, c.heads, options);
    test::ExpectGradient(qkv, r.dqkv, [&] {
      return test::Dot(
          Value(AttentionForward(qkv, c.heads, test::TheStream(), options)).out,
          dout);
    });
  }
}

// Rows [first, first + length) of a [1, T, N] tensor, as one of its own.
Tensor CopyRows(const Tensor& t, int64_t first, int64_t length) {
  return test::FromValues({1, length, t.dim(2)}, t.dtype(),
                          test::ToDoubles(Value(t.Narrow(1, first, length))));
}

// Documents of all kinds: within a tile and over several.
const std::vector<int64_t> kDocuments = {30, 64, 7, 100, 1, 65};
constexpr int64_t kRow = 280;
// Of which these are changed, or computed alone: an emulated GPU is slow.
constexpr size_t kSome[] = {0, 2, 3};

int64_t FirstOf(size_t document) {
  return std::accumulate(kDocuments.begin(), kDocuments.begin() + document,
                         int64_t{0});
}

Case Packed(int64_t window, double cap) {
  return {{kDocuments}, kRow, {4, 2, 20, 2}, window, 0, cap};
}

// The contract: no bit of one document depends on another.
TEST(AttentionOptionsTest, AnotherDocumentChangesNoBit) {
  for (DType dtype : kDTypes) {
    for (const Case& c : {Packed(0, 0), Packed(40, 0), Packed(0, 2.0)}) {
      SCOPED_TRACE(Describe(c, dtype));
      const AttentionOptions options = c.Options();
      const Tensor qkv = MakeQkv(c, dtype), dout = MakeDout(c, dtype);
      const Results before = Compute(qkv, dout, c.heads, options);
      for (size_t document : kSome) {
        const int64_t first = FirstOf(document), length = kDocuments[document];
        const auto changed = [&](const Tensor& t, double value) {
          std::vector<double> values = test::ToDoubles(t);
          for (int64_t i = first * t.dim(2); i < (first + length) * t.dim(2);
               ++i) {
            values[i] = values[i] * -3 + value;
          }
          return test::FromValues(t.shape(), dtype, values);
        };
        const Results after =
            Compute(changed(qkv, 0.5), changed(dout, -1), c.heads, options);
        const int64_t end = first + length;
        for (const auto& [a, b] : {std::pair(before.y.out, after.y.out),
                                   {before.dqkv, after.dqkv}}) {
          const auto same = [&](int64_t from, int64_t count) {
            return test::ToBytes(CopyRows(a, from, count)) ==
                   test::ToBytes(CopyRows(b, from, count));
          };
          EXPECT_TRUE(same(0, first)) << "before " << first;
          EXPECT_TRUE(same(end, kRow - end)) << "after " << end;
          EXPECT_FALSE(same(first, length)) << "at " << first;
        }
      }
    }
  }
}

// What a document gets in a row of its own: the same bits on cpu, whose tiles
// begin where it does; to rounding on a GPU.
TEST(AttentionOptionsTest, ADocumentGetsWhatItGetsAlone) {
  for (DType dtype : kDTypes) {
    for (const Case& c : {Packed(0, 0), Packed(40, 0), Packed(0, 2.0)}) {
      SCOPED_TRACE(Describe(c, dtype));
      const Tensor qkv = MakeQkv(c, dtype), dout = MakeDout(c, dtype);
      const Results packed = Compute(qkv, dout, c.heads, c.Options());
      for (size_t document : kSome) {
        const int64_t first = FirstOf(document), length = kDocuments[document];
        const Results alone =
            Compute(CopyRows(qkv, first, length), CopyRows(dout, first, length),
                    c.heads, {.window = c.window, .cap = c.cap});
        for (const auto& [part, whole] : {std::pair(packed.y.out, alone.y.out),
                                          {packed.dqkv, alone.dqkv}}) {
          const Tensor mine = CopyRows(part, first, length);
          if (test::TestedType() == DeviceType::kCpu) {
            EXPECT_EQ(test::ToBytes(mine), test::ToBytes(whole)) << first;
          } else {
            test::ExpectClose(mine, test::ToDoubles(whole),
                              GradientTolerance(dtype), 4);
          }
        }
      }
    }
  }
}

// Whether a document shares a tile with it or not.
TEST(AttentionOptionsTest, NotANumberStaysInItsDocumentOnCpu) {
  if (test::TestedType() != DeviceType::kCpu) return;
  for (DType dtype : kDTypes) {
    const Case c = Packed(0, 0);
    std::vector<double> values = test::ToDoubles(MakeQkv(c, dtype));
    const int64_t first = 94, end = 101;  // the document of 7
    for (int64_t i = first * c.heads.packed_width();
         i < end * c.heads.packed_width(); ++i) {
      values[i] = NAN;
    }
    const Tensor qkv =
        test::FromValues({1, kRow, c.heads.packed_width()}, dtype, values);
    const Results r = Compute(qkv, MakeDout(c, dtype), c.heads, c.Options());
    for (const Tensor& t : {r.y.out, r.dqkv}) {
      const std::vector<double> got = test::ToDoubles(t);
      for (int64_t i = 0; i < t.elements(); ++i) {
        const int64_t row = i / t.dim(2);
        ASSERT_EQ(std::isnan(got[i]), row >= first && row < end) << row;
      }
    }
  }
}

TEST(AttentionOptionsTest, ThreadCountDoesNotChangeTheBits) {
  const Case c{{{100, 3, 40}, {1, 1, 150}, {}}, 160, {6, 3, 20, 2}, 70, 0, 3};
  for (DType dtype : kDTypes) {
    const Tensor qkv = MakeQkv(c, dtype), dout = MakeDout(c, dtype);
    std::vector<uint8_t> out, dqkv;
    for (int count : {1, 2, 3, 5, 40}) {
      const test::ScopedThreads threads(count);
      const Results r = Compute(qkv, dout, c.heads, c.Options());
      if (out.empty()) {
        out = test::ToBytes(r.y.out);
        dqkv = test::ToBytes(r.dqkv);
      }
      EXPECT_EQ(test::ToBytes(r.y.out), out) << count;
      EXPECT_EQ(test::ToBytes(r.dqkv), dqkv) << count;
    }
  }
}

// A window that hides nothing, and documents that are whole rows, are the plain
// op, bit for bit.
TEST(AttentionOptionsTest, WhatHidesNothingIsPlainAttention) {
  const Case plain{{{}, {}}, 150, {4, 2, 20, 2}};
  const Case same[] = {{{{}, {}}, 150, {4, 2, 20, 2}, 150},
                       {{{150}, {150}}, 150, {4, 2, 20, 2}},
                       {{{}, {}}, 150, {4, 2, 20, 2}, 0, 1 / std::sqrt(20.0)}};
  for (DType dtype : kDTypes) {
    const Tensor qkv = MakeQkv(plain, dtype), dout = MakeDout(plain, dtype);
    const Results want = Compute(qkv, dout, plain.heads, {});
    for (const Case& c : same) {
      SCOPED_TRACE(Describe(c, dtype));
      const Results got = Compute(qkv, dout, c.heads, c.Options());
      EXPECT_EQ(test::ToBytes(got.y.out), test::ToBytes(want.y.out));
      EXPECT_EQ(test::ToBytes(got.y.lse), test::ToBytes(want.y.lse));
      EXPECT_EQ(test::ToBytes(got.dqkv), test::ToBytes(want.dqkv));
    }
  }
}

TEST(AttentionOptionsTest, ACapBoundsScoresThatAreLarge) {
  Case c{{{}}, 100, {2, 1, 32, 2}};
  c.cap = 30;
  const Tensor qkv = test::Normal({1, 100, 128}, DType::kF32, 5, 20.0);
  const Tensor dout = MakeDout(c, DType::kF32);
  const Results r = Compute(qkv, dout, c.heads, c.Options());
  for (double lse : test::ToDoubles(r.y.lse)) {
    EXPECT_LE(lse, 30 + std::log(100));
  }
  const test::AttentionExpected e =
      test::AttentionReference(1, 100, c.heads, c.Options(),
                               test::ToDoubles(qkv), test::ToDoubles(dout));
  test::ExpectClose(r.y.out, e.out, 1e-3, 20);
}

TEST(AttentionOptionsTest, CostCountsWhatAWindowLeaves) {
  const AttentionHeads heads{4, 2, 8, 2};
  const Tensor qkv = test::Empty({2, 10, 64}, DType::kBF16, test::Meta());
  test::CostRecorder recorder(test::Meta());
  const AttentionOptions options{.window = 3};
  const AttentionOutput y =
      Value(AttentionForward(qkv, heads, test::MetaStream(), options));
  Value(AttentionBackward(y.out, qkv, y.out, y.lse, heads, test::MetaStream(),
                          options));
  // 1 + 2 + 8 x 3 pairs.
  EXPECT_EQ(recorder.ops[0].second.flops, 2 * 2 * 27 * 8 * 8);
  EXPECT_EQ(recorder.ops[1].second.flops, 5 * 2 * 27 * 8 * 8);
}

TEST(AttentionOptionsTest, ErrorsSayWhatIsWrong) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const AttentionHeads heads{1, 1, 4};
  const Tensor qkv = test::Empty({2, 3, 12}, DType::kF32);
  const auto forward = [&](const AttentionOptions& options) {
    return AttentionForward(qkv, heads, test::TheStream(), options).status();
  };
  EXPECT_THAT(forward({.window = -1}), test::StatusIs(kInvalid, "window=-1"));
  EXPECT_THAT(forward({.scale = -1}), test::StatusIs(kInvalid, "scale=-1"));
  EXPECT_THAT(forward({.scale = NAN}), test::StatusIs(kInvalid, "scale=nan"));
  EXPECT_THAT(forward({.cap = 1e9}),
              test::StatusIs(kInvalid, "cap=1e+09 must be 0 or between"));
  EXPECT_THAT(forward({.starts = test::Empty({2, 4}, DType::kI32)}),
              test::StatusIs(kInvalid, "starts=i32[2, 4]"));
  EXPECT_THAT(forward({.starts = test::Empty({2, 3}, DType::kI64)}),
              test::StatusIs(kInvalid, "starts=i64[2, 3]"));
  if (test::TestedType() != DeviceType::kCpu) return;
  const auto starts = [&](const std::vector<double>& values) {
    return AttentionOptions{.starts =
                                test::FromValues({2, 3}, DType::kI32, values)};
  };
  EISBACH_EXPECT_OK(forward(starts({0, 0, 2, 0, 1, 1})));
  EXPECT_THAT(forward(starts({0, 0, 0, 1, 1, 1})),
              test::StatusIs(kInvalid, "starts[1, 0]=1 must be 0"));
  EXPECT_THAT(forward(starts({0, 0, 0, 0, 1, 0})),
              test::StatusIs(kInvalid,
                             "starts[1, 2]=0 must be 2, where a "
                             "document begins, or 1, where it goes"));
  EXPECT_THAT(forward(starts({0, 0, 3, 0, 0, 0})),
              test::StatusIs(kInvalid, "starts[0, 2]=3"));
}

}  // namespace
}  // namespace eisbach::ops::attention_options_test
