// Whatever goes wrong with a file system call of a save, a whole checkpoint is
// there: the one before, or the new one. Calls are those of this program and
// the core, which find the functions below before those of libc.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "checkpoint/check_file.h"
#include "checkpoint/folder.h"
#include "checkpoint/read_manifest.h"
#include "cpp/checkpoint/checkpoint_testing.h"
#include "support/status_testing.h"
#include "support/temp_folder.h"

namespace {

enum class Fault { kNone, kFails, kShort, kKilledBefore, kKilledAfter };

// Of the calls since Arm.
std::atomic<int> calls = 0;
std::atomic<bool> armed = false;
Fault fault = Fault::kNone;
int faulty_call = 0;
int fault_error = 0;
std::atomic<const char*> faulty_name = "";
std::mutex names_mutex;
std::vector<std::string> names;  // of all of them, in their order

void Arm(Fault what, int call, int error) {
  fault = what;
  faulty_call = call;
  fault_error = error;
  calls = 0;
  names.clear();
  armed = true;
}

// What is to happen to this call.
Fault Next(const char* name) {
  if (!armed) return Fault::kNone;
  {
    const std::lock_guard lock(names_mutex);
    names.emplace_back(name);
  }
  if (calls++ != faulty_call) return Fault::kNone;
  faulty_name = name;
  if (fault == Fault::kKilledBefore) _exit(0);
  return fault;
}

template <typename F>
F* Real(F*, const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

// Makes a call of a function of libc that returns below 0 on an error.
#define CALL(name, ...)                               \
  const Fault now = Next(#name);                      \
  static auto* const real = Real(&::name, #name);     \
  if (now == Fault::kFails || now == Fault::kShort) { \
    errno = fault_error;                              \
    return -1;                                        \
  }                                                   \
  const auto result = real(__VA_ARGS__);              \
  if (now == Fault::kKilledAfter) _exit(0);           \
  return result

}  // namespace

extern "C" {

int fsync(int fd) { CALL(fsync, fd); }
int rename(const char* from, const char* to) noexcept {
  CALL(rename, from, to);
}
int mkdir(const char* path, mode_t mode) noexcept { CALL(mkdir, path, mode); }
int close(int fd) { CALL(close, fd); }

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  CALL(open, path, flags, mode);
}

ssize_t write(int fd, const void* data, size_t bytes) {
  static auto* const whole = Real(&::write, "write");
  if (fd <= STDERR_FILENO) return whole(fd, data, bytes);
  // Half of it, and then the disk is full.
  if (armed && calls == faulty_call && fault == Fault::kShort && bytes > 1) {
    faulty_call = ++calls;
    return whole(fd, data, bytes / 2);
  }
  CALL(write, fd, data, bytes);
}

}  // extern "C"

namespace eisbach::checkpoint::save_faults_test {
namespace {

using test::Value;

constexpr SaverConfig kBehind{.asynchronous = true};
constexpr char kKilled[] = "EISBACH_TEST_KILLED";  // folder, fault, call

train::EngineConfig Config() {
  train::EngineConfig config = test::SmallConfig("gpt");
  config.model.layers = 1;
  return config;
}

// Saves step 1 whole, then step 2 with a fault; returns how that ended.
absl::Status SaveTwice(const std::string& root, Fault what, int call, int error,
                       bool again) {
  absl::Status second;
  EISBACH_RETURN_IF_ERROR(test::OnEngines(
      {1, 1, 1}, Config(), [&](train::Engine& engine, int) -> absl::Status {
        train::Saves& saves = engine.saves();
        EISBACH_RETURN_IF_ERROR(saves.Prepare(kBehind));
        const auto save = [&]() -> absl::Status {
          EISBACH_RETURN_IF_ERROR(
              saves.Begin({root, test::kConfig, test::kState}));
          return saves.Finish()->status;
        };
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        EISBACH_RETURN_IF_ERROR(save());
        EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
        Arm(what, call, error);
        second = save();
        armed = false;
        if (second.ok() || !again) return absl::OkStatus();
        // The same step once more, where it has no name yet.
        const auto now = LatestCheckpoint(root);
        return now.ok() && *now == StepFolder(root, 2) ? absl::OkStatus()
                                                       : save();
      }));
  return second;
}

// The step of the newest checkpoint, of which every byte was read.
int64_t NewestWhole(const std::string& root) {
  const std::optional<std::string> path = Value(LatestCheckpoint(root));
  if (!path) return -1;
  const Manifest manifest = Value(ReadManifest(*path)).manifest;
  for (const ManifestFile& file : manifest.files) {
    EISBACH_EXPECT_OK(CheckFile(*path, file, PageCache::kFill));
  }
  return manifest.step;
}

int CountCalls() {
  const test::TempFolder temp;
  EISBACH_EXPECT_OK(SaveTwice(temp.path(), Fault::kNone, -1, 0, false));
  return calls;
}

// A name is given to nothing that is not on the disk, and stays.
TEST(SaveFaults, FilesAreOnTheDiskBeforeTheirNamesAndTheManifestIsLast) {
  EXPECT_GT(CountCalls(), 0);
  const std::string file = "open write fsync rename close open fsync close ";
  const std::string folder = "open fsync close ";
  EXPECT_EQ(absl::StrCat(absl::StrJoin(names, " "), " "),
            absl::StrCat("mkdir ", file, file, folder, "rename ", folder));
}

TEST(SaveFaults, EveryCallThatFailsFailsTheSaveAndTheNextOneWorks) {
  const int all = CountCalls();
  EXPECT_GT(all, 15);
  int told = 0;
  for (const Fault what : {Fault::kFails, Fault::kShort}) {
    for (const int error : {ENOSPC, EIO}) {
      for (int call = 0; call < all; ++call) {
        const test::TempFolder temp;
        const absl::Status status =
            SaveTwice(temp.path(), what, call, error, /*again=*/true);
        SCOPED_TRACE(absl::StrCat("call ", call, ", ", faulty_name.load(),
                                  ", errno ", error, ": ", status.ToString()));
        // Where no promise depends on it, a call may fail in silence: a file
        // that is on the disk is closed.
        if (status.ok()) {
          EXPECT_STREQ(faulty_name.load(), "close");
        }
        told += !status.ok();
        EXPECT_EQ(NewestWhole(temp.path()), 2);
        EXPECT_FALSE(std::filesystem::exists(UnfinishedFolder(temp.path(), 2)));
      }
    }
  }
  EXPECT_GT(told, 40);
}

// Runs this program again, to be killed.
void RunKilled(const std::string& folder, Fault what, int call) {
  const std::string value =
      absl::StrCat(folder, " ", static_cast<int>(what), " ", call);
  setenv(kKilled, value.c_str(), 1);
  std::vector<char*> arguments = {
      const_cast<char*>("save_faults_test"),
      const_cast<char*>("--gtest_filter=SaveFaults.WhoIsKilled*"), nullptr};
  pid_t child = 0;
  ASSERT_EQ(posix_spawn(&child, "/proc/self/exe", nullptr, nullptr,
                        arguments.data(), environ),
            0);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  unsetenv(kKilled);
}

// What RunKilled asks of this process.
void SaveAndBeKilled(const std::string& asked) {
  const std::vector<std::string> fields = absl::StrSplit(asked, ' ');
  int what = 0, call = 0;
  ASSERT_TRUE(absl::SimpleAtoi(fields[1], &what));
  ASSERT_TRUE(absl::SimpleAtoi(fields[2], &call));
  (void)SaveTwice(fields[0], static_cast<Fault>(what), call, 0, false);
  FAIL() << "call " << call << " killed nobody";
}

TEST(SaveFaults, WhoIsKilledBeforeOrAfterAnyCallLeavesAWholeCheckpoint) {
  if (const char* asked = std::getenv(kKilled)) return SaveAndBeKilled(asked);
  const int all = CountCalls();
  int new_ones = 0;
  for (const Fault what : {Fault::kKilledBefore, Fault::kKilledAfter}) {
    for (int call = 0; call < all; ++call) {
      const test::TempFolder temp;
      RunKilled(temp.path(), what, call);
      SCOPED_TRACE(absl::StrCat("call ", call));
      const int64_t step = NewestWhole(temp.path());
      EXPECT_GE(step, 1);
      new_ones += step == 2;
      // What was left is no obstacle.
      if (step == 2) continue;
      EISBACH_EXPECT_OK(test::OnEngines(
          {1, 1, 1}, Config(), [&](train::Engine& engine, int) -> absl::Status {
            EISBACH_RETURN_IF_ERROR(
                test::LoadEngine(StepFolder(temp.path(), 1), engine));
            EISBACH_RETURN_IF_ERROR(test::ToyStep(engine).status());
            return test::SaveEngine(temp.path(), engine).status();
          }));
      EXPECT_EQ(NewestWhole(temp.path()), 2);
    }
  }
  // Only the last calls come after the name.
  EXPECT_GT(new_ones, 0);
  EXPECT_LT(new_ones, all);
}

}  // namespace
}  // namespace eisbach::checkpoint::save_faults_test
