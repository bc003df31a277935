#include "watch/report.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "core/errno_status.h"

namespace eisbach::watch {
namespace {

constexpr size_t kMostRanks = 32;   // that have a line each
constexpr size_t kMostFrames = 24;  // of a stack on the screen

std::string Seconds(double seconds) {
  return absl::StrFormat("%.1f s", seconds);
}

std::string Grouped(int64_t number) {
  std::string digits = absl::StrCat(number);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(at, ",");
  }
  return digits;
}

// `all_reduce 57 of "data", 4,096 bytes of f32`.
std::string CallText(const CallView& call, absl::string_view group) {
  std::string text =
      absl::StrCat(Name(call.kind), " ",
                   call.collective != 0 ? call.collective : call.number,
                   " of \"", group, "\"");
  if (call.bytes > 0) {
    absl::StrAppend(&text, ", ", Grouped(call.bytes), " bytes");
    if (call.kind != comm::CallKind::kExchange) {
      absl::StrAppend(&text, " of ", Name(call.dtype));
    }
  }
  return text;
}

std::string Who(const RankView& view) {
  return absl::StrCat("rank ", view.rank, " (", view.host, ", process ",
                      view.pid, ")");
}

std::string ActionText(const ActionMark& action) {
  absl::string_view name = "";
  switch (action.letter) {
    case 0:
      return "";
    case 'F':
      name = "forward";
      break;
    case 'B':
    case 'I':
      name = "backward";
      break;
    case 'W':
      name = "weight gradients";
      break;
    case 'X':
      return ", exchange with other stages";
    default:
      return ", reduction of gradients";
  }
  return absl::StrCat(", ", name, " of micro-batch ", action.micro_batch);
}

std::string PhaseText(const RankView& view) {
  switch (view.phase) {
    case comm::Phase::kStart:
      return "at the start of the job";
    case comm::Phase::kPrepare:
      return "preparing text";
    case comm::Phase::kLoad:
      return "loading a checkpoint";
    case comm::Phase::kStep:
      if (view.step_done >= view.step) {
        return absl::StrCat("after step ", view.step);
      }
      return absl::StrCat("in step ", view.step, ActionText(view.action));
    case comm::Phase::kValidation:
      return absl::StrCat("in validation after step ", view.step);
    case comm::Phase::kSave:
      return absl::StrCat("saving a checkpoint of step ", view.step);
    case comm::Phase::kExport:
      return "writing the results";
    case comm::Phase::kEnd:
      return "at the end of the job";
  }
  return "";
}

std::string CauseText(const Culprit& culprit, const RankView& view) {
  const std::string who = Who(view);
  switch (culprit.cause) {
    case Cause::kStopped:
      return absl::StrCat(who, " is stopped by a signal or a debugger, ",
                          PhaseText(view));
    case Cause::kFrozen:
      return absl::StrCat(who, " is frozen: none of its threads runs, ",
                          PhaseText(view));
    case Cause::kGone:
      return absl::StrCat(who, " has died, ", PhaseText(view));
    case Cause::kNoAnswer:
      return absl::StrCat("rank ", view.rank, ": its host, ", view.host,
                          ", gives no answer");
    case Cause::kMismatch:
      return absl::StrCat(who, " is in another call, ",
                          CallText(culprit.instead, culprit.instead_group),
                          ", ", PhaseText(view));
    case Cause::kElsewhere:
      return absl::StrCat(who, " runs and does not go on since ",
                          Seconds(view.silent_seconds), ", ", PhaseText(view));
    case Cause::kTransport:
      return absl::StrCat("all ranks have come to ",
                          CallText(culprit.call, culprit.group),
                          ", and its data does not; ", who, " is one of them, ",
                          PhaseText(view));
  }
  return who;
}

std::string WaitingText(const Culprit& culprit) {
  if (culprit.cause == Cause::kTransport || culprit.waiting_rank < 0) return "";
  std::string text =
      culprit.waiting_ranks > 1
          ? absl::StrCat("; ", culprit.waiting_ranks, " ranks wait for it")
          : absl::StrCat("; rank ", culprit.waiting_rank, " waits for it");
  if (culprit.call.kind == comm::CallKind::kNone) {
    return absl::StrCat(text, " at the end of the job");
  }
  if (culprit.waiting_ranks > 1) {
    absl::StrAppend(&text, ", as rank ", culprit.waiting_rank);
  }
  absl::StrAppend(&text, " in ", CallText(culprit.call, culprit.group));
  if (culprit.call.seconds >= 0 && culprit.cause != Cause::kMismatch) {
    absl::StrAppend(&text, " since ", Seconds(culprit.call.seconds));
  }
  return text;
}

// What a rank does, in its line.
std::string RankText(const RankView& view) {
  if (view.standing == Standing::kNoAnswer) {
    return absl::StrCat("rank ", view.rank, " (", view.host, "): no answer");
  }
  std::string text = absl::StrCat(Who(view), ": ");
  if (view.standing != Standing::kRuns) {
    absl::StrAppend(&text, Name(view.standing), ", ");
  }
  absl::StrAppend(&text, PhaseText(view));
  bool waits = false;
  for (const GroupView& group : view.groups) {
    const CallView* call = group.Open();
    if (call == nullptr) continue;
    absl::StrAppend(&text, waits ? "; " : ", in ", CallText(*call, group.name));
    if (call->seconds >= 0) {
      absl::StrAppend(&text, " since ", Seconds(call->seconds));
    }
    waits = true;
  }
  if (!waits) absl::StrAppend(&text, ", in no call");
  return text;
}

}  // namespace

std::string Words(const Findings& findings, const std::vector<RankView>& ranks,
                  double hang_seconds) {
  std::string text =
      findings.circle
          ? std::string(
                "the job hangs: ranks wait for one another in calls "
                "that differ (fault.check_collectives)")
          : absl::StrCat("the job hangs: no progress for ", hang_seconds,
                         " s (fault.hang_seconds)");
  if (findings.culprits.empty()) {
    absl::StrAppend(&text, "; all ranks wait for one another");
  }
  // All ranks are in a call that is stuck; one says it.
  for (const Culprit& culprit : findings.culprits) {
    absl::StrAppend(&text, "\n  ", CauseText(culprit, ranks[culprit.rank]),
                    WaitingText(culprit));
    if (culprit.cause == Cause::kTransport) break;
  }
  for (size_t i = 0; i < ranks.size() && i < kMostRanks; ++i) {
    absl::StrAppend(&text, "\n    ", RankText(ranks[i]));
  }
  if (ranks.size() > kMostRanks) {
    absl::StrAppend(&text, "\n    and ", ranks.size() - kMostRanks, " more");
  }
  for (const Culprit& culprit : findings.culprits) {
    const RankView& view = ranks[culprit.rank];
    if (view.stack.empty()) continue;
    absl::StrAppend(&text, "\n  stack of rank ", view.rank, ":");
    const std::vector<std::string> frames =
        absl::StrSplit(view.stack, '\n', absl::SkipEmpty());
    for (size_t i = 0; i < frames.size() && i < kMostFrames; ++i) {
      absl::StrAppend(&text, "\n    ", frames[i]);
    }
    break;
  }
  return text;
}

std::string Lines(const Findings& findings, const std::vector<RankView>& ranks,
                  double hang_seconds, absl::string_view time) {
  nlohmann::json culprits = nlohmann::json::array();
  for (const Culprit& culprit : findings.culprits) {
    const RankView& view = ranks[culprit.rank];
    nlohmann::json one = {{"rank", view.rank},
                          {"host", view.host},
                          {"pid", view.pid},
                          {"cause", Name(culprit.cause)},
                          {"phase", Name(view.phase)},
                          {"step", view.step},
                          {"waiting_ranks", culprit.waiting_ranks},
                          {"words", absl::StrCat(CauseText(culprit, view),
                                                 WaitingText(culprit))}};
    if (culprit.call.kind != comm::CallKind::kNone) {
      one["group"] = culprit.group;
      one["op"] = Name(culprit.call.kind);
      one["number"] = culprit.call.collective != 0 ? culprit.call.collective
                                                   : culprit.call.number;
      one["bytes"] = culprit.call.bytes;
      one["elements"] = culprit.call.elements;
      one["dtype"] = Name(culprit.call.dtype);
      one["waiting_rank"] = culprit.waiting_rank;
      one["seconds"] = culprit.call.seconds;
    }
    if (culprit.instead.kind != comm::CallKind::kNone) {
      one["instead_op"] = Name(culprit.instead.kind);
      one["instead_group"] = culprit.instead_group;
      one["instead_bytes"] = culprit.instead.bytes;
      one["instead_dtype"] = Name(culprit.instead.dtype);
    }
    culprits.push_back(std::move(one));
  }
  const auto dump = [](const nlohmann::json& json) {
    // A host's name may be no UTF-8.
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  std::string text = absl::StrCat(dump({{"event", "hang"},
                                        {"time", time},
                                        {"hang_seconds", hang_seconds},
                                        {"ranks", ranks.size()},
                                        {"culprits", culprits}}),
                                  "\n");
  for (const RankView& view : ranks) {
    nlohmann::json one = ToJson(view);
    one["event"] = "rank";
    absl::StrAppend(&text, dump(one), "\n");
  }
  return text;
}

absl::Status Append(const std::string& path, absl::string_view text) {
  const int fd =
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
           0640);
  if (fd < 0) return ErrnoError(errno, path);
  const ssize_t written = write(fd, text.data(), text.size());
  const int error = written < 0 ? errno : 0;
  const bool whole = written == static_cast<ssize_t>(text.size());
  fsync(fd);
  close(fd);
  if (error != 0) return ErrnoError(error, path);
  return whole ? absl::OkStatus()
               : absl::ResourceExhaustedError(
                     absl::StrCat(path, ": the disk is full"));
}

}  // namespace eisbach::watch
