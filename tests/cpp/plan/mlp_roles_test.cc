#include "plan/mlp_roles.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "cpp/plan/plan_testing.h"
#include "plan/layout.h"
#include "plan/record.h"
#include "support/status_testing.h"

namespace eisbach::plan::mlp_roles_test {
namespace {

constexpr char kLetters[] = ".UaDduwvx";  // of the roles, in their order

// What the last action of a kind is to two MLPs, in the order of the stream.
std::map<char, std::string> Roles(const std::string& family, DType dtype,
                                  int64_t context, Layout layout) {
  train::EngineConfig config = test::ToyConfig(family);
  config.model.layers = 2;
  config.model.context = context;
  config.model.ffn_hidden = 200;
  config.update.compute_dtype = dtype;
  config.global_batch = 4;
  layout.schedule = layout.pipeline > 1 ? "zero_bubble" : "1f1b";
  const parallel::Mesh mesh = test::Value(MeshOf(layout));
  config = WithLayout(config, layout);
  const WorkRecord record = test::Value(RecordSteps(config, mesh, 0));
  const std::vector<MlpRole> roles = RolesOf(record, config, mesh);
  std::map<char, std::string> found;
  char letter = 0;
  for (size_t i = 0; i < roles.size(); ++i) {
    if (record.work[i].kind == Work::Kind::kAction) {
      letter = record.work[i].action.letter;
      found[letter].clear();
    } else if (roles[i] != MlpRole::kOther) {
      found[letter] += kLetters[static_cast<int>(roles[i])];
    }
  }
  return found;
}

TEST(MlpRolesTest, EachProductIsNamed) {
  using nn::Recompute;
  for (const std::string family : {"llama", "gpt"}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      // Also as many tokens as `hidden` is wide, and as `up` and `down` have.
      for (const int64_t context : {64, 96, 200, 400}) {
        SCOPED_TRACE(family + " " + std::to_string(context) + " " +
                     std::string(Name(dtype)));
        auto roles = Roles(family, dtype, context, {});
        EXPECT_EQ(roles['F'], "UDUD");
        EXPECT_EQ(roles['B'], "dwuvdwuv");
        roles = Roles(family, dtype, context, {.recompute = Recompute::kBlock});
        EXPECT_EQ(roles['F'], "UDUD");
        EXPECT_EQ(roles['B'], "UDdwuvUDdwuv");
        roles =
            Roles(family, dtype, context, {.recompute = Recompute::kSelective});
        EXPECT_EQ(roles['F'], "UDUD");
        EXPECT_EQ(roles['B'], "dawuvdawuv");
        roles = Roles(family, dtype, context, {.pipeline = 2});
        EXPECT_EQ(roles['F'], "UD");
        EXPECT_EQ(roles['I'], "du");
        EXPECT_EQ(roles['W'], "wv");
      }
    }
  }
}

TEST(MlpRolesTest, WhatTensorRanksExchangeAroundThemIsTheirs) {
  auto roles = Roles("llama", DType::kBF16, 64, {.tensor = 2});
  EXPECT_EQ(roles['F'], "xUDxxUDx");
  EXPECT_EQ(roles['B'], "xdwxuvxxdwxuvx");
  EXPECT_EQ(roles[0], "");
}

}  // namespace
}  // namespace eisbach::plan::mlp_roles_test
