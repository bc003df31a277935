#include "parallel/tensor/functions/collectives.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "autograd/functions/linear.h"
#include "autograd/graph.h"
#include "autograd/saved.h"
#include "comm/world.h"
#include "device/recorder.h"
#include "support/status_testing.h"

namespace eisbach::parallel::collectives_test {
namespace {

absl::StatusOr<Tensor> Filled(double value, Device& device) {
  EISBACH_ASSIGN_OR_RETURN(Tensor t,
                           Tensor::Empty(Shape{5}, DType::kF32, device));
  std::fill_n(t.data<float>(), 5, static_cast<float>(value));
  return t;
}

using Function = absl::StatusOr<Tensor> (*)(const Tensor&, comm::Communicator&,
                                            Stream&);

// Applies `function` on 3 ranks to x = rank + 1, back from a gradient of
// 10 (rank + 1), and expects y and dx everywhere.
void Check(Function function, const std::function<double(int)>& y_of,
           const std::function<double(int)>& dx_of) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(
      3, DeviceType::kCpu, 1, [&](comm::World& world) -> absl::Status {
        Stream& stream = world.device().compute_stream();
        EISBACH_ASSIGN_OR_RETURN(Tensor x,
                                 Filled(world.rank() + 1, world.device()));
        EISBACH_ASSIGN_OR_RETURN(
            Tensor seed, Filled(10 * (world.rank() + 1), world.device()));
        autograd::Graph graph;
        Tensor leaf = graph.Leaf(x);
        Tensor y;
        {
          autograd::GraphScope scope(&graph);
          EISBACH_ASSIGN_OR_RETURN(
              y, function(leaf, world.communicator(), stream));
        }
        autograd::BackwardContext context{stream};
        EISBACH_RETURN_IF_ERROR(graph.Backward({y}, {seed}, context));
        const Tensor dx = graph.TakeGradient(leaf);
        for (int i = 0; i < 5; ++i) {
          EXPECT_EQ(y.data<float>()[i], y_of(world.rank()));
          EXPECT_EQ(dx.data<float>()[i], dx_of(world.rank()));
          // The seed belongs to the caller.
          EXPECT_EQ(seed.data<float>()[i], 10 * (world.rank() + 1));
        }
        return absl::OkStatus();
      }));
}

TEST(TensorRegionTest, EnteringCopiesForwardAndSumsBackward) {
  Check(
      &EnterTensorRegion, [](int rank) { return rank + 1.0; },
      [](int) { return 60.0; });
}

TEST(TensorRegionTest, LeavingSumsForwardAndCopiesBackward) {
  Check(
      &LeaveTensorRegion, [](int) { return 6.0; },
      [](int rank) { return 10.0 * (rank + 1); });
}

// 3 samples of 2 positions, 4 features; each of 2 ranks has 3 tokens.
constexpr nn::TokenShare kShares[] = {{3, 2, 0, 3}, {3, 2, 3, 3}};

absl::StatusOr<Tensor> Counting(const Shape& shape, float first,
                                Device& device) {
  EISBACH_ASSIGN_OR_RETURN(Tensor t, Tensor::Empty(shape, DType::kF32, device));
  for (int64_t i = 0; i < t.elements(); ++i) {
    t.data<float>()[i] = first + static_cast<float>(i);
  }
  return t;
}

void OnTwoRanks(const std::function<absl::Status(comm::World&)>& test) {
  EISBACH_EXPECT_OK(comm::RunLocalRanks(2, DeviceType::kCpu, 1, test));
}

TEST(DividedTokensTest, AreGatheredAndTheirGradientSummed) {
  OnTwoRanks([](comm::World& world) -> absl::Status {
    const int rank = world.rank();
    Stream& stream = world.device().compute_stream();
    EISBACH_ASSIGN_OR_RETURN(
        Tensor x, Counting(Shape{1, 3, 4}, static_cast<float>(12 * rank),
                           world.device()));
    // 100 and 200 more on the two ranks.
    EISBACH_ASSIGN_OR_RETURN(
        Tensor seed,
        Counting(Shape{3, 2, 4}, static_cast<float>(100 * (rank + 1)),
                 world.device()));
    autograd::Graph graph;
    Tensor leaf = graph.Leaf(x);
    Tensor y, again;
    autograd::Saved saved;
    {
      autograd::GraphScope scope(&graph);
      EISBACH_ASSIGN_OR_RETURN(
          y, GatherTokens(leaf, kShares[rank], world.communicator(), stream));
      saved = autograd::Saved(y);
    }
    EXPECT_EQ(y.shape(), (Shape{3, 2, 4}));
    EISBACH_ASSIGN_OR_RETURN(again, saved.Get(stream));
    EXPECT_NE(again.raw(), y.raw());  // gathered again, not kept
    autograd::BackwardContext context{stream};
    EISBACH_RETURN_IF_ERROR(graph.Backward({y}, {seed}, context));
    const Tensor dx = graph.TakeGradient(leaf);
    EXPECT_EQ(dx.shape(), x.shape());
    for (int i = 0; i < 24; ++i) {
      EXPECT_EQ(y.data<float>()[i], i);
      EXPECT_EQ(again.data<float>()[i], i);
    }
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(dx.data<float>()[i], 300 + 2 * (12 * rank + i));
    }
    return absl::OkStatus();
  });
}

// Names of what a device is given, those of one stream marked.
class Heard final : public Recorder {
 public:
  explicit Heard(const Stream& beside) : beside_(beside) {}
  void OnOp(absl::string_view name, const OpCost&, const Stream&) override {
    names.emplace_back(name);
  }
  void OnCollective(absl::string_view name, absl::string_view,
                    const CollectiveCost&, const Stream& stream) override {
    names.push_back(
        absl::StrCat(name, &stream == &beside_ ? " beside" : " between"));
  }

  std::vector<std::string> names;

 private:
  const Stream& beside_;
};

// What a product of gathered tokens does in backward, and its weight's gradient
// in bits.
absl::Status MultiplyBack(comm::World& world, Stream* beside, Heard& heard,
                          std::vector<float>& gradient) {
  nn::TokenShare share = kShares[world.rank()];
  share.beside = beside;
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  Parameter weight({.name = "weight", .shape = Shape{4, 4}});
  ParameterTensors tensors;
  EISBACH_ASSIGN_OR_RETURN(tensors.data, Counting(Shape{4, 4}, -7, device));
  EISBACH_ASSIGN_OR_RETURN(tensors.grad,
                           Tensor::Zeros(Shape{4, 4}, DType::kF32, stream));
  weight.Bind(tensors);
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor x,
      Counting(Shape{1, 3, 4}, static_cast<float>(world.rank()), device));
  EISBACH_ASSIGN_OR_RETURN(const Tensor seed,
                           Counting(Shape{3, 2, 4}, 3, device));
  autograd::Graph graph;
  Tensor y;
  {
    autograd::GraphScope scope(&graph);
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor all,
        GatherTokens(graph.Leaf(x), share, world.communicator(), stream));
    EISBACH_ASSIGN_OR_RETURN(
        y, autograd::Linear(all, weight, nullptr, false, stream));
  }
  device.set_recorder(&heard);
  autograd::BackwardContext context{stream};
  const absl::Status status = graph.Backward({y}, {seed}, context);
  device.set_recorder(nullptr);
  gradient.assign(tensors.grad.data<float>(), tensors.grad.data<float>() + 16);
  return status;
}

// So that its time is that of the product (Megatron-LM does so too).
TEST(DividedTokensTest, AreGatheredAgainBesideTheProductBeforeTheirUse) {
  OnTwoRanks([](comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(const auto beside, world.device().NewStream());
    Heard heard(*beside), plain(*beside);
    std::vector<float> gradient, expected;
    EISBACH_RETURN_IF_ERROR(MultiplyBack(world, beside.get(), heard, gradient));
    EISBACH_RETURN_IF_ERROR(MultiplyBack(world, nullptr, plain, expected));
    EXPECT_EQ(heard.names,
              (std::vector<std::string>{"all_gather beside", "matmul", "matmul",
                                        "reduce_scatter between"}));
    EXPECT_EQ(plain.names,
              (std::vector<std::string>{"matmul", "all_gather between",
                                        "matmul", "reduce_scatter between"}));
    EXPECT_EQ(gradient, expected);
    return absl::OkStatus();
  });
}

TEST(DividedTokensTest, AreTheirPartOfASumAndTheirGradientGathered) {
  OnTwoRanks([](comm::World& world) -> absl::Status {
    const int rank = world.rank();
    Stream& stream = world.device().compute_stream();
    EISBACH_ASSIGN_OR_RETURN(
        Tensor x, Counting(Shape{3, 2, 4}, static_cast<float>(100 * (rank + 1)),
                           world.device()));
    EISBACH_ASSIGN_OR_RETURN(
        Tensor seed, Counting(Shape{1, 3, 4}, static_cast<float>(12 * rank),
                              world.device()));
    autograd::Graph graph;
    Tensor leaf = graph.Leaf(x);
    Tensor y;
    {
      autograd::GraphScope scope(&graph);
      EISBACH_ASSIGN_OR_RETURN(
          y, ScatterTokens(leaf, kShares[rank], world.communicator(), stream));
    }
    autograd::BackwardContext context{stream};
    EISBACH_RETURN_IF_ERROR(graph.Backward({y}, {seed}, context));
    const Tensor dx = graph.TakeGradient(leaf);
    EXPECT_EQ(y.shape(), (Shape{1, 3, 4}));
    EXPECT_EQ(dx.shape(), x.shape());
    for (int i = 0; i < 12; ++i) {
      EXPECT_EQ(y.data<float>()[i], 300 + 2 * (12 * rank + i));
    }
    for (int i = 0; i < 24; ++i) EXPECT_EQ(dx.data<float>()[i], i);
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace eisbach::parallel::collectives_test
