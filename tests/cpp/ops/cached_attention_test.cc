#include "ops/cached_attention.h"

#include "support/op_alignment.h"
#include "support/op_testing.h"

namespace eisbach::ops::cached_attention_test {
namespace {

using test::Value;

constexpr DType kDTypes[] = {DType::kF32, DType::kBF16, DType::kF16};

// New tokens of a slot behind those that it has.
struct Piece {
  int32_t slot;
  int64_t before;
  int64_t count;
};

struct Case {
  AttentionHeads heads;
  std::vector<Piece> pieces;
  int64_t window = 0;
  double cap = 0;
};

constexpr int64_t kSlots = 4, kCapacity = 210;

// {heads, kv_heads, head_dim, group, query_offset}
const Case kCases[] = {
    {{1, 1, 1}, {{0, 0, 1}}},
    {{2, 2, 5}, {{1, 0, 3}, {0, 7, 1}}},
    {{4, 2, 24, 2}, {{3, 64, 1}, {0, 63, 1}, {1, 65, 1}, {2, 0, 1}}},
    {{2, 1, 64, 2}, {{2, 209, 1}, {0, 0, 200}}},
    {{3, 2, 10, 2, 1}, {{0, 130, 5}, {3, 1, 2}}},
    {{2, 2, 12, 4, 3}, {{1, 90, 17}}},
    {{2, 3, 4, 1, 1}, {{0, 4, 5}}},
    {{1, 1, 128}, {{0, 127, 2}}},
    {{2, 1, 192, 2}, {{0, 70, 1}}},
    {{1, 1, 300}, {{2, 66, 3}}},
    {{4, 1, 33, 4}, {{1, 100, 3}, {2, 20, 30}}, 7},
    {{2, 2, 16}, {{1, 100, 90}, {2, 0, 9}}, 64},
    {{2, 2, 16}, {{1, 150, 3}, {2, 0, 9}}, 1000},
    {{2, 1, 20, 2}, {{1, 80, 3}, {2, 0, 9}}, 0, 1.5},
    {{2, 1, 20, 2}, {{1, 80, 3}}, 5, 30},
    {{1, 1, 8}, {}},
};

std::string Describe(const Case& c, DType dtype) {
  std::string text = absl::StrCat(
      "heads=", c.heads.heads, "/", c.heads.kv_heads, " D=", c.heads.head_dim,
      " window=", c.window, " cap=", c.cap, " ", Name(dtype));
  for (const Piece& p : c.pieces) {
    absl::StrAppend(&text, " ", p.slot, ":", p.before, "+", p.count);
  }
  return text;
}

int64_t Tokens(const Case& c) {
  int64_t tokens = 0;
  for (const Piece& p : c.pieces) tokens += p.count;
  return tokens;
}

TokenPlaces PlacesOf(const Case& c) {
  std::vector<double> slots, positions;
  for (const Piece& p : c.pieces) {
    for (int64_t i = 0; i < p.count; ++i) {
      slots.push_back(p.slot);
      positions.push_back(static_cast<double>(p.before + i));
    }
  }
  return {test::FromValues({Tokens(c)}, DType::kI32, slots),
          test::FromValues({Tokens(c)}, DType::kI32, positions)};
}

AttentionOptions OptionsOf(const Case& c) {
  return {.window = c.window, .cap = c.cap};
}

Tensor MakeQkv(const Case& c, DType dtype) {
  return test::Normal({1, Tokens(c), c.heads.packed_width()}, dtype, 5);
}

// What each slot has past a piece is NaN: nobody may read it.
KeyValues MakeCache(const Case& c, DType dtype) {
  const Shape shape{kSlots, c.heads.kv_heads, kCapacity, c.heads.head_dim};
  std::vector<int64_t> filled(kSlots, 0);
  for (const Piece& p : c.pieces) filled[p.slot] = p.before;
  const auto make = [&](uint64_t seed) {
    std::vector<double> values = test::NormalValues(shape.elements(), seed);
    for (int64_t i = 0; i < shape.elements(); ++i) {
      const int64_t row = i / c.heads.head_dim;
      const int64_t slot = row / kCapacity / c.heads.kv_heads;
      if (row % kCapacity >= filled[slot]) values[i] = NAN;
    }
    return test::FromValues(shape, dtype, values);
  };
  return {make(6), make(7)};
}

struct Expected {
  std::vector<double> out, keys, values;
};

// Straight from the formula, in double.
Expected Reference(const Case& c, const Tensor& qkv, const KeyValues& cache) {
  const AttentionHeads& heads = c.heads;
  const int64_t dim = heads.head_dim, width = heads.packed_width();
  const std::vector<double> x = test::ToDoubles(qkv);
  Expected e;
  e.keys = test::ToDoubles(cache.keys);
  e.values = test::ToDoubles(cache.values);
  e.out.resize(Tokens(c) * heads.heads * dim);
  int64_t n = 0;
  for (const Piece& piece : c.pieces) {
    for (int64_t t = piece.before; t < piece.before + piece.count; ++t, ++n) {
      const auto row = [&](int64_t kv, int64_t position) {
        return ((piece.slot * heads.kv_heads + kv) * kCapacity + position) *
               dim;
      };
      for (int64_t kv = 0; kv < heads.kv_heads; ++kv) {
        for (int64_t i = 0; i < dim; ++i) {
          const int64_t from = n * width + (heads.heads + kv) * dim + i;
          e.keys[row(kv, t) + i] = x[from];
          e.values[row(kv, t) + i] = x[from + heads.kv_heads * dim];
        }
      }
      for (int64_t h = 0; h < heads.heads; ++h) {
        const int64_t kv = (h + heads.query_offset) / heads.group;
        std::vector<double> p(t + 1, -INFINITY);
        double largest = -INFINITY, sum = 0;
        for (int64_t j = 0; j <= t; ++j) {
          if (c.window > 0 && j <= t - c.window) continue;
          double score = 0;
          for (int64_t i = 0; i < dim; ++i) {
            score += x[n * width + h * dim + i] * e.keys[row(kv, j) + i];
          }
          score /= std::sqrt(static_cast<double>(dim));
          if (c.cap > 0) score = c.cap * std::tanh(score / c.cap);
          largest = std::max(largest, p[j] = score);
        }
        for (double& value : p) sum += value = std::exp(value - largest);
        for (int64_t j = 0; j <= t; ++j) {
          if (p[j] == 0) continue;
          for (int64_t i = 0; i < dim; ++i) {
            e.out[(n * heads.heads + h) * dim + i] +=
                p[j] / sum * e.values[row(kv, j) + i];
          }
        }
      }
    }
  }
  return e;
}

TEST(CachedAttentionTest, MatchesTheFormula) {
  for (const Case& c : kCases) {
    for (DType dtype : kDTypes) {
      SCOPED_TRACE(Describe(c, dtype));
      const Tensor qkv = MakeQkv(c, dtype);
      const KeyValues cache = MakeCache(c, dtype);
      const Expected e = Reference(c, qkv, cache);
      const Tensor out = Value(CachedAttention(
          qkv, c.heads, cache, PlacesOf(c), OptionsOf(c), test::TheStream()));
      EXPECT_EQ(out.shape(),
                Shape({1, Tokens(c), c.heads.heads * c.heads.head_dim}));
      EXPECT_EQ(out.dtype(), dtype);
      // A cap multiplies the rounding of its tanh.
      const double f32 = std::max(1.0, c.cap) * test::Tolerance(DType::kF32);
      test::ExpectClose(out, e.out, std::max(f32, test::Tolerance(dtype)));
      test::ExpectClose(cache.keys, e.keys);
      test::ExpectClose(cache.values, e.values);
    }
  }
}

// Token by token, in pieces and at once: the same text.
TEST(CachedAttentionTest, PiecesAreTheWhole) {
  const AttentionHeads heads{4, 2, 24, 2};
  const Case whole{heads, {{1, 0, 140}}};
  const Tensor qkv = MakeQkv(whole, DType::kF32);
  const AttentionOutput once =
      Value(AttentionForward(qkv, heads, test::TheStream()));
  const KeyValues cache = MakeCache(whole, DType::kF32);
  std::vector<double> out;
  for (int64_t begin = 0, count = 1; begin < 140; begin += count) {
    count = std::min<int64_t>(begin < 5 ? 1 : begin, 140 - begin);
    const Case piece{heads, {{1, begin, count}}};
    const Tensor part = Value(qkv.Narrow(1, begin, count));
    const std::vector<double> got = test::ToDoubles(
        Value(CachedAttention(part, heads, cache, PlacesOf(piece),
                              OptionsOf(piece), test::TheStream())));
    out.insert(out.end(), got.begin(), got.end());
  }
  test::ExpectClose(once.out, out);
}

// The bits of a token are its slot's business, and no thread's.
TEST(CachedAttentionTest, NothingElseChangesTheBits) {
  const AttentionHeads heads{6, 3, 20, 2};
  const Case both{heads, {{2, 0, 40}, {0, 130, 3}, {1, 5, 1}}};
  const Case one{heads, {{0, 130, 3}}};
  for (DType dtype : kDTypes) {
    const Tensor qkv = MakeQkv(both, dtype);
    const Tensor alone = Value(CachedAttention(
        Value(qkv.Narrow(1, 40, 3)), heads, MakeCache(one, dtype),
        PlacesOf(one), OptionsOf(one), test::TheStream()));
    for (int count : {1, 2, 3, 5}) {
      const test::ScopedThreads threads(count);
      const Tensor out = Value(
          CachedAttention(qkv, heads, MakeCache(both, dtype), PlacesOf(both),
                          OptionsOf(both), test::TheStream()));
      EXPECT_EQ(test::ToBytes(Value(out.Narrow(1, 40, 3))),
                test::ToBytes(alone));
    }
  }
}

TEST(CachedAttentionTest, NotANumberReachesWhoSeesIt) {
  const Case c{{2, 2, 8}, {{0, 100, 3}, {1, 20, 2}}};
  for (int64_t part : {0, 1, 2}) {  // query, key, value of head 1
    std::vector<double> values =
        test::NormalValues(5 * c.heads.packed_width(), 5);
    values[1 * c.heads.packed_width() + part * 16 + 8 + 3] = NAN;
    const Tensor qkv =
        test::FromValues({1, 5, c.heads.packed_width()}, DType::kF32, values);
    const std::vector<double> out = test::ToDoubles(
        Value(CachedAttention(qkv, c.heads, MakeCache(c, DType::kF32),
                              PlacesOf(c), OptionsOf(c), test::TheStream())));
    for (int64_t n = 0; n < 5; ++n) {
      for (int64_t head = 0; head < 2; ++head) {
        bool found = false;
        for (int64_t i = 0; i < 8; ++i) {
          found |= std::isnan(out[(n * 2 + head) * 8 + i]);
        }
        const bool sees = n == 1 || (n == 2 && part > 0);
        EXPECT_EQ(found, head == 1 && sees) << part << " " << n << " " << head;
      }
    }
  }
}

TEST(CachedAttentionTest, LargeScoresDoNotOverflow) {
  const Case c{{1, 1, 32}, {{0, 0, 150}}};
  const Tensor qkv =
      test::Normal({1, 150, c.heads.packed_width()}, DType::kF32, 5, 20.0);
  const KeyValues cache = MakeCache(c, DType::kF32);
  const Expected e = Reference(c, qkv, cache);
  // Scores reach 2000, whose own rounding is 1e-4.
  test::ExpectClose(Value(CachedAttention(qkv, c.heads, cache, PlacesOf(c),
                                          OptionsOf(c), test::TheStream())),
                    e.out, 1e-3, 20);
}

TEST(CachedAttentionTest, TakesOperandsAtAnyOffset) {
  const Case c{{2, 1, 16, 2}, {{0, 3, 2}, {1, 0, 1}}};
  for (DType dtype : kDTypes) {
    const TokenPlaces places = PlacesOf(c);
    std::vector<double> zeros(2 * 1 * 7 * 16, 0.0);
    const Shape shape{2, 1, 7, 16};
    test::ExpectAnyAlignment(
        {MakeQkv(c, dtype), test::FromValues(shape, dtype, zeros),
         test::FromValues(shape, dtype, zeros), places.slots, places.positions,
         test::FromValues({1, 3, 32}, dtype, std::vector<double>(96, 0.0))},
        [&](const std::vector<Tensor>& t) {
          return CachedAttentionSlot().Run(
              {t[0], c.heads, {t[1], t[2]}, {t[3], t[4]}, OptionsOf(c), t[5]},
              {}, test::TheStream());
        });
  }
}

TEST(CachedAttentionTest, MetaGivesShapesAndCost) {
  const AttentionHeads heads{4, 2, 8, 2};
  const auto empty = [&](const Shape& shape, DType dtype) {
    return test::Empty(shape, dtype, test::Meta());
  };
  const Shape cached{3, 2, 50, 8};
  test::CostRecorder recorder(test::Meta());
  const Tensor out = Value(CachedAttention(
      empty({1, 10, 64}, DType::kBF16), heads,
      {empty(cached, DType::kBF16), empty(cached, DType::kBF16)},
      {empty({10}, DType::kI32), empty({10}, DType::kI32)}, {},
      test::MetaStream()));
  EXPECT_EQ(out.shape(), Shape({1, 10, 32}));
  ASSERT_EQ(recorder.ops.size(), 1);
  EXPECT_EQ(recorder.ops[0].second.flops, 4.0 * 10 * 50 * 32);
  EXPECT_EQ(recorder.ops[0].second.bytes_read,
            10 * 64 * 2 + 2.0 * 10 * 50 * 16 * 2);
  EXPECT_EQ(recorder.ops[0].second.bytes_written,
            10 * 32 * 2 + 2 * 10 * 16 * 2);
}

TEST(CachedAttentionTest, ErrorsSayWhatIsWrong) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const AttentionHeads heads{2, 1, 4, 2};
  const auto f32 = [](const Shape& shape) {
    return test::Normal(shape, DType::kF32, 1);
  };
  const auto ids = [](const std::vector<double>& values) {
    return test::FromValues({static_cast<int64_t>(values.size())}, DType::kI32,
                            values);
  };
  const AttentionOptions fine{};
  const auto call = [&](const Tensor& qkv, const Shape& keys,
                        const std::vector<double>& slots,
                        const std::vector<double>& positions,
                        const AttentionOptions& scores) {
    return CachedAttention(qkv, heads, {f32(keys), f32(keys)},
                           {ids(slots), ids(positions)}, scores,
                           test::TheStream());
  };
  const Shape keys{2, 1, 5, 4};
  EXPECT_THAT(call(f32({1, 2, 15}), keys, {0, 0}, {0, 1}, fine),
              test::StatusIs(kInvalid, "must be [1, N, 16]"));
  EXPECT_THAT(call(f32({2, 1, 16}), keys, {0, 0}, {0, 1}, fine),
              test::StatusIs(kInvalid, "must be [1, N, 16]"));
  EXPECT_THAT(call(f32({1, 2, 16}), {2, 2, 5, 4}, {0, 0}, {0, 1}, fine),
              test::StatusIs(kInvalid, "must be [slots, kv_heads=1, capacity"));
  EXPECT_THAT(call(f32({1, 2, 16}), keys, {0}, {0, 1}, fine),
              test::StatusIs(kInvalid, "slots=i32[1]"));
  EXPECT_THAT(call(f32({1, 2, 16}), keys, {0, 0}, {0, 1}, {.scale = NAN}),
              test::StatusIs(kInvalid, "scale=nan"));
  EXPECT_THAT(call(f32({1, 2, 16}), keys, {0, 0}, {0, 1}, {.window = -1}),
              test::StatusIs(kInvalid, "window=-1"));
  if (test::TheDevice().type() != DeviceType::kCpu) return;
  EXPECT_THAT(call(f32({1, 2, 16}), keys, {0, 2}, {0, 1}, fine),
              test::StatusIs(kInvalid, "token 1 at position 1 of slot 2"));
  EXPECT_THAT(call(f32({1, 2, 16}), keys, {0, 0}, {4, 5}, fine),
              test::StatusIs(kInvalid, "a cache of 2 slots of 5"));
  EXPECT_THAT(call(f32({1, 2, 16}), keys, {0, 0}, {1, 3}, fine),
              test::StatusIs(kInvalid, "does not follow"));
}

}  // namespace
}  // namespace eisbach::ops::cached_attention_test
