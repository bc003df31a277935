#include "comm/mpi/settings.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "support/status_testing.h"

namespace eisbach::comm::settings_test {
namespace {

using Variables = std::map<std::string, std::string>;

Variables Missing(const Variables& variables, absl::string_view interface) {
  const auto environment = [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
  Variables missing;
  for (const Setting& setting : SettingsBeforeInit(environment, interface)) {
    missing[setting.name] = setting.value;
  }
  return missing;
}

TEST(SettingsBeforeInit, RanksOfOneHostDoWithoutTcp) {
  const Variables want = {{"OMPI_MCA_btl", "^tcp"}};
  EXPECT_EQ(Missing({{"OMPI_COMM_WORLD_SIZE", "4"},
                     {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}},
                    "eth0"),
            want);
  EXPECT_EQ(Missing({{"SLURM_STEP_NUM_NODES", "1"}}, ""), want);
}

// The job is named after the process that started it.
TEST(SettingsBeforeInit, RanksApartFromTheirLauncherUseTcp) {
  const auto apart = [](const std::string& job) {
    return Missing({{"OMPI_COMM_WORLD_SIZE", "4"},
                    {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                    {"PMIX_HOSTNAME", "a-host"},
                    {"PMIX_NAMESPACE", job}},
                   "") == Variables{{"OMPI_MCA_btl", "self,tcp"}};
  };
  const std::string here = absl::StrCat("prterun-a-host-", getpid(), "@1");
  char name[16];
  ASSERT_EQ(prctl(PR_GET_NAME, name), 0);
  ASSERT_EQ(prctl(PR_SET_NAME, "prterun"), 0);
  EXPECT_FALSE(apart(here));
  ASSERT_EQ(prctl(PR_SET_NAME, "another"), 0);
  EXPECT_TRUE(apart(here));
  prctl(PR_SET_NAME, name);
  EXPECT_TRUE(apart("prterun-a-host-999999999@1"));
  EXPECT_FALSE(apart("prterun-another-host-999999999@1"));
  EXPECT_FALSE(apart("slurm.pmix.17.0"));
}

TEST(SettingsBeforeInit, RanksOfSeveralHostsMeetOnTheInterface) {
  const Variables several = {{"OMPI_COMM_WORLD_SIZE", "4"},
                             {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  EXPECT_EQ(Missing(several, ""), Variables());
  EXPECT_EQ(Missing(several, "bond0"),
            (Variables{{"OMPI_MCA_btl_tcp_if_include", "bond0"},
                       {"NCCL_SOCKET_IFNAME", "=bond0"}}));
}

TEST(SettingsBeforeInit, LeavesWhatIsSet) {
  EXPECT_EQ(Missing({{"OMPI_COMM_WORLD_SIZE", "2"},
                     {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"},
                     {"OMPI_MCA_btl", "self,tcp"}},
                    ""),
            Variables());
}

TEST(CheckInterface, NamesThoseThatThereAre) {
  EISBACH_EXPECT_OK(CheckInterface(""));
  EISBACH_EXPECT_OK(CheckInterface("lo"));
  EXPECT_THAT(CheckInterface("bond9"),
              test::StatusIs(absl::StatusCode::kInvalidArgument,
                             "network.interface=bond9: this host has lo"));
}

}  // namespace
}  // namespace eisbach::comm::settings_test
