#include "optim/nearest_name.h"

#include <vector>

#include "support/status_testing.h"

namespace eisbach::optim::nearest_name_test {
namespace {

TEST(NearestName, TakesTheFewestChanges) {
  const std::vector<std::string> names{
      "embedding.token.weight",        "blocks.*.norm1.weight",
      "blocks.*.norm1.bias",           "blocks.*.attention.query.weight",
      "blocks.*.attention.key.weight", "head.weight"};
  const auto nearest = [&](const char* pattern) {
    return NearestName(pattern, names);
  };
  EXPECT_EQ(nearest("*.nrom.*"), "blocks.*.norm1.weight");
  EXPECT_EQ(nearest("blocks.12.norm1.biases"), "blocks.*.norm1.bias");
  EXPECT_EQ(nearest("*quary*"), "blocks.*.attention.query.weight");
  EXPECT_EQ(nearest("model.embed_tokens.weight"), "embedding.token.weight");
  EXPECT_EQ(nearest("lm_head.weight"), "head.weight");
  EXPECT_EQ(nearest(""), "head.weight");
}

}  // namespace
}  // namespace eisbach::optim::nearest_name_test
