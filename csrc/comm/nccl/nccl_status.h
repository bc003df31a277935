#pragma once

#include <nccl.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace eisbach::comm {

// "NCCL: <the text of the error> in <where>: <what NCCL says last about
// `comm`>", with a code that tells an argument (InvalidArgument) and a peer
// that is gone (Unavailable) from the rest (Internal). `comm` may be null.
absl::Status NcclStatus(ncclResult_t result, absl::string_view where,
                        ncclComm_t comm);

}  // namespace eisbach::comm

// Early return when a call that needs no communicator fails.
#define EISBACH_RETURN_IF_NCCL(call) \
  EISBACH_RETURN_IF_ERROR(::eisbach::comm::NcclStatus((call), #call, nullptr))
