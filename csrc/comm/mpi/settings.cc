#include "comm/mpi/settings.h"

#include <net/if.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace eisbach::comm {
namespace {

std::string Text(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? "" : value;
}

bool OneHost(const Environment& environment) {
  const std::string ranks = Text(environment, "OMPI_COMM_WORLD_SIZE");
  if (!ranks.empty()) {
    return ranks == Text(environment, "OMPI_COMM_WORLD_LOCAL_SIZE");
  }
  return Text(environment, "SLURM_STEP_NUM_NODES") == "1";
}

// Whether /proc shows the mpirun of this host, which calls its job
// "prterun-HOST-PID@1". Another program of that number, or none: this is
// another process namespace. True where nobody says what it is called.
bool SeesLauncher(const Environment& environment) {
  const std::string job = Text(environment, "PMIX_NAMESPACE");
  const std::string here =
      absl::StrCat("prterun-", Text(environment, "PMIX_HOSTNAME"), "-");
  absl::string_view number = absl::string_view(job).substr(0, job.find('@'));
  int pid = 0;
  if (!absl::ConsumePrefix(&number, here) || !absl::SimpleAtoi(number, &pid)) {
    return true;
  }
  std::ifstream file(absl::StrCat("/proc/", pid, "/comm"));
  std::string program;
  std::getline(file, program);
  return absl::StartsWith(program, "prte") || absl::StartsWith(program, "mpi");
}

}  // namespace

std::vector<Setting> SettingsBeforeInit(const Environment& environment,
                                        absl::string_view interface) {
  std::vector<Setting> wanted;
  if (OneHost(environment)) {
    wanted.push_back(
        {"OMPI_MCA_btl", SeesLauncher(environment) ? "^tcp" : "self,tcp"});
  } else if (!interface.empty()) {
    wanted.push_back({"OMPI_MCA_btl_tcp_if_include", std::string(interface)});
    wanted.push_back({"NCCL_SOCKET_IFNAME", absl::StrCat("=", interface)});
  }
  std::vector<Setting> missing;
  for (Setting& setting : wanted) {
    if (environment(setting.name.c_str()) == nullptr) {
      missing.push_back(std::move(setting));
    }
  }
  return missing;
}

absl::Status CheckInterface(absl::string_view interface) {
  if (interface.empty() || if_nametoindex(std::string(interface).c_str()) > 0) {
    return absl::OkStatus();
  }
  std::vector<std::string> names;
  if (struct if_nameindex* all = if_nameindex(); all != nullptr) {
    for (struct if_nameindex* one = all; one->if_index != 0; ++one) {
      names.emplace_back(one->if_name);
    }
    if_freenameindex(all);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("network.interface=", interface, ": this host has ",
                   absl::StrJoin(names, ", "), " (network.interface)"));
}

}  // namespace eisbach::comm
