#include "optim/groups.h"

#include <gtest/gtest.h>

#include <memory>

#include "support/status_testing.h"

namespace eisbach::optim::groups_test {
namespace {

using test::StatusIs;
using test::Value;
using ::testing::ElementsAre;

class GroupsTest : public ::testing::Test {
 protected:
  GroupsTest() {
    for (const char* name : {"table.weight", "blocks.0.norm.weight",
                             "blocks.1.norm.weight", "blocks.1.norm.bias"}) {
      Add(WholeParam(name, {2, 3}, {}, true));
    }
  }
  Parameter* Add(ParamSpec spec) {
    owned_.push_back(std::make_unique<Parameter>(std::move(spec)));
    list_.push_back(owned_.back().get());
    return list_.back();
  }
  const Training& training(size_t i) { return list_[i]->spec().training; }
  absl::Status Check(const std::vector<ParameterGroup>& groups) {
    const auto counts = ApplyGroups(groups, list_);
    return counts.ok() ? CheckCounts(groups, *counts, list_) : counts.status();
  }

  std::vector<std::unique_ptr<Parameter>> owned_;
  std::vector<Parameter*> list_;
};

TEST_F(GroupsTest, TheFirstThatFitsDecides) {
  const std::vector<ParameterGroup> groups{
      {.patterns = {"blocks.1.*.bias"}, .rate_factor = 2, .weight_decay = 0},
      {.patterns = {"table.*", "blocks.1.*"}, .frozen = true}};
  const GroupCounts counts = Value(ApplyGroups(groups, list_));
  EXPECT_THAT(counts.decided, ElementsAre(1, 1, 1));
  EXPECT_EQ(counts.trained, 2);
  EXPECT_TRUE(training(0).frozen);
  EXPECT_EQ(training(1), Training());
  EXPECT_TRUE(training(2).frozen);
  EXPECT_FALSE(training(3).frozen);
  EXPECT_EQ(training(3).rate_factor, 2);
  EXPECT_EQ(training(3).weight_decay, 0.0f);
  EISBACH_EXPECT_OK(CheckCounts(groups, counts, list_));
}

TEST_F(GroupsTest, APatternThatDecidesNothingIsRefused) {
  EXPECT_THAT(
      Check({{.patterns = {"table.*", "head.*"}, .frozen = true}}),
      StatusIs(
          absl::StatusCode::kInvalidArgument,
          "\"head.*\" is the name of no parameter "
          "(optimizer.groups.0.parameters); the nearest is "
          "table.weight; the names are table.weight, blocks.*.norm.weight, "
          "blocks.*.norm.bias"));
  EXPECT_THAT(Check({{.patterns = {"*.weight"}, .frozen = true},
                     {.patterns = {"table.*"}, .rate_factor = 2}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "no parameter that an earlier group has not "
                       "(optimizer.groups.1.parameters)"));
}

TEST_F(GroupsTest, SomethingIsTrained) {
  EXPECT_THAT(Check({{.patterns = {"*"}, .frozen = true}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "every parameter is frozen"));
}

// Queries, keys and values of a block are rows of one matrix.
TEST_F(GroupsTest, PartsOfOneParameterAreOfOneGroup) {
  ParamSpec spec = WholeParam("qkv", {4, 3}, {}, true);
  spec.slices.resize(2, spec.slices[0]);
  spec.slices[0].name = "query";
  spec.slices[1].name = "key";
  const Parameter* qkv = Add(spec);
  EXPECT_THAT(Check({{.patterns = {"query"}, .frozen = true}}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "query is in optimizer.groups.0 and key in no group, "
                       "but they are parts of one matrix (optimizer.groups); "
                       "nearest that works: one group for query, key"));
  EISBACH_EXPECT_OK(Check({{.patterns = {"query", "key"}, .frozen = true}}));
  EXPECT_FALSE(qkv->trains());
}

TEST_F(GroupsTest, GroupsThatMakeNoSenseAreRefused) {
  const auto expect = [](ParameterGroup group, const char* part) {
    EXPECT_THAT(ValidateGroups({group}),
                StatusIs(absl::StatusCode::kInvalidArgument, part));
  };
  expect({.frozen = true}, "(optimizer.groups.0.parameters)");
  expect({.patterns = {"a"}}, "changes nothing (optimizer.groups.0)");
  expect({.patterns = {"a"}, .frozen = true, .rate_factor = 2},
         "(optimizer.groups.0.frozen)");
  expect({.patterns = {"a"}, .rate_factor = 0}, "frozen: true");
  expect({.patterns = {"a"}, .rate_factor = 1e39},
         "(optimizer.groups.0.lr_factor)");
  expect({.patterns = {"a"}, .weight_decay = -1},
         "below 0 (optimizer.groups.0.weight_decay)");
  expect({.patterns = {"a"}, .weight_decay = 1e39},
         "(optimizer.groups.0.weight_decay)");
}

}  // namespace
}  // namespace eisbach::optim::groups_test
