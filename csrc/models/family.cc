#include "models/family.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace eisbach::models {
namespace {

std::map<std::string, Family>& Families() {
  static std::map<std::string, Family> families;
  return families;
}

}  // namespace

absl::StatusOr<Family> FindFamily(absl::string_view name) {
  auto it = Families().find(std::string(name));
  if (it != Families().end()) return it->second;
  return absl::NotFoundError(absl::StrCat(
      "family=", name, " is not known (model.family); there are ",
      absl::StrJoin(Families(), ", ", [](std::string* out, const auto& entry) {
        out->append(entry.first);
      })));
}

bool RegisterFamily(Family family) {
  std::string name = family.name;
  return Families().emplace(std::move(name), std::move(family)).second;
}

}  // namespace eisbach::models
