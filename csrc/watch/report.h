#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "watch/findings.h"
#include "watch/rank_view.h"

namespace eisbach::watch {

// A hang as people read it: who keeps the others waiting and where, then a line
// for each rank (of many, those that differ), then the stack of the first
// culprit that could give one. No newline at the end.
std::string Words(const Findings& findings, const std::vector<RankView>& ranks,
                  double hang_seconds);

// The same as JSON lines: {"event": "hang", ...} with the culprits, and one
// {"event": "rank", ...} for each rank.
std::string Lines(const Findings& findings, const std::vector<RankView>& ranks,
                  double hang_seconds, absl::string_view time);

// Appends `text` to the file of that name in one write, and flushes it to the
// disk. An error names the file.
absl::Status Append(const std::string& path, absl::string_view text);

}  // namespace eisbach::watch
