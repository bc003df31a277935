#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "core/log.h"
#include "support/device_testing.h"
#include "support/mpi_world.h"

// The main of GoogleTest programs that run under mpirun: every rank runs every
// test, and a test fails everywhere when it fails on one rank. Rank 0 prints
// as usual, the others only what failed.
namespace eisbach {
namespace {

comm::World* test_world = nullptr;

// How long a rank that has failed waits for the others to end the same test.
// They may be stuck in a collective that it has left.
constexpr absl::Duration kPatience = absl::Seconds(20);

class FailuresOfRank final : public testing::EmptyTestEventListener {
 public:
  explicit FailuresOfRank(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& part) override {
    if (!part.failed()) return;
    std::fprintf(stderr, "[rank %d] %s:%d: %s\n", rank_,
                 part.file_name() == nullptr ? "?" : part.file_name(),
                 part.line_number(), part.message());
  }

 private:
  const int rank_;
};

// Tells all ranks after each test whether one has failed.
class AgreeOnResult final : public testing::EmptyTestEventListener {
 public:
  explicit AgreeOnResult(std::unique_ptr<comm::Communicator> group)
      : group_(std::move(group)) {}

  void OnTestEnd(const testing::TestInfo& test) override {
    const std::string name =
        absl::StrCat(test.test_suite_name(), ".", test.name());
    const bool failed = test.result()->Failed();
    const absl::Status status = Agree(failed, name);
    if (!status.ok()) {
      test_world->Abort(1, absl::StrCat(name, ": ", status.ToString()));
    }
    if (!failed && failures_ > 0) {
      any_failed_ = true;
      if (group_->rank() == 0) {
        std::printf("%s failed on another rank\n", name.c_str());
      }
    }
  }

  bool any_failed() const { return any_failed_; }

 private:
  absl::Status Agree(bool failed, absl::string_view name) {
    Device& device = group_->device();
    auto stream = device.NewStream();
    if (!stream.ok()) return stream.status();
    auto flag = Tensor::Zeros({1}, DType::kI32, device.compute_stream());
    if (!flag.ok()) return flag.status();
    Stream& compute = device.compute_stream();
    const int32_t mine = failed ? 1 : 0;
    absl::Status status =
        device.CopyToDevice(flag->raw(), &mine, sizeof(mine), compute);
    status.Update(compute.Synchronize());
    if (!status.ok()) return status;
    status = group_->AllReduce(*flag, comm::ReduceOp::kSum, **stream);
    if (!status.ok()) return status;
    auto done = (*stream)->Record();
    if (!done.ok()) return done.status();
    const absl::Time deadline = absl::Now() + kPatience;
    while (failed && !done->Done()) {
      if (absl::Now() > deadline) {
        // Here, since the stream's end would wait for them.
        test_world->Abort(1, absl::StrCat(name,
                                          " failed on this rank, and other "
                                          "ranks do not come to its end"));
      }
      absl::SleepFor(absl::Milliseconds(1));
    }
    status = done->Wait();
    if (!status.ok()) return status;
    status =
        device.CopyToHost(&failures_, flag->raw(), sizeof(failures_), compute);
    status.Update(compute.Synchronize());
    return status;
  }

  const std::unique_ptr<comm::Communicator> group_;
  int32_t failures_ = 0;
  bool any_failed_ = false;
};

int Run(int argc, char** argv) {
  int expected = -1;
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    absl::string_view argument = argv[i];
    if (absl::ConsumePrefix(&argument, "--expect_ranks=")) {
      if (!absl::SimpleAtoi(argument, &expected)) expected = -1;
    }
  }
  auto world = comm::InitWorld(test::TestedType());
  if (!world.ok()) {
    LogLine(world.status().ToString());
    return 1;
  }
  test_world = world->get();
  if (test_world->size() != expected) {
    test_world->Abort(
        1, absl::StrCat("this test was started with ", test_world->size(),
                        " ranks and --expect_ranks=", expected,
                        "; run it through ctest"));
  }
  auto group = test_world->communicator().Split(0, test_world->rank(), "test");
  if (!group.ok()) test_world->Abort(1, group.status().ToString());

  testing::TestEventListeners& listeners =
      testing::UnitTest::GetInstance()->listeners();
  if (test_world->rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOfRank(test_world->rank()));
  }
  auto agree = std::make_unique<AgreeOnResult>(*std::move(group));
  listeners.Append(agree.get());
  int result = RUN_ALL_TESTS();
  listeners.Release(agree.get());
  if (agree->any_failed()) result = 1;
  if (testing::UnitTest::GetInstance()->test_to_run_count() == 0) {
    LogLine("no test was selected");
    result = 1;
  }
  agree.reset();
  const absl::Status ended = test_world->Finalize();
  if (!ended.ok()) {
    LogLine(ended.ToString());
    result = 1;
  }
  return result;
}

}  // namespace

comm::World& TestWorld() { return *test_world; }

}  // namespace eisbach

int main(int argc, char** argv) { return eisbach::Run(argc, argv); }
