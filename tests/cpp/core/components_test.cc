#include "core/components.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/cpu_features.h"

namespace eisbach::components_test {
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

#if defined(__x86_64__)

TEST(CpuFeaturesTest, AgreesWithTheCompilersOwnCheck) {
  const std::vector<std::string> features = CpuFeatures();
  const auto has = [&](const char* name) {
    return std::find(features.begin(), features.end(), name) != features.end();
  };
  EXPECT_EQ(has("avx2"), __builtin_cpu_supports("avx2") != 0);
  EXPECT_EQ(has("fma"), __builtin_cpu_supports("fma") != 0);
  EXPECT_EQ(has("avx512f"), __builtin_cpu_supports("avx512f") != 0);
}

#elif defined(__aarch64__)

TEST(ComponentsTest, KernelsAreCompiledForNeon) {
  EXPECT_THAT(Components(),
              Contains(Pair("vectors", ::testing::StartsWith("NEON"))));
}

TEST(CpuFeaturesTest, AgreesWithTheIdentificationRegisters) {
  // Linux lets programs read them and hides what it has not enabled.
  uint64_t pfr0, isar0, isar1, zfr0;
  asm("mrs %0, id_aa64pfr0_el1" : "=r"(pfr0));
  asm("mrs %0, id_aa64isar0_el1" : "=r"(isar0));
  asm("mrs %0, id_aa64isar1_el1" : "=r"(isar1));
  asm("mrs %0, s3_0_c0_c4_4" : "=r"(zfr0));  // id_aa64zfr0_el1
  const auto field = [](uint64_t value, int bit) { return value >> bit & 15; };
  const std::vector<std::string> features = CpuFeatures();
  const auto has = [&](const char* name) {
    return std::find(features.begin(), features.end(), name) != features.end();
  };
  EXPECT_EQ(has("asimd"), field(pfr0, 20) != 15);
  EXPECT_EQ(has("asimdhp"), field(pfr0, 20) == 1);
  EXPECT_EQ(has("asimddp"), field(isar0, 44) != 0);
  EXPECT_EQ(has("sve"), field(pfr0, 32) != 0);
  EXPECT_EQ(has("sve2"), field(zfr0, 0) != 0);
  EXPECT_EQ(has("bf16"), field(isar1, 44) != 0);
  EXPECT_EQ(has("i8mm"), field(isar1, 52) != 0);
}

#endif

}  // namespace
}  // namespace eisbach::components_test
