#include "watch/watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/mix_bits.h"
#include "core/signal_mask.h"
#include "core/status_macros.h"
#include "device/device.h"
#include "device/machine.h"
#include "watch/lost_launcher.h"
#include "watch/monotonic.h"
#include "watch/process_state.h"
#include "watch/report.h"
#include "watch/stack.h"

namespace eisbach::watch {
namespace {

using nlohmann::json;

// What a rank has for its stack, and another host for its report.
constexpr absl::Duration kStackPatience = absl::Seconds(1);
constexpr absl::Duration kReportPatience = absl::Milliseconds(1500);
// What other hosts have to answer, some lost messages included.
constexpr absl::Duration kAnswerPatience = absl::Seconds(1);
// From the call that takes the job down, and from the verdict on, until this
// process ends whatever it waits for; processes that cannot are killed before.
constexpr absl::Duration kLeaveAfter = absl::Seconds(3);
constexpr absl::Duration kEndPatience = absl::Milliseconds(4500);
constexpr absl::Duration kKillAhead = absl::Milliseconds(1500);

uint64_t Random() {
  std::random_device random;
  return uint64_t{random()} << 32 | random() | 1;
}

// Processes of one name may see one another's memory: the machine since it was
// started, and the process namespace.
std::string SystemName() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string boot;
  std::getline(file, boot);
  std::error_code error;
  const std::string space =
      std::filesystem::read_symlink("/proc/self/ns/pid", error).string();
  return absl::StrCat(boot, " ", space, " ", HostName());
}

// Gives each rank the number of its host. A host's ranks count from 0: where
// several hosts are made up on one machine, that tells them apart.
void NumberHosts(std::vector<json>& told) {
  std::map<std::string, int> numbers;
  int last = -1;
  for (json& one : told) {
    const std::string system = one["system"].get<std::string>();
    if (one["local_rank"] == 0) numbers[system] = ++last;
    one["number"] = numbers[system];
  }
}

// Of the watch of this process; null: there is none.
std::atomic<const Notes*> notes_here{nullptr};
std::atomic<const Neighbours*> neighbours_here{nullptr};

// On a busy machine a thread waits for some of these.
constexpr double kFrozenSeconds = 3;
// In which each watch has looked at its rank.
constexpr double kCertainTicks = 2;

}  // namespace

bool HangFound() {
  const Notes* notes = notes_here.load();
  return notes != nullptr && notes->ending.load();
}

bool RankGone() {
  const Neighbours* neighbours = neighbours_here.load();
  return neighbours != nullptr && neighbours->AnyoneGone();
}

absl::StatusOr<std::unique_ptr<Watch>> Watch::Start(comm::World& world,
                                                    const WatchOptions& options,
                                                    const GatherTexts& gather) {
  if (world.communicator().activity() == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("a world of ", world.size(), " ranks (", world.backend(),
                     ") writes down no calls that could be watched"));
  }
  std::unique_ptr<Watch> watch(new Watch(world, options));
  EISBACH_RETURN_IF_ERROR(watch->Connect(gather));
  InstallStackHandler();
  notes_here = &watch->own_;
  neighbours_here = watch->neighbours_.get();
  watch->thread_ = std::thread([raw = watch.get()] { raw->ThreadMain(); });
  return watch;
}

Watch::Watch(comm::World& world, const WatchOptions& options)
    : world_(world),
      options_(options),
      tick_(std::clamp(options.hang_seconds / 20, 0.05, 0.5)),
      worker_(pthread_self()),
      launcher_(getppid()),
      table_(world.communicator().activity()->table()),
      own_(NotesOf(table_)),
      neighbours_(std::make_unique<Neighbours>(
          table_, HostName(),
          std::max(kFrozenSeconds, options.hang_seconds / 2))),
      certain_since_(absl::InfiniteFuture()),
      stop_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Watch::~Watch() {
  notes_here = nullptr;
  neighbours_here = nullptr;
  stopped_ = true;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = write(stop_fd_, &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
  close(stop_fd_);
}

absl::Status Watch::Connect(const GatherTexts& gather) {
  own_.token = Random();
  own_.start_ticks = StateOf(getpid()).start_ticks;
  const json mine = {{"host", HostName()},
                     {"system", SystemName()},
                     {"local_rank", world_.local_rank()},
                     {"pid", getpid()},
                     {"fd", world_.communicator().activity()->fd()},
                     {"token", own_.token.load()},
                     {"key", {Random(), Random()}}};
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           gather(mine.dump()));
  std::vector<json> told;
  for (const std::string& text : all) {
    EISBACH_ASSIGN_OR_RETURN(json one, ReadJson(text, "what a rank tells"));
    told.push_back(std::move(one));
  }
  NumberHosts(told);
  for (int rank = 0; rank < world_.size(); ++rank) {
    const json& theirs = told[rank];
    unknown_.push_back({.rank = rank,
                        .host = theirs["host"].get<std::string>(),
                        .pid = theirs["pid"].get<int>()});
    if (rank == world_.rank() ||
        theirs["number"] != told[world_.rank()]["number"]) {
      continue;
    }
    // Those that cannot be reached are asked.
    neighbours_
        ->Add(rank, theirs["pid"].get<int>(), theirs["fd"].get<int>(),
              theirs["token"].get<uint64_t>())
        .IgnoreError();
  }
  return OpenSideChannel(told, gather);
}

absl::Status Watch::OpenSideChannel(const std::vector<json>& told,
                                    const GatherTexts& gather) {
  const bool apart = neighbours_->notes().size() < told.size();
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> anyone,
                           gather(apart ? "1" : "0"));
  if (std::find(anyone.begin(), anyone.end(), "1") == anyone.end()) {
    return absl::OkStatus();
  }
  const SipKey key = {told[0]["key"][0].get<uint64_t>(),
                      told[0]["key"][1].get<uint64_t>()};
  absl::StatusOr<std::unique_ptr<SideChannel>> channel =
      SideChannel::Open(options_.interface, key);
  const json mine = channel.ok() ? json((*channel)->addresses())
                                 : json(channel.status().message());
  EISBACH_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                           gather(mine.dump()));
  std::vector<OtherHosts::Place> places;
  for (int rank = 0; rank < world_.size(); ++rank) {
    EISBACH_ASSIGN_OR_RETURN(const json theirs,
                             ReadJson(all[rank], "what a rank tells"));
    if (theirs.is_string()) {
      return absl::UnavailableError(
          absl::StrCat("rank ", rank, ": ", theirs.get<std::string>()));
    }
    if (neighbours_->Has(rank)) continue;
    places.push_back({.rank = rank,
                      .host = told[rank]["number"].get<int>(),
                      .addresses = theirs.get<std::vector<std::string>>()});
  }
  others_ = std::make_unique<OtherHosts>(*std::move(channel), std::move(places),
                                         *neighbours_);
  return absl::OkStatus();
}

void Watch::WriteTo(std::string path) {
  std::lock_guard<std::mutex> lock(mutex_);
  path_ = std::move(path);
}

void Watch::ThreadMain() {
  KeepSignalsOff();  // they are for the main thread
  SetLogRank(world_.rank());
  const absl::Duration tick = absl::Seconds(tick_);
  absl::Time last = MonotonicNow();
  while (!stopped_) {
    WaitTill(last + tick);
    if (stopped_) return;
    const absl::Time now = MonotonicNow();
    // Stopped while the others found the hang: what its main thread does now
    // may reach no one.
    if (own_.ending && now - last > 2 * tick) std::_Exit(kHangStatus);
    // Time in which this process was stopped, or the machine slept, does not
    // count.
    Look(absl::ToDoubleSeconds(std::clamp(now - last, absl::ZeroDuration(),
                                          tick + absl::Milliseconds(500))));
    last = now;
  }
}

void Watch::WaitTill(absl::Time due) {
  while (!stopped_) {
    const absl::Duration left = due - MonotonicNow();
    if (left <= absl::ZeroDuration()) return;
    pollfd waits[2] = {{.fd = stop_fd_, .events = POLLIN, .revents = 0},
                       {.fd = others_ == nullptr ? -1 : others_->fd(),
                        .events = POLLIN,
                        .revents = 0}};
    poll(waits, 2, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
    if (others_ != nullptr && others_->Answer()) {
      if (others_->loss_told()) EndLauncher();
      for (Notes* notes : neighbours_->notes()) notes->ending = true;
      return;
    }
  }
}

void Watch::Look(double seconds) {
  // An op that runs for long in one call is progress when it ends.
  const TraceTotals totals = world_.device().tracer().totals();
  const double work = totals.matmul + totals.attention + totals.other_ops;
  const uint64_t progress =
      MixBits(Fingerprint(table_) ^ static_cast<uint64_t>(work * 1e9));
  silent_seconds_ = progress == seen_ ? silent_seconds_ + seconds : 0;
  seen_ = progress;
  own_.silent_ms = static_cast<int64_t>(silent_seconds_ * 1e3);
  own_.heartbeat.fetch_add(1, std::memory_order_relaxed);
  if (own_.stacks_asked > own_.stacks_given) GiveStack();
  if (own_.ending) {
    // Who has found the hang takes all down; it may not be able to.
    absl::SleepFor(kLeaveAfter / 3);
    Leave();
  }
  neighbours_->Look(seconds);
  if (!AnyoneIsSilent() || neighbours_->Speaker() != world_.rank()) return;
  const std::vector<RankView> ranks = Everyone();
  const Findings findings =
      Find(ranks, {.hang_seconds = options_.hang_seconds,
                   .circle_seconds = options_.circle_seconds});
  // Tables and accounts of silence are read at different moments: what holds
  // for some time is true.
  if (!findings.hangs || !SameAsBefore(ranks)) {
    certain_since_ = absl::InfiniteFuture();
    return;
  }
  certain_since_ = std::min(certain_since_, MonotonicNow());
  if (MonotonicNow() - certain_since_ >= absl::Seconds(kCertainTicks * tick_)) {
    EndJob(findings, ranks);
  }
}

bool Watch::SameAsBefore(const std::vector<RankView>& ranks) {
  std::vector<uint64_t> now;
  for (const RankView& view : ranks) now.push_back(view.fingerprint);
  const bool same = now == before_;
  before_ = std::move(now);
  return same;
}

bool Watch::AnyoneIsSilent() const {
  const std::vector<Notes*> all = neighbours_->notes();
  const double silence = options_.circle_seconds > 0 ? options_.circle_seconds
                                                     : options_.hang_seconds;
  return std::any_of(all.begin(), all.end(), [&](const Notes* notes) {
    return static_cast<double>(notes->silent_ms.load()) >= silence * 1e3;
  });
}

std::vector<RankView> Watch::Everyone() {
  std::vector<RankView> ranks = unknown_;
  for (RankView& view : neighbours_->Read()) {
    ranks[view.rank] = std::move(view);
  }
  if (others_ != nullptr) others_->Ask(ranks, false, kAnswerPatience);
  return ranks;
}

void Watch::GiveStack() {
  const int32_t asked = own_.stacks_asked;
  std::string text = StackOf(worker_, kStackPatience / 2);
  if (options_.traceback_fd >= 0) {
    char frames[4096];
    const ssize_t n = pread(options_.traceback_fd, frames, sizeof(frames), 0);
    if (n > 0) text.insert(0, frames, n);
  }
  const size_t bytes = std::min(text.size(), sizeof(own_.stack));
  text.copy(own_.stack, bytes);
  own_.stack_bytes = static_cast<int32_t>(bytes);
  own_.stacks_given.store(asked, std::memory_order_release);
}

void Watch::EndJob(const Findings& findings, std::vector<RankView> ranks) {
  LeaveWithin(kEndPatience);
  neighbours_->AskStacks();
  GiveStack();
  const absl::Time deadline = MonotonicNow() + kStackPatience;
  // The signal may wake what was asleep: what all did is what it was.
  std::vector<RankView> now = ranks;
  if (others_ != nullptr) others_->Ask(now, true, kStackPatience);
  while (!neighbours_->HaveGivenStacks() && MonotonicNow() < deadline) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  for (RankView& view : neighbours_->Read()) now[view.rank] = std::move(view);
  for (RankView& view : ranks) view.stack = now[view.rank].stack;
  if (!OtherReports(ranks)) Report(findings, ranks);
  for (Notes* notes : neighbours_->notes()) notes->ending = true;
  const bool host_lost = std::any_of(
      findings.culprits.begin(), findings.culprits.end(),
      [](const Culprit& one) { return one.cause == Cause::kNoAnswer; });
  if (others_ != nullptr) others_->TellEnd(host_lost);
  if (host_lost) EndLauncher();
  Leave();
}

void Watch::EndLauncher() const {
  const LauncherKind kind = KindOf(launcher_);
  if (kind == LauncherKind::kMpirun && !options_.launcher_file.empty()) {
    Append(options_.launcher_file, kHungLine).IgnoreError();
  }
  EndLauncherSoon(launcher_, kind);
}

bool Watch::OtherReports(const std::vector<RankView>& ranks) {
  const auto first = std::find_if(
      ranks.begin(), ranks.end(),
      [](const RankView& view) { return view.standing == Standing::kRuns; });
  if (first == ranks.end() || first->rank == world_.rank()) return false;
  // That of another host, which finds the same.
  const absl::Time deadline = MonotonicNow() + kReportPatience;
  while (MonotonicNow() < deadline) {
    if (own_.ending || (others_ != nullptr && others_->Answer())) return true;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return false;
}

void Watch::Report(const Findings& findings,
                   const std::vector<RankView>& ranks) {
  std::string path;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    path = path_;
  }
  // The words first: the folder may lie where nothing can be written any more.
  std::string words = Words(findings, ranks, options_.hang_seconds);
  if (!path.empty()) {
    absl::StrAppend(&words, "\n  stacks of all ranks: ", path);
  }
  LogLine(words);
  if (path.empty()) return;
  const std::string time =
      absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone());
  const absl::Status written =
      Append(path, Lines(findings, ranks, options_.hang_seconds, time));
  if (!written.ok()) LogLine(written.message());
}

void Watch::LeaveWithin(absl::Duration limit) const {
  std::thread([this, limit] {
    KeepSignalsOff();
    absl::SleepFor(limit - kKillAhead);
    for (int pid : neighbours_->Helpless()) kill(pid, SIGKILL);
    absl::SleepFor(kKillAhead);
    std::_Exit(kHangStatus);
  }).detach();
}

void Watch::Leave() {
  LeaveWithin(kLeaveAfter);
  world_.Abort(kHangStatus, "");
  while (true) pause();
}

}  // namespace eisbach::watch
