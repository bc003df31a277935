// Attention of queries to keys in parts, merged, is attention to all of them.

#include "ops/attention_part.h"

#include "ops/elementwise.h"
#include "support/attention_reference.h"
#include "support/op_testing.h"

namespace eisbach::ops::attention_part_test {
namespace {

using test::Value;

struct Case {
  int64_t batch, length;
  AttentionHeads heads;
  std::vector<int64_t> query_cuts, key_cuts;  // where spans begin, but at 0
  std::vector<int64_t> documents{};           // where they begin, but at 0
  int64_t window = 0;
  double scale = 0, cap = 0;

  AttentionOptions Options() const {
    AttentionOptions options{.window = window, .scale = scale, .cap = cap};
    if (documents.empty()) return options;
    std::vector<double> starts;
    for (int64_t i = 0; i < batch * length; ++i) {
      double start = 0;
      for (int64_t begin : documents) {
        if (begin <= i % length) start = static_cast<double>(begin);
      }
      starts.push_back(start);
    }
    options.starts =
        test::FromValues(Shape{batch, length}, DType::kI32, starts);
    return options;
  }
  std::vector<AttentionSpan> Spans(std::vector<int64_t> cuts) const {
    cuts.insert(cuts.begin(), 0);
    cuts.push_back(length);
    std::vector<AttentionSpan> spans;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      spans.push_back({cuts[i], cuts[i + 1] - cuts[i], cuts[i]});
    }
    return spans;
  }
};

const Case kCases[] = {
    {1, 1, {1, 1, 4}, {}, {}},
    {2, 7, {2, 1, 3, 2}, {3}, {1, 5}},
    {1, 130, {2, 2, 8}, {64}, {64, 128}},
    {2, 200, {3, 2, 10, 2}, {50, 123}, {100}},
    {1, 150, {2, 1, 16, 4, 2}, {75}, {13, 90}},
    // Windows, shorter and longer than a span, and documents.
    {2, 161, {2, 1, 8, 2}, {40, 80, 121}, {40, 80, 121}, {}, 17},
    {1, 161, {2, 2, 8}, {40, 80, 121}, {40, 80, 121}, {}, 70},
    {2, 140, {4, 2, 8, 2}, {35, 70, 105}, {35, 70, 105}, {20, 69, 70, 110}},
    {1, 140, {1, 1, 8}, {70}, {35, 105}, {30, 71}, 33, 0.2, 5},
};

// Keys and values of the packed qkv.
Tensor KeysValues(const Tensor& qkv, const AttentionHeads& heads) {
  const int64_t queries = heads.heads * heads.head_dim;
  const Tensor view =
      Value(qkv.Narrow(2, queries, heads.packed_width() - queries));
  return Value(Contiguous(view, test::TheStream()));
}

class AttentionPartTest : public testing::TestWithParam<Case> {
 protected:
  void Check(DType dtype) {
    const Case& c = GetParam();
    const AttentionOptions options = c.Options();
    Stream& stream = test::TheStream();
    const int64_t width = c.heads.heads * c.heads.head_dim;
    const Tensor qkv =
        test::Normal({c.batch, c.length, c.heads.packed_width()}, dtype, 1);
    const Tensor dout = test::Normal({c.batch, c.length, width}, dtype, 2);
    const Tensor keys_values = KeysValues(qkv, c.heads);
    const Tensor out = test::Empty(dout.shape(), DType::kF32);
    const Tensor lse =
        test::Empty({c.batch, c.heads.heads, c.length}, DType::kF32);
    for (const AttentionSpan& queries : c.Spans(c.query_cuts)) {
      bool merges = false;
      for (const AttentionSpan& keys : c.Spans(c.key_cuts)) {
        EISBACH_EXPECT_OK(AttentionPart({qkv, keys_values, c.heads, queries,
                                         keys, options, merges, out, lse},
                                        stream));
        merges = true;
      }
    }
    const test::AttentionExpected want =
        test::AttentionReference(c.batch, c.length, c.heads, options,
                                 test::ToDoubles(qkv), test::ToDoubles(dout));
    test::ExpectClose(out, want.out);
    test::ExpectClose(lse, want.lse);

    const Tensor rounded = Value(Cast(out, dtype, stream));
    const Tensor dqueries =
        Value(Tensor::Zeros(dout.shape(), DType::kF32, stream));
    const Tensor dkeys_values =
        Value(Tensor::Zeros(keys_values.shape(), DType::kF32, stream));
    for (const AttentionSpan& queries : c.Spans(c.query_cuts)) {
      for (const AttentionSpan& keys : c.Spans(c.key_cuts)) {
        EISBACH_EXPECT_OK(AttentionPartBackward(
            {dout, qkv, keys_values, rounded, lse, c.heads, queries, keys,
             options, dqueries, dkeys_values},
            stream));
      }
    }
    std::vector<double> got;
    const std::vector<double> dq = test::ToDoubles(dqueries);
    const std::vector<double> dkv = test::ToDoubles(dkeys_values);
    const int64_t keys_width = keys_values.dim(2);
    for (int64_t row = 0; row < c.batch * c.length; ++row) {
      got.insert(got.end(), dq.begin() + row * width,
                 dq.begin() + (row + 1) * width);
      got.insert(got.end(), dkv.begin() + row * keys_width,
                 dkv.begin() + (row + 1) * keys_width);
    }
    // Of operands that are rounded, delta has the error of `out`.
    const double tolerance = dtype == DType::kF32 ? 2e-5 : 4e-2;
    ASSERT_EQ(got.size(), want.dqkv.size());
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], want.dqkv[i],
                  tolerance * (1 + std::abs(want.dqkv[i])))
          << i;
    }
  }
};

TEST_P(AttentionPartTest, MergesToAttentionOfAll) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16}) Check(dtype);
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionPartTest, testing::ValuesIn(kCases));

// Keys that no query sees leave what there is; without it there is nothing.
TEST(AttentionPartTest, KeysThatNobodySeesChangeNothing) {
  const AttentionHeads heads{1, 1, 4};
  const AttentionOptions options;
  const Tensor qkv = test::Normal({1, 6, 12}, DType::kF32, 1);
  const Tensor keys_values = KeysValues(qkv, heads);
  const Tensor out = test::Empty({1, 6, 4}, DType::kF32);
  const Tensor lse = test::Empty({1, 1, 6}, DType::kF32);
  const auto attend = [&](const AttentionSpan& keys, bool merges) {
    EISBACH_EXPECT_OK(AttentionPart(
        {qkv, keys_values, heads, {0, 6, 0}, keys, options, merges, out, lse},
        test::TheStream()));
  };
  attend({0, 6, 6}, false);
  for (double value : test::ToDoubles(lse)) EXPECT_EQ(value, -INFINITY);
  for (double value : test::ToDoubles(out)) EXPECT_EQ(value, 0);
  attend({0, 6, 0}, true);
  const std::vector<double> before = test::ToDoubles(out);
  attend({0, 6, 6}, true);
  EXPECT_EQ(test::ToDoubles(out), before);
}

TEST(AttentionPairsTest, CountsWhatQueriesSee) {
  const auto naive = [](const AttentionSpan& queries, const AttentionSpan& keys,
                        int64_t window) {
    double pairs = 0;
    for (int64_t q = 0; q < queries.count; ++q) {
      for (int64_t k = 0; k < keys.count; ++k) {
        const int64_t p = queries.position + q, s = keys.position + k;
        pairs += s <= p && (window == 0 || s > p - window);
      }
    }
    return pairs;
  };
  for (int64_t window : {0, 1, 3, 8, 100}) {
    for (int64_t first : {0, 2, 7, 12}) {
      for (int64_t other : {0, 5, 9}) {
        const AttentionSpan queries{0, 5, first}, keys{0, 4, other};
        EXPECT_EQ(AttentionPairs(queries, keys, window),
                  naive(queries, keys, window))
            << first << " " << other << " " << window;
      }
    }
  }
}

TEST(AttentionPartTest, SaysWhatDoesNotFit) {
  const AttentionHeads heads{1, 1, 4};
  const AttentionOptions options;
  const Tensor qkv = test::Normal({1, 6, 12}, DType::kF32, 1);
  const Tensor keys_values = KeysValues(qkv, heads);
  const Tensor out = test::Empty({1, 6, 4}, DType::kF32);
  const Tensor lse = test::Empty({1, 1, 6}, DType::kF32);
  EXPECT_THAT(AttentionPart({qkv,
                             keys_values,
                             heads,
                             {0, 6, 0},
                             {3, 4, 0},
                             options,
                             false,
                             out,
                             lse},
                            test::TheStream()),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "attention_part: keys are rows [3, 7) from "
                             "position 0 of a tensor of 6 rows"));
  EXPECT_THAT(
      AttentionPart(
          {qkv, qkv, heads, {0, 6, 0}, {0, 6, 0}, options, false, out, lse},
          test::TheStream()),
      test::StatusIs(absl::StatusCode::kInvalidArgument, "must be [1, T, 8]"));
}

}  // namespace
}  // namespace eisbach::ops::attention_part_test
