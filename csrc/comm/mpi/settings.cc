#include "comm/mpi/settings.h"

#include <net/if.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace eisbach::comm {
namespace {

bool OneHost(const Environment& environment) {
  const auto text = [&](const char* name) {
    const char* value = environment(name);
    return std::string(value == nullptr ? "" : value);
  };
  const std::string ranks = text("OMPI_COMM_WORLD_SIZE");
  if (!ranks.empty()) return ranks == text("OMPI_COMM_WORLD_LOCAL_SIZE");
  return text("SLURM_STEP_NUM_NODES") == "1";
}

}  // namespace

std::vector<Setting> SettingsBeforeInit(const Environment& environment,
                                        absl::string_view interface) {
  std::vector<Setting> wanted;
  if (OneHost(environment)) {
    wanted.push_back({"OMPI_MCA_btl", "^tcp"});
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
