#include "autograd/recompute.h"

#include "autograd/functions/activation.h"
#include "autograd/functions/elementwise.h"
#include "autograd/functions/linear.h"
#include "autograd/functions/norm.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::recompute_test {
namespace {

using test::TheStream;
using test::ToBytes;
using test::Value;

constexpr int64_t kHidden = 16;

// A residual block: x -> (stream, branch), with the residual sum fused into
// the norm.
class RecomputeTest : public ::testing::Test {
 protected:
  void SetUp() override { parameters_.Bind(); }

  absl::StatusOr<std::vector<Tensor>> Block(absl::Span<const Tensor> inputs) {
    Stream& stream = TheStream();
    EISBACH_ASSIGN_OR_RETURN(NormResult norm,
                             Norm(ops::NormKind::kLayer, 1e-5f, inputs[0],
                                  inputs[1], scale_, &shift_, stream));
    const auto inner = [this](const Tensor& x) -> absl::StatusOr<Tensor> {
      EISBACH_ASSIGN_OR_RETURN(
          Tensor h, Linear(x, up_, &up_bias_, /*use_bias=*/true, TheStream()));
      return Gelu(h, TheStream());
    };
    EISBACH_ASSIGN_OR_RETURN(
        Tensor h, selective_ ? RecomputeOne(inner, norm.y, /*trains=*/true)
                             : inner(norm.y));
    EISBACH_ASSIGN_OR_RETURN(h, Linear(h, down_, nullptr, false, stream));
    return std::vector<Tensor>{norm.sum, h};
  }

  struct Result {
    std::vector<uint8_t> output, input_gradient, weight_gradients;
    int64_t bytes_kept;  // by the graph after forward
    friend bool operator==(const Result& a, const Result& b) {
      return a.output == b.output && a.input_gradient == b.input_gradient &&
             a.weight_gradients == b.weight_gradients;
    }
  };

  // Two blocks over x, forward and back.
  Result Run(bool recompute, Deferred* deferred = nullptr) {
    parameters_.Reset();
    const Tensor x = test::Normal({3, 5, kHidden}, DType::kF32, 1);
    const Tensor seed = test::Normal({3, 5, kHidden}, DType::kF32, 2);
    const RecomputedFunction block = [this](absl::Span<const Tensor> inputs) {
      return Block(inputs);
    };
    const int64_t before = test::TheDevice().memory().bytes_in_use;
    Graph graph;
    Tensor leaf = graph.Leaf(x);
    Tensor y;
    {
      GraphScope scope(&graph);
      std::vector<Tensor> state = {leaf, Tensor()};
      for (int i = 0; i < 2; ++i) {
        state = Value(recompute ? Recompute(block, state, /*trains=*/true)
                                : block(state));
        state = {state[1], state[0]};
      }
      y = Value(Add(state[0], state[1], TheStream()));
    }
    Result result;
    result.bytes_kept = test::TheDevice().memory().bytes_in_use - before;
    result.output = ToBytes(y);
    BackwardContext context{TheStream(), deferred};
    EISBACH_EXPECT_OK(graph.Backward({y}, {seed}, context));
    if (deferred != nullptr) {
      EISBACH_EXPECT_OK(deferred->Run(TheStream()));
    }
    result.input_gradient = ToBytes(graph.TakeGradient(leaf));
    result.weight_gradients = parameters_.GradientBytes();
    return result;
  }

  bool selective_ = false;  // inside the block
  test::TestParameters parameters_;
  Parameter& scale_ = parameters_.Add({kHidden}, 1, 0.1);
  Parameter& shift_ = parameters_.Add({kHidden});
  Parameter& up_ = parameters_.Add({4 * kHidden, kHidden});
  Parameter& up_bias_ = parameters_.Add({4 * kHidden});
  Parameter& down_ = parameters_.Add({kHidden, 4 * kHidden});
};

TEST_F(RecomputeTest, EqualsThePlainPassBitwise) {
  const Result plain = Run(/*recompute=*/false);
  EXPECT_TRUE(Run(/*recompute=*/true) == plain);
}

TEST_F(RecomputeTest, KeepsOnlyItsInputs) {
  EXPECT_LT(Run(/*recompute=*/true).bytes_kept,
            Run(/*recompute=*/false).bytes_kept / 2);
}

TEST_F(RecomputeTest, DeferredWeightGradientsEqualPlainOnesBitwise) {
  const Result plain = Run(/*recompute=*/false);
  Deferred deferred;
  EXPECT_TRUE(Run(/*recompute=*/false, &deferred) == plain);
  EXPECT_TRUE(Run(/*recompute=*/true, &deferred) == plain);
}

// What stands between a norm, which makes its output again, and a projection,
// whose input is made again: all that is kept is what the norm keeps.
TEST_F(RecomputeTest, APartOfALayerKeepsNothingAndEqualsThePlainPassBitwise) {
  const Result plain = Run(/*recompute=*/false);
  Deferred deferred;
  selective_ = true;
  const Result part = Run(/*recompute=*/false);
  EXPECT_TRUE(part == plain);
  EXPECT_TRUE(Run(/*recompute=*/false, &deferred) == plain);
  EXPECT_TRUE(Run(/*recompute=*/true) == plain);  // one inside the other
  // The widest of what a block keeps are two tensors of `up`'s width.
  const int64_t wide = 15 * 4 * kHidden * 4;
  EXPECT_LE(part.bytes_kept, plain.bytes_kept - 2 * wide);
}

TEST_F(RecomputeTest, WithoutAGraphItIsACall) {
  const Tensor x = test::Normal({1, 2, kHidden}, DType::kF32, 1);
  int calls = 0;
  const std::vector<Tensor> out = Value(Recompute(
      [&](absl::Span<const Tensor> inputs) {
        ++calls;
        return Block(inputs);
      },
      {x, Tensor()}, /*trains=*/true));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(out.size(), 2);
  EXPECT_EQ(out[1].grad_edge().node, nullptr);
}

// What is frozen and stands before all that is trained costs no backward.
TEST_F(RecomputeTest, NothingIsRecordedThatNobodyWants) {
  Graph graph;
  GraphScope scope(&graph);
  const Tensor x = test::Normal({1, 2, kHidden}, DType::kF32, 1);
  const auto block = [&](absl::Span<const Tensor> inputs) {
    return Block(inputs);
  };
  std::vector<Tensor> out =
      Value(Recompute(block, {x, Tensor()}, /*trains=*/false));
  EXPECT_EQ(out[1].grad_edge().node, nullptr);
  EXPECT_EQ(graph.size(), 0);
  const Tensor leaf = graph.Leaf(x);
  out = Value(Recompute(block, {leaf, Tensor()}, /*trains=*/false));
  EXPECT_NE(out[1].grad_edge().node, nullptr);
  EXPECT_EQ(graph.size(), 2);
}

TEST_F(RecomputeTest, AnUnusedOutputNeedsNoGradient) {
  parameters_.Reset();
  Graph graph;
  Tensor x = graph.Leaf(test::Normal({1, 2, kHidden}, DType::kF32, 1));
  std::vector<Tensor> out;
  {
    GraphScope scope(&graph);
    out = Value(Recompute(
        [&](absl::Span<const Tensor> inputs) { return Block(inputs); },
        {x, Tensor()}, /*trains=*/true));
  }
  BackwardContext context{TheStream()};
  EISBACH_ASSERT_OK(graph.Backward(
      {out[0]}, {test::Normal({1, 2, kHidden}, DType::kF32, 2)}, context));
  EXPECT_EQ(ToBytes(graph.TakeGradient(x)),
            ToBytes(test::Normal({1, 2, kHidden}, DType::kF32, 2)));
  EXPECT_FALSE(up_.accumulate());
}

TEST_F(RecomputeTest, ErrorsOfTheSecondCallAreReported) {
  Graph graph;
  Tensor x = graph.Leaf(test::Normal({1, 2, kHidden}, DType::kF32, 1));
  int calls = 0;
  std::vector<Tensor> out;
  {
    GraphScope scope(&graph);
    out = Value(Recompute(
        [&](absl::Span<const Tensor> inputs)
            -> absl::StatusOr<std::vector<Tensor>> {
          if (++calls == 2) return absl::ResourceExhaustedError("memory");
          return Block(inputs);
        },
        {x, Tensor()}, /*trains=*/true));
  }
  BackwardContext context{TheStream()};
  EXPECT_THAT(
      graph.Backward({out[1]}, {test::Normal({1, 2, kHidden}, DType::kF32, 2)},
                     context),
      test::StatusIs(absl::StatusCode::kResourceExhausted, "memory"));
}

}  // namespace
}  // namespace eisbach::autograd::recompute_test
