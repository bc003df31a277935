#pragma once

#include <pthread.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "comm/world.h"
#include "watch/findings.h"
#include "watch/neighbours.h"
#include "watch/other_hosts.h"
#include "watch/rank_view.h"

namespace eisbach::watch {

// The exit status of a job that was ended because it hung.
inline constexpr int kHangStatus = 76;
inline constexpr absl::string_view kHungLine = "hung\n";

struct WatchOptions {
  double hang_seconds = 60;   // above 0
  double circle_seconds = 0;  // see Patience; below hang_seconds
  // That ranks of several hosts meet on; empty: any.
  std::string interface;
  // A file that what takes the stack signal (stack.h) before this writes the
  // frames of another language into; -1: there is none.
  int traceback_fd = -1;
  // A file that gets the line kHungLine when mpirun has to be killed on this
  // host, and cannot pass the status of its ranks on; empty: none.
  std::string launcher_file;
};

// Gives everyone's text, by rank, on every rank; collective, blocking.
using GatherTexts = std::function<absl::StatusOr<std::vector<std::string>>(
    const std::string& mine)>;

// Whether the watch of this process has found a hang, and is about to end it.
// From any thread.
bool HangFound();

// Whether the watch of this process sees that a rank of its host has gone. From
// any thread.
bool RankGone();

// Watches whether the job goes on, on a thread of its own in each rank, which
// takes part in no collective. When a rank has made no progress for
// hang_seconds, and whoever it waits for makes none within the patience of its
// phase (findings.h), one rank tells in words and in a file who is late and
// what every rank does, and all ranks end with kHangStatus; processes that
// cannot end are killed.
class Watch {
 public:
  // Collective, of the thread that works from then on: its stack is the one
  // that is told. `world` has more than one rank, outlives the watch, and
  // writes down its calls.
  static absl::StatusOr<std::unique_ptr<Watch>> Start(
      comm::World& world, const WatchOptions& options,
      const GatherTexts& gather);
  ~Watch();

  // Where reports go beside standard error: JSON lines, appended.
  void WriteTo(std::string path);

 private:
  Watch(comm::World& world, const WatchOptions& options);

  absl::Status Connect(const GatherTexts& gather);
  // `texts` are what the ranks have told of themselves.
  absl::Status OpenSideChannel(const std::vector<nlohmann::json>& told,
                               const GatherTexts& gather);
  void ThreadMain();
  void Look(double seconds);
  void GiveStack();
  // What all ranks of the job do, by rank.
  std::vector<RankView> Everyone();
  // Waits for the next look, and answers other hosts meanwhile.
  void WaitTill(absl::Time due);
  bool AnyoneIsSilent() const;
  // Whether no rank has moved since the last time.
  bool SameAsBefore(const std::vector<RankView>& ranks);
  // Whether another rank, which is to report, has done so in time.
  bool OtherReports(const std::vector<RankView>& ranks);
  void EndJob(const Findings& findings, std::vector<RankView> ranks);
  // Ends the launcher of this host, which would wait for a host that is lost.
  void EndLauncher() const;
  void Report(const Findings& findings, const std::vector<RankView>& ranks);
  // Ends this process then, whatever it does.
  void LeaveWithin(absl::Duration limit) const;
  // Takes the job down; does not return.
  [[noreturn]] void Leave();

  comm::World& world_;
  const WatchOptions options_;
  const double tick_;  // seconds between two looks
  const pthread_t worker_;
  const pid_t launcher_;
  comm::RankTable& table_;
  Notes& own_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<OtherHosts> others_;  // null: there are none
  std::vector<RankView> unknown_;       // what is known of all from the start

  uint64_t seen_ = 0;  // of what counts as progress
  double silent_seconds_ = 0;
  std::vector<uint64_t> before_;  // fingerprints, when the job seemed to hang
  absl::Time certain_since_;      // that it has seemed so; future: it does not

  std::mutex mutex_;  // of path_
  std::string path_;
  int stop_fd_ = -1;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

}  // namespace eisbach::watch
