#include "autograd/saved.h"

#include "autograd/functions/activation.h"
#include "autograd/functions/linear.h"
#include "autograd/functions/norm.h"
#include "support/autograd_testing.h"

namespace eisbach::autograd::saved_test {
namespace {

using test::TheStream;
using test::ToBytes;
using test::Value;

const Shape kShape = {64, 96};

class SavedTest : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override { parameters_.Bind(GetParam()); }

  // What the graph holds of `make(x)` after it, in outputs of kShape, and
  // whether Saved gives the same bits.
  void Check(const std::function<Tensor(const Tensor&)>& make,
             const Shape& input, int64_t kept) {
    const Tensor x = test::Normal(input, GetParam(), 1);
    const int64_t before = test::TheDevice().memory().bytes_in_use;
    Graph graph;
    Tensor leaf = graph.Leaf(x);
    std::optional<Saved> saved;
    std::vector<uint8_t> bits;
    {
      GraphScope scope(&graph);
      const Tensor y = make(leaf);
      bits = ToBytes(y);
      saved.emplace(y);
    }
    const int64_t whole = kShape.elements() * SizeOf(GetParam());
    const int64_t held = test::TheDevice().memory().bytes_in_use - before;
    EXPECT_EQ(held / whole, kept);
    EXPECT_EQ(ToBytes(Value(saved->Get(TheStream()))), bits);
  }

  test::TestParameters parameters_;
  Parameter& weight_ = parameters_.Add({96}, /*mean=*/1, /*scale=*/0.3);
  Parameter& bias_ = parameters_.Add({96});
  Parameter& square_ = parameters_.Add({96, 96});
};

TEST_P(SavedTest, KeepsWhatCannotBeMadeAgain) {
  Check(
      [&](const Tensor& x) {
        return Value(Linear(x, square_, nullptr, false, TheStream()));
      },
      kShape, 1);
  const Tensor x = test::Normal(kShape, GetParam(), 1);
  EXPECT_EQ(Value(Saved(x).Get(TheStream())).raw(), x.raw());
}

TEST_P(SavedTest, MakesNormsAgain) {
  for (auto kind : {ops::NormKind::kLayer, ops::NormKind::kRms}) {
    Parameter* bias = kind == ops::NormKind::kLayer ? &bias_ : nullptr;
    Check(
        [&](const Tensor& x) {
          return Value(
                     Norm(kind, 1e-5f, x, Tensor(), weight_, bias, TheStream()))
              .y;
        },
        kShape, 0);
  }
}

TEST_P(SavedTest, MakesActivationsAgain) {
  Check([&](const Tensor& x) { return Value(Gelu(x, TheStream())); }, kShape,
        0);
  Check([&](const Tensor& x) { return Value(Swiglu(x, TheStream())); },
        {64, 192}, 0);
}

INSTANTIATE_TEST_SUITE_P(DTypes, SavedTest,
                         ::testing::Values(DType::kF32, DType::kBF16),
                         [](const auto& info) {
                           return std::string(Name(info.param));
                         });

}  // namespace
}  // namespace eisbach::autograd::saved_test
