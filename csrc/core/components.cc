#include "core/components.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/cpu_features.h"

namespace eisbach {
namespace {

using Describe = std::string (*)();

std::map<std::string, Describe>& Registry() {
  static auto* registry = new std::map<std::string, Describe>;
  return *registry;
}

std::string Compiler() {
#if defined(__clang__)
  return absl::StrCat("Clang ", __clang_major__, ".", __clang_minor__);
#else
  return absl::StrCat("GCC ", __GNUC__, ".", __GNUC_MINOR__);
#endif
}

}  // namespace

std::map<std::string, std::string> Components() {
  std::map<std::string, std::string> components = {
      {"version", EISBACH_VERSION},
      {"compiler", Compiler()},
      {"cpu", absl::StrJoin(CpuFeatures(), " ")}};
  for (const auto& [role, describe] : Registry()) components[role] = describe();
  return components;
}

bool RegisterComponent(absl::string_view role, std::string (*describe)()) {
  return Registry().emplace(role, describe).second;
}

}  // namespace eisbach
