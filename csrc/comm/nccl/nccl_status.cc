#include "comm/nccl/nccl_status.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace eisbach::comm {

absl::Status NcclStatus(ncclResult_t result, absl::string_view where,
                        ncclComm_t comm) {
  if (result == ncclSuccess) return absl::OkStatus();
  std::string text =
      absl::StrCat("NCCL: ", ncclGetErrorString(result), " in ", where);
  const char* last = ncclGetLastError(comm);
  const absl::string_view said =
      last == nullptr ? "" : absl::StripAsciiWhitespace(last);
  if (!said.empty()) absl::StrAppend(&text, ": ", said);
  switch (result) {
    case ncclInvalidArgument:
    case ncclInvalidUsage:
      return absl::InvalidArgumentError(text);
    case ncclRemoteError:
    case ncclSystemError:
      return absl::UnavailableError(text);
    case ncclTimeout:
      return absl::DeadlineExceededError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace eisbach::comm
