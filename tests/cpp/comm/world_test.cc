#include "comm/world.h"

#include <gtest/gtest.h>

#include "cpp/comm/contract.h"

namespace eisbach::comm::world_test {
namespace {

// This program is not started by a launcher.
TEST(InitWorld, AProcessAloneIsAWorldOfOne) {
  auto world = InitWorld(DeviceType::kCpu);
  ASSERT_TRUE(world.ok()) << world.status();
  EXPECT_EQ((*world)->size(), 1);
  EXPECT_EQ((*world)->local_size(), 1);
  EXPECT_EQ((*world)->backend(), "local");
  for (const ContractCheck& check : ContractChecks()) {
    const absl::Status status = check.body(**world);
    EXPECT_TRUE(status.ok()) << check.name << ": " << status;
  }
  EXPECT_TRUE((*world)->Finalize().ok());
  EXPECT_TRUE((*world)->Finalize().ok());
}

TEST(InitWorldDeathTest, AbortEndsTheProcess) {
  auto world = InitWorld(DeviceType::kCpu);
  ASSERT_TRUE(world.ok()) << world.status();
  EXPECT_EXIT((*world)->Abort(5, "no space left"), testing::ExitedWithCode(5),
              "no space left");
}

TEST(InitWorldDeathTest, SrunWithoutPmixIsAnError) {
  EXPECT_EXIT(
      {
        setenv("SLURM_STEP_ID", "0", 1);
        setenv("SLURM_STEP_NUM_TASKS", "4", 1);
        const absl::Status status = InitWorld(DeviceType::kCpu).status();
        fprintf(stderr, "%s\n", status.ToString().c_str());
        exit(status.ok() ? 0 : 9);
      },
      testing::ExitedWithCode(9), "use srun --mpi=pmix or mpirun");
}

}  // namespace
}  // namespace eisbach::comm::world_test
