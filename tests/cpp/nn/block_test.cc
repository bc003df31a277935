#include "nn/block.h"

#include <gtest/gtest.h>

#include "nn/linear.h"
#include "support/autograd_testing.h"

namespace eisbach::nn::block_test {
namespace {

constexpr int64_t kHidden = 8;

// A block of two heads with a tanh-GELU MLP, as a function of x [2, 3, 8].
class BlockTest : public testing::Test {
 protected:
  std::unique_ptr<Block> Make(bool recompute,
                              const std::string& placement = "pre") {
    const auto linear = [](const char* name, int64_t in, int64_t out) {
      return std::make_unique<Linear>(PlainLinear(name, in, out, true, 0.3f));
    };
    const auto norm = [](const char* name) {
      return std::make_unique<Norm>(name, ops::NormKind::kLayer, kHidden, 1e-5f,
                                    true);
    };
    Block::Parts parts;
    if (placement != "post") {
      parts.norm1 = norm("norm1");
      parts.norm2 = norm("norm2");
    }
    if (placement != "pre") {
      parts.post_norm1 = norm("post_norm1");
      parts.post_norm2 = norm("post_norm2");
    }
    LinearOptions qkv = PlainLinear("qkv", kHidden, 3 * kHidden, true, 0.3f);
    Attention::Parts attention;
    attention.qkv = std::make_unique<Linear>(qkv);
    attention.output = linear("output", kHidden, kHidden);
    attention.heads = {2, 2, kHidden / 2, 1, 0};
    attention.head_norm =
        std::make_unique<HeadNorm>("attention", kHidden / 2, 1e-5, true);
    parts.attention = std::make_unique<Attention>(std::move(attention));
    parts.dropout1 = std::make_unique<Dropout>("attention", 0.0f);
    parts.mlp =
        std::make_unique<Mlp>(linear("up", kHidden, 16),
                              linear("down", 16, kHidden), Activation::kGelu);
    parts.dropout2 = std::make_unique<Dropout>("mlp", 0.0f);
    parts.recompute = recompute;
    return std::make_unique<Block>(std::move(parts));
  }

  std::vector<Parameter*> Bind(Block& block) {
    std::vector<Parameter*> parameters;
    block.VisitParameters([&](Parameter& p) { parameters.push_back(&p); });
    buffer_ = test::Value(FlatBuffer::Make(
        parameters, DType::kF32, int64_t{1} << 20, test::TheStream()));
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Tensor& master = parameters[i]->master();
      test::Assign(master, test::NormalValues(master.elements(), 10 + i, 0.5));
    }
    return parameters;
  }

  test::TestFunction Run(Block& block) {
    return [&block](const Tensor& x) -> absl::StatusOr<Tensor> {
      ForwardContext context{test::TheStream()};
      EISBACH_ASSIGN_OR_RETURN(Residual out,
                               block.Forward({x, Tensor()}, context));
      return Join(out, context);
    };
  }

  std::unique_ptr<FlatBuffer> buffer_;
};

TEST_F(BlockTest, GradientsAreThoseOfFiniteDifferences) {
  auto block = Make(/*recompute=*/false);
  const auto parameters = Bind(*block);
  EXPECT_EQ(parameters.size(), 14);
  test::CheckGradients(Run(*block),
                       test::Normal({2, 3, kHidden}, DType::kF32, 1),
                       parameters, 1e-2, 1e-2);
}

// Norms of what attention and MLP give, alone and beside those of what they
// take.
TEST_F(BlockTest, NormsMayStandBehind) {
  for (const auto& [placement, count] :
       {std::pair<const char*, size_t>{"post", 14}, {"both", 18}}) {
    auto block = Make(/*recompute=*/false, placement);
    const auto parameters = Bind(*block);
    EXPECT_EQ(parameters.size(), count) << placement;
    test::CheckGradients(Run(*block),
                         test::Normal({2, 3, kHidden}, DType::kF32, 1),
                         parameters, 1e-2, 1e-2);
  }
}

TEST_F(BlockTest, RecomputedGradientsAreTheSameBits) {
  const Tensor x = test::Normal({2, 3, kHidden}, DType::kF32, 1);
  const Tensor seed = test::Normal({2, 3, kHidden}, DType::kF32, 2);
  std::vector<std::vector<uint8_t>> gradients;
  for (bool recompute : {false, true}) {
    auto block = Make(recompute);
    const auto parameters = Bind(*block);
    std::vector<uint8_t> all =
        test::ToBytes(test::Gradient(Run(*block), x, seed));
    for (Parameter* parameter : parameters) {
      for (uint8_t byte : test::ToBytes(parameter->grad())) all.push_back(byte);
    }
    gradients.push_back(std::move(all));
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

}  // namespace
}  // namespace eisbach::nn::block_test
