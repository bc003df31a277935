#include "autograd/functions/cross_entropy.h"

#include "ops/cross_entropy.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd {
namespace {

using test::CpuStream;
using test::ToDoubles;
using test::Value;

constexpr int64_t kTokens = 6;
constexpr int64_t kColumns = 11;
constexpr int64_t kValid = 9;  // the last two columns are padding
constexpr float kScale = 0.25f;

class CrossEntropyTest : public ::testing::Test {
 protected:
  absl::StatusOr<Tensor> Whole(const Tensor& logits) const {
    return CrossEntropy(logits, targets_, {0, kValid, nullptr}, kScale,
                        CpuStream());
  }
  Tensor WholeGradient() const {
    return test::Gradient([&](const Tensor& x) { return Whole(x); }, logits_,
                          seed_);
  }

  Tensor logits_ = test::Normal({2, 3, kColumns}, DType::kF32, 1, 2.0);
  Tensor targets_ = test::Indices({2, 3}, DType::kI32, kValid, 2);
  Tensor seed_ = test::FromValues({1}, DType::kF64, {1.0});
};

TEST_F(CrossEntropyTest, HasTheGradientOfItsForward) {
  const Tensor gradient = WholeGradient();
  ASSERT_EQ(gradient.shape(), logits_.shape());
  test::ExpectGradient(logits_, gradient, [&] {
    return ToDoubles(Value(Whole(test::Clone(logits_))))[0];
  });
}

TEST_F(CrossEntropyTest, PaddingGetsNoGradient) {
  const std::vector<double> gradient = ToDoubles(WholeGradient());
  for (int64_t n = 0; n < kTokens; ++n) {
    double sum = 0;
    for (int64_t c = 0; c < kColumns; ++c) sum += gradient[n * kColumns + c];
    EXPECT_NEAR(sum, 0, 1e-6);
    EXPECT_EQ(gradient[n * kColumns + kValid], 0);
    EXPECT_EQ(gradient[n * kColumns + kColumns - 1], 0);
  }
}

TEST_F(CrossEntropyTest, OverwritesTheLogits) {
  Graph graph;
  Tensor leaf = graph.Leaf(test::Clone(logits_));
  Tensor loss;
  {
    GraphScope scope(&graph);
    loss = Value(Whole(leaf));
  }
  BackwardContext context{CpuStream()};
  EISBACH_ASSERT_OK(graph.Backward({loss}, {seed_}, context));
  EXPECT_EQ(graph.TakeGradient(leaf).raw(), leaf.raw());
}

// Two ranks with columns [0, 6) and [6, 11), of which 9 and 10 are padding.
TEST_F(CrossEntropyTest, ADividedVocabularyGivesTheSame) {
  struct Shard {
    int64_t first, columns, valid;
    Tensor logits, stats;
  };
  Shard shards[] = {{0, 6, 6, {}, {}}, {6, 5, 3, {}, {}}};
  Tensor all = test::Empty({2, kTokens, 3}, DType::kF32);
  for (int r = 0; r < 2; ++r) {
    Shard& s = shards[r];
    s.logits = test::Clone(Value(logits_.Narrow(2, s.first, s.columns)));
    Tensor rows = Value(s.logits.View({kTokens, s.columns}));
    Tensor targets = Value(targets_.View({kTokens}));
    s.stats = Value(
        ops::CrossEntropyStats(rows, targets, s.first, s.valid, CpuStream()));
    Tensor place = Value(all.Narrow(0, r, 1));
    test::Assign(place, ToDoubles(s.stats));
  }
  const double loss = ToDoubles(Value(Whole(test::Clone(logits_))))[0];
  const Tensor gradient = WholeGradient();
  for (const Shard& s : shards) {
    const VocabularyShard shard = {
        s.first, s.valid, [&](const Tensor& own) -> absl::StatusOr<Tensor> {
          EXPECT_EQ(test::ToBytes(own), test::ToBytes(s.stats));
          return all;
        }};
    const auto f = [&](const Tensor& x) {
      return CrossEntropy(x, targets_, shard, kScale, CpuStream());
    };
    EXPECT_NEAR(ToDoubles(Value(f(test::Clone(s.logits))))[0], loss, 1e-6);
    test::ExpectClose(test::Gradient(f, s.logits, seed_),
                      ToDoubles(Value(gradient.Narrow(2, s.first, s.columns))),
                      1e-6);
  }
}

}  // namespace
}  // namespace eisbach::autograd
