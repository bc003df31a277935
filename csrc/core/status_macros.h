#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Early return on error, for functions that return absl::Status or StatusOr.
//
//   EISBACH_RETURN_IF_ERROR(Check(x));
//   EISBACH_ASSIGN_OR_RETURN(Tensor y, ops::Gelu(x, stream));
//
// Neither may be the body of a braceless `if`; a type that holds a comma needs
// an alias or parentheses.

#define EISBACH_RETURN_IF_ERROR(expr)                                   \
  do {                                                                  \
    if (absl::Status eisbach_status_ = (expr); !eisbach_status_.ok()) { \
      return eisbach_status_;                                           \
    }                                                                   \
  } while (false)

#define EISBACH_CONCAT_INNER_(a, b) a##b
#define EISBACH_CONCAT_(a, b) EISBACH_CONCAT_INNER_(a, b)

#define EISBACH_ASSIGN_OR_RETURN(lhs, expr)                                   \
  EISBACH_ASSIGN_OR_RETURN_IMPL_(EISBACH_CONCAT_(eisbach_or_, __LINE__), lhs, \
                                 expr)

#define EISBACH_ASSIGN_OR_RETURN_IMPL_(tmp, lhs, expr) \
  auto tmp = (expr);                                   \
  if (!tmp.ok()) return std::move(tmp).status();       \
  lhs = *std::move(tmp)

namespace eisbach {

// `status` with "`context`: " before its message and its payloads; OK stays OK.
absl::Status Annotate(absl::Status status, absl::string_view context);

}  // namespace eisbach
