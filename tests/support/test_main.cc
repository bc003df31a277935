#include "support/test_main.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

// The main of GoogleTest programs that run as plain processes. Running no test
// is a failure.
namespace eisbach::test {
namespace {

std::vector<BatchedTest>& Batch() {
  static auto* const batch = new std::vector<BatchedTest>();
  return *batch;
}

// Whose tests run.
absl::StatusOr<std::string> SourceOf(absl::string_view program) {
  for (const BatchedTest& test : Batch()) {
    if (test.program == program) return test.source;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      program, " has the tests of several files; start it as ",
      absl::StrJoin(Batch(), ", ", [](std::string* out, const auto& test) {
        absl::StrAppend(out, test.program);
      })));
}

// Patterns of all suites that are not in `source`. No suite may be in several
// files: it would be left out, or run, with all of them.
absl::StatusOr<std::string> OtherSuites(absl::string_view source) {
  std::vector<std::string> patterns;
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  for (int s = 0; s < all.total_test_suite_count(); ++s) {
    const testing::TestSuite& suite = *all.GetTestSuite(s);
    int mine = 0;
    for (int t = 0; t < suite.total_test_count(); ++t) {
      if (absl::EndsWith(suite.GetTestInfo(t)->file(), source)) ++mine;
    }
    if (mine == 0) {
      patterns.push_back(absl::StrCat(suite.name(), ".*"));
    } else if (mine < suite.total_test_count()) {
      return absl::InvalidArgumentError(absl::StrCat(
          source, " and another file have a test suite ", suite.name()));
    }
  }
  return absl::StrJoin(patterns, ":");
}

// Takes the tests of other files from what the filter selects.
absl::Status SelectOwn(absl::string_view program) {
  const absl::StatusOr<std::string> source = SourceOf(program);
  if (!source.ok()) return source.status();
  const absl::StatusOr<std::string> others = OtherSuites(*source);
  if (!others.ok()) return others.status();
  const std::string filter = GTEST_FLAG_GET(filter);
  if (others->empty()) return absl::OkStatus();
  const char* const joint = absl::StrContains(filter, '-') ? ":" : "-";
  GTEST_FLAG_SET(filter, absl::StrCat(filter, joint, *others));
  return absl::OkStatus();
}

int Run(int argc, char** argv) {
  const std::string program = std::filesystem::path(argv[0]).filename();
  testing::InitGoogleTest(&argc, argv);
  if (!Batch().empty()) {
    const absl::Status selected = SelectOwn(program);
    if (!selected.ok()) {
      std::fprintf(stderr, "%s\n", std::string(selected.message()).c_str());
      return 1;
    }
  }
  const int result = RUN_ALL_TESTS();
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    std::fprintf(stderr, "no test was selected\n");
    return 1;
  }
  return result;
}

}  // namespace

bool TellBatch(std::initializer_list<BatchedTest> tests) {
  Batch() = tests;
  return true;
}

}  // namespace eisbach::test

int main(int argc, char** argv) { return eisbach::test::Run(argc, argv); }
