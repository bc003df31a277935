#include "core/text_table.h"

#include <gtest/gtest.h>

namespace eisbach::text_table_test {
namespace {

TEST(TextTableTest, AlignsColumnsAndTrailsNothing) {
  EXPECT_EQ(TextTable({{"rank", "host"}, {"0", "a"}, {"12345", ""}}),
            "  rank   host\n"
            "  0      a\n"
            "  12345\n");
  EXPECT_EQ(TextTable({}), "");
}

}  // namespace
}  // namespace eisbach::text_table_test
