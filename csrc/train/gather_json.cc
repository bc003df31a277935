#include "train/gather_json.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/agree.h"
#include "core/status_macros.h"

namespace eisbach::train {

absl::StatusOr<std::vector<nlohmann::json>> GatherJson(
    const nlohmann::json& mine, comm::World& world) {
  std::string bytes;
  nlohmann::json::to_cbor(mine, bytes);
  EISBACH_ASSIGN_OR_RETURN(
      const std::vector<std::string> texts,
      checkpoint::GatherText(bytes, world.communicator(),
                             world.device().compute_stream()));
  std::vector<nlohmann::json> all;
  for (size_t rank = 0; rank < texts.size(); ++rank) {
    nlohmann::json one = nlohmann::json::from_cbor(texts[rank], /*strict=*/true,
                                                   /*allow_exceptions=*/false);
    if (one.is_discarded()) {
      return absl::InternalError(
          absl::StrCat("what rank ", rank, " tells of itself arrived damaged"));
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace eisbach::train
