#include "comm/launcher.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace eisbach::comm {
namespace {

std::optional<int> Number(const char* text) {
  int value = 0;
  if (text == nullptr || !absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

}  // namespace

absl::StatusOr<std::optional<Launcher>> FindLauncher(
    const Environment& environment) {
  const auto found = [&](const char* variable, const char* name,
                         const char* size) {
    return Launcher{
        .name = name,
        .evidence = absl::StrCat(variable, "=", environment(variable)),
        .ranks = Number(environment(size))};
  };
  if (environment("OMPI_COMM_WORLD_SIZE") != nullptr) {
    return found("OMPI_COMM_WORLD_SIZE", "Open MPI's mpirun",
                 "OMPI_COMM_WORLD_SIZE");
  }
  if (environment("PMIX_RANK") != nullptr) {
    return found("PMIX_RANK", "a PMIx launcher", "SLURM_STEP_NUM_TASKS");
  }
  if (environment("PMI_RANK") != nullptr) {
    Launcher pmi = found("PMI_RANK", "a PMI launcher", "PMI_SIZE");
    if (pmi.ranks.value_or(1) == 1) return std::nullopt;
    pmi.evidence = absl::StrCat("PMI_SIZE=", *pmi.ranks);
    return pmi;
  }
  // Within a job step only: a batch script has SLURM_NTASKS and is alone.
  const int tasks = Number(environment("SLURM_STEP_NUM_TASKS")).value_or(1);
  if (environment("SLURM_STEP_ID") != nullptr && tasks > 1) {
    return absl::FailedPreconditionError(absl::StrCat(
        "srun announces ", tasks, " ranks (SLURM_STEP_NUM_TASKS=", tasks,
        ") and offers no PMIx to connect them; use srun --mpi=pmix or mpirun"));
  }
  return std::nullopt;
}

absl::Status CheckLauncher(const Launcher& launcher, int mpi_size,
                           absl::string_view library) {
  if (launcher.ranks.value_or(mpi_size) == mpi_size) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      launcher.name, " announces ", *launcher.ranks, " ranks (",
      launcher.evidence, "), MPI sees ", mpi_size,
      ": the program was started by another MPI's launcher than the library ",
      "that it loads (", library, "); use the mpirun of that library"));
}

}  // namespace eisbach::comm
