#pragma once

#include "absl/strings/string_view.h"

namespace eisbach {

// Writes one line to standard error, "[eisbach rank R] message", in a single
// write so that lines of several ranks do not mix. A rank of -1 leaves it out.
void LogLine(absl::string_view message);
void SetLogRank(int rank);  // of this thread
int LogRank();              // -1 where none was set

}  // namespace eisbach
