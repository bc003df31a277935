#include <gtest/gtest.h>

#include "support/test_main.h"

// What support/test_main.cc is told to be the tests of three files, some of
// which fail, to see which it runs.
namespace eisbach::test {
namespace {

const bool told = TellBatch({{"test_main_program", "core/main_program.cc"},
                             {"test_main_other", "core/other_program.cc"}});

TEST(Mine, Passes) { EXPECT_TRUE(told); }
TEST(Mine, PassesAlso) {}

#line 1 "core/other_program.cc"
TEST(Other, Fails) { FAIL(); }
TEST(Shared, Fails) { FAIL(); }

#line 1 "core/third_program.cc"
TEST(Shared, FailsAlso) { FAIL(); }

}  // namespace
}  // namespace eisbach::test
