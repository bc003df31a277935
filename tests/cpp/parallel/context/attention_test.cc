// Attention of rows that ranks divide, by each method, against plain attention
// of whole ones: what comes out, and the gradient.

#include "ops/attention.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "autograd/graph.h"
#include "comm/world.h"
#include "parallel/context/divided_sequence.h"
#include "support/op_testing.h"
#include "support/status_testing.h"

namespace eisbach::parallel::attention_test {
namespace {

struct Case {
  std::string name;
  int64_t batch;
  int64_t chunk;  // tokens
  ops::AttentionHeads heads;
  int64_t window = 0;
  double scale = 0, cap = 0;
  std::vector<int64_t> documents{};  // where they begin, but at 0, in percent
  DType dtype = DType::kF32;
};

const Case kCases[] = {
    {"one_token_chunks", 2, 1, {12, 12, 4}},
    {"odd", 2, 37, {12, 12, 5}},
    {"long", 1, 130, {12, 12, 8}},
    {"grouped", 2, 33, {24, 12, 8, 2}},
    {"few_key_heads", 1, 33, {4, 2, 8, 2}},
    {"uneven_heads", 1, 33, {5, 3, 8, 2, 1}},
    {"window", 2, 33, {12, 12, 8}, 20},
    {"wide_window", 1, 33, {12, 12, 8}, 100},
    {"cap", 1, 20, {12, 12, 8}, 0, 0.3, 4},
    {"documents", 2, 33, {12, 12, 8}, 0, 0, 0, {1, 30, 52, 98}},
    {"documents_in_a_window", 1, 33, {24, 12, 8, 2}, 40, 0, 0, {37, 61}},
    {"bf16", 2, 37, {12, 12, 16}, 0, 0, 0, {40}, DType::kBF16},
};

class ContextAttentionTest
    : public testing::TestWithParam<std::tuple<ContextExchange, int, Case>> {};

Tensor NormalOn(const Shape& shape, DType dtype, uint64_t seed,
                Device& device) {
  const Tensor tensor = test::Empty(shape, dtype, device);
  test::Assign(tensor, test::NormalValues(shape.elements(), seed));
  return tensor;
}

// qkv, dout, out and dqkv of whole rows.
struct Whole {
  Tensor qkv, dout, out, dqkv, starts;
};

Whole PlainAttention(const Case& c, int64_t length) {
  Device& device = test::TheDevice();
  Stream& stream = device.compute_stream();
  Whole whole;
  whole.qkv =
      NormalOn({c.batch, length, c.heads.packed_width()}, c.dtype, 1, device);
  whole.dout = NormalOn({c.batch, length, c.heads.heads * c.heads.head_dim},
                        c.dtype, 2, device);
  ops::AttentionOptions options{
      .window = c.window, .scale = c.scale, .cap = c.cap};
  if (!c.documents.empty()) {
    whole.starts = test::Empty({c.batch, length}, DType::kI32, device);
    for (int64_t i = 0; i < c.batch * length; ++i) {
      int64_t start = 0;
      for (int64_t percent : c.documents) {
        const int64_t begin = percent * length / 100;
        if (begin <= i % length) start = begin;
      }
      whole.starts.data<int32_t>()[i] = static_cast<int32_t>(start);
    }
    options.starts = whole.starts;
  }
  const ops::AttentionOutput out =
      test::Value(ops::AttentionForward(whole.qkv, c.heads, stream, options));
  whole.out = out.out;
  whole.dqkv = test::Value(ops::AttentionBackward(
      whole.dout, whole.qkv, out.out, out.lse, c.heads, stream, options));
  return whole;
}

void ExpectNear(const Tensor& got, const Tensor& want, double tolerance,
                const std::string& what) {
  const std::vector<double> a = test::ToDoubles(got), b = test::ToDoubles(want);
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], tolerance * (1 + std::abs(b[i]))) << what << i;
  }
}

TEST_P(ContextAttentionTest, IsThatOfWholeRows) {
  const auto& [exchange, ranks, c] = GetParam();
  const int64_t length = 2 * ranks * c.chunk;
  const Whole whole = PlainAttention(c, length);  // all ranks read it
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      ranks, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(
            const auto sequence,
            DividedSequence::Make(exchange, world.communicator(), stream));
        EISBACH_ASSIGN_OR_RETURN(
            const auto part, sequence->PartOf(c.batch, length, whole.starts));
        EISBACH_ASSIGN_OR_RETURN(const Tensor qkv, sequence->Take(whole.qkv));
        EISBACH_ASSIGN_OR_RETURN(const Tensor dout, sequence->Take(whole.dout));
        autograd::Graph graph;
        Tensor leaf = graph.Leaf(qkv);
        Tensor out;
        {
          autograd::GraphScope scope(&graph);
          EISBACH_ASSIGN_OR_RETURN(
              out, part->attention(
                       leaf, c.heads,
                       {.window = c.window, .scale = c.scale, .cap = c.cap},
                       stream));
        }
        autograd::BackwardContext context{stream};
        EISBACH_RETURN_IF_ERROR(graph.Backward({out}, {dout}, context));
        const Tensor dqkv = graph.TakeGradient(leaf);
        const double tolerance = c.dtype == DType::kF32 ? 1e-5 : 3e-2;
        EISBACH_ASSIGN_OR_RETURN(const Tensor want, sequence->Take(whole.out));
        ExpectNear(out, want, tolerance, "out ");
        EISBACH_ASSIGN_OR_RETURN(const Tensor dwant,
                                 sequence->Take(whole.dqkv));
        ExpectNear(dqkv, dwant, tolerance, "dqkv ");
        return absl::OkStatus();
      }));
}

std::vector<std::tuple<ContextExchange, int, Case>> Everything() {
  std::vector<std::tuple<ContextExchange, int, Case>> all;
  for (const Case& c : kCases) {
    const auto divides = [&](int ranks) {
      return c.heads.kv_heads % ranks == 0 && c.heads.heads % ranks == 0 &&
             c.heads.query_offset == 0;
    };
    for (const int ranks : {2, 3, 4}) {
      for (const auto method : {ContextMethod::kRing, ContextMethod::kGather}) {
        all.emplace_back(ContextExchange{method, 1}, ranks, c);
      }
      if (divides(ranks)) {
        all.emplace_back(ContextExchange{ContextMethod::kUlysses, ranks}, ranks,
                         c);
      }
    }
    for (const auto& [group, ranks] :
         {std::pair{2, 4}, {3, 6}, {2, 8}, {4, 8}}) {
      if (!divides(group)) continue;
      all.emplace_back(ContextExchange{ContextMethod::kUlyssesRing, group},
                       ranks, c);
    }
  }
  return all;
}

std::string NameOf(
    const testing::TestParamInfo<std::tuple<ContextExchange, int, Case>>&
        info) {
  const auto& [exchange, ranks, c] = info.param;
  const int group = exchange.ulysses_group;
  return absl::StrCat(
      Name(exchange.method), "_",
      group > 1 && group < ranks ? absl::StrCat(group, "_of_") : "", ranks, "_",
      c.name);
}

INSTANTIATE_TEST_SUITE_P(All, ContextAttentionTest,
                         testing::ValuesIn(Everything()), NameOf);

// Twice the same: what travels has no say in a sum's order.
TEST(ContextAttentionTest, GivesTheSameBitsTwice) {
  for (const ContextExchange& exchange :
       {ContextExchange{ContextMethod::kRing, 1},
        ContextExchange{ContextMethod::kUlyssesRing, 2},
        ContextExchange{ContextMethod::kGather, 1}}) {
    std::vector<std::vector<double>> gradients[2];
    for (auto& run : gradients) {
      run.resize(4);
      EISBACH_EXPECT_OK(comm::RunLocalRanks(
          4, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
            Stream& stream = world.device().compute_stream();
            const ops::AttentionHeads heads{6, 6, 8};
            EISBACH_ASSIGN_OR_RETURN(
                const auto sequence,
                DividedSequence::Make(exchange, world.communicator(), stream));
            EISBACH_ASSIGN_OR_RETURN(const auto part,
                                     sequence->PartOf(1, 72, Tensor()));
            autograd::Graph graph;
            Tensor leaf = graph.Leaf(
                NormalOn({1, 18, heads.packed_width()}, DType::kF32,
                         static_cast<uint64_t>(world.rank()), world.device()));
            Tensor out;
            {
              autograd::GraphScope scope(&graph);
              EISBACH_ASSIGN_OR_RETURN(
                  out, part->attention(leaf, heads, {}, stream));
            }
            autograd::BackwardContext context{stream};
            EISBACH_RETURN_IF_ERROR(
                graph.Backward({out}, {out.Detach()}, context));
            run[world.rank()] = test::ToDoubles(graph.TakeGradient(leaf));
            return absl::OkStatus();
          }));
    }
    EXPECT_EQ(gradients[0], gradients[1]) << Name(exchange.method);
  }
}

TEST(ContextAttentionTest, PositionsAreThoseOfTheRow) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      2, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(
            const auto sequence,
            DividedSequence::Make({ContextMethod::kRing, 1},
                                  world.communicator(), stream));
        const Tensor starts = test::Empty({1, 8}, DType::kI32, world.device());
        test::Assign(starts, {0, 0, 0, 3, 3, 3, 3, 7});
        EISBACH_ASSIGN_OR_RETURN(const auto part,
                                 sequence->PartOf(1, 8, starts));
        const bool first = world.rank() == 0;
        EXPECT_EQ(test::ToDoubles(part->positions),
                  first ? (std::vector<double>{0, 1, 6, 7})
                        : (std::vector<double>{2, 3, 4, 5}));
        EXPECT_EQ(test::ToDoubles(part->document_positions),
                  first ? (std::vector<double>{0, 1, 3, 0})
                        : (std::vector<double>{2, 0, 1, 2}));
        EXPECT_EQ(test::ToDoubles(part->starts),
                  first ? (std::vector<double>{0, 0, 3, 7})
                        : (std::vector<double>{0, 3, 3, 3}));
        // What is kept is of rows like these alone.
        EISBACH_RETURN_IF_ERROR(sequence->Keep(1, 8));
        EISBACH_ASSIGN_OR_RETURN(const auto kept,
                                 sequence->PartOf(1, 8, Tensor()));
        EISBACH_ASSIGN_OR_RETURN(const auto again,
                                 sequence->PartOf(1, 8, Tensor()));
        EXPECT_EQ(test::ToDoubles(kept->positions),
                  test::ToDoubles(part->positions));
        EXPECT_EQ(kept->positions.raw(), again->positions.raw());
        for (const auto& [batch, length] : {std::pair{2, 8}, {1, 16}}) {
          EISBACH_ASSIGN_OR_RETURN(const auto other,
                                   sequence->PartOf(batch, length, Tensor()));
          EXPECT_EQ(other->positions.shape(), (Shape{batch, length / 2}));
        }
        return absl::OkStatus();
      }));
}

}  // namespace
}  // namespace eisbach::parallel::attention_test
