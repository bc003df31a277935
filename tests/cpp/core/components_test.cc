#include "core/components.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cpu_features.h"

namespace eisbach {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;
using ::testing::Key;
using ::testing::Pair;

TEST(ComponentsTest, TellsWhatTheBuildStandsOn) {
  EXPECT_THAT(Components(),
              IsSupersetOf({Key("version"), Key("compiler"), Key("cpu"),
                            Key("matmul"), Key("mpi"), Key("vectors")}));
}

TEST(ComponentsTest, AFileAddsWhatItKnows) {
  ASSERT_TRUE(RegisterComponent("test", [] { return std::string("1.2"); }));
  EXPECT_FALSE(RegisterComponent("test", [] { return std::string("3.4"); }));
  EXPECT_THAT(Components(), Contains(Pair("test", "1.2")));
}

TEST(CpuFeaturesTest, AgreesWithTheCompilersOwnCheck) {
#if defined(__x86_64__)
  const std::vector<std::string> features = CpuFeatures();
  const auto has = [&](const char* name) {
    return std::find(features.begin(), features.end(), name) != features.end();
  };
  EXPECT_EQ(has("avx2"), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(has("fma"), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(has("avx512f"), __builtin_cpu_supports("avx512f") != 0);
#endif
}

}  // namespace
}  // namespace eisbach
