#include "comm/launcher.h"

#include <gtest/gtest.h>

#include <map>

#include "absl/strings/match.h"

namespace eisbach::comm::launcher_test {
namespace {

using Variables = std::map<std::string, std::string>;

absl::StatusOr<std::optional<Launcher>> Find(const Variables& variables) {
  return FindLauncher([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Launcher, NobodyMeansAlone) {
  EXPECT_EQ(Find({})->has_value(), false);
  // A batch script that srun has not touched, and a single PMI process.
  EXPECT_EQ(Find({{"SLURM_NTASKS", "8"}})->has_value(), false);
  EXPECT_EQ(Find({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}})->has_value(), false);
  EXPECT_EQ(Find({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "1"}})
                ->has_value(),
            false);
}

TEST(Launcher, ReadsTheAnnouncedSize) {
  const auto mpirun = Find({{"OMPI_COMM_WORLD_SIZE", "4"}});
  ASSERT_TRUE(mpirun.ok() && mpirun->has_value());
  EXPECT_EQ((*mpirun)->ranks, 4);
  EXPECT_EQ((*mpirun)->evidence, "OMPI_COMM_WORLD_SIZE=4");

  const auto srun = Find({{"PMIX_RANK", "1"}, {"SLURM_STEP_NUM_TASKS", "6"}});
  ASSERT_TRUE(srun.ok() && srun->has_value());
  EXPECT_EQ((*srun)->ranks, 6);

  const auto pmix = Find({{"PMIX_RANK", "1"}});
  ASSERT_TRUE(pmix.ok() && pmix->has_value());
  EXPECT_EQ((*pmix)->ranks, std::nullopt);

  const auto pmi = Find({{"PMI_RANK", "1"}, {"PMI_SIZE", "3"}});
  ASSERT_TRUE(pmi.ok() && pmi->has_value());
  EXPECT_EQ((*pmi)->ranks, 3);
}

TEST(Launcher, SrunWithoutPmixIsAnError) {
  const auto found =
      Find({{"SLURM_STEP_ID", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}});
  EXPECT_TRUE(
      absl::StrContains(found.status().message(), "use srun --mpi=pmix"))
      << found.status();
}

TEST(Launcher, ComparesWithMpi) {
  const Launcher mpirun{.name = "Open MPI's mpirun",
                        .evidence = "OMPI_COMM_WORLD_SIZE=4",
                        .ranks = 4};
  EXPECT_TRUE(CheckLauncher(mpirun, 4, "Open MPI v5").ok());
  const absl::Status status = CheckLauncher(mpirun, 1, "Open MPI v5");
  for (const char* part : {"announces 4 ranks", "OMPI_COMM_WORLD_SIZE=4",
                           "MPI sees 1", "Open MPI v5"}) {
    EXPECT_TRUE(absl::StrContains(status.message(), part)) << status;
  }
  const Launcher pmix{.name = "a PMIx launcher", .evidence = "PMIX_RANK=1"};
  EXPECT_TRUE(CheckLauncher(pmix, 3, "Open MPI v5").ok());
}

}  // namespace
}  // namespace eisbach::comm::launcher_test
