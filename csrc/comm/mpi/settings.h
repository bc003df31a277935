#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "comm/launcher.h"

namespace eisbach::comm {

struct Setting {
  std::string name;
  std::string value;
};

// What MPI and NCCL must find in the environment before they start; what
// is there already stays. Every rank of MPI's TCP transport listens on all
// interfaces of its host, so ranks that have one host to themselves do without
// it, unless each is in a process namespace of its own, where Open MPI's shared
// memory, which goes by process numbers, crashes. Those of several publish
// their addresses on `interface` alone, empty for whatever they choose.
std::vector<Setting> SettingsBeforeInit(const Environment& environment,
                                        absl::string_view interface);

// InvalidArgument when this host has no `interface` (network.interface).
absl::Status CheckInterface(absl::string_view interface);

}  // namespace eisbach::comm
