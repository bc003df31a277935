#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "comm/communicator.h"

namespace eisbach::checkpoint {

// The same status on every rank of `group`: OK when all are, else the error of
// the lowest rank that has one, with that rank's number. After it a rank may
// return early, for all do. Collective, blocking; not on meta.
absl::Status AgreeOnStatus(const absl::Status& local, comm::Communicator& group,
                           Stream& stream);

// InvalidArgument on every rank when `value` is not the same everywhere; `what`
// names it. Collective, blocking; not on meta.
absl::Status AgreeOnValue(uint64_t value, absl::string_view what,
                          comm::Communicator& group, Stream& stream);

// The texts of all ranks, by rank, on every rank. Collective, blocking; not on
// meta.
absl::StatusOr<std::vector<std::string>> GatherText(absl::string_view text,
                                                    comm::Communicator& group,
                                                    Stream& stream);

}  // namespace eisbach::checkpoint
