#include "parallel/data/weight_window.h"

#include <string>

#include "cpp/parallel/data/weights_testing.h"

namespace eisbach::parallel::weight_window_test {
namespace {

// Forward and backward of a stage whose layers use a parameter each.
constexpr int kPass[] = {0, 1, 2, 3, 4, 5, 5, 4, 3, 2, 1, 0};

// Which buckets are there: "01" for the first two.
std::string There(Stage& stage) {
  std::string there;
  for (int bucket = 0; bucket < 3; ++bucket) {
    const int first = 4 - 2 * bucket;
    const bool is = stage[first].data().defined();
    EXPECT_EQ(is, stage[first + 1].data().defined());
    if (is) there += static_cast<char>('0' + bucket);
  }
  return there;
}

void OnWindow(int prefetch,
              const std::function<absl::Status(Stage&, WeightWindow&,
                                               comm::World&)>& body) {
  OnTwoThatDivide(3, [&](Stage& stage, comm::World& world) -> absl::Status {
    EISBACH_ASSIGN_OR_RETURN(
        auto window,
        WeightWindow::Make(*stage.buffer, world.communicator(), prefetch,
                           world.device().compute_stream()));
    return body(stage, *window, world);
  });
}

TEST(WeightWindow, BringsWhatIsUsed) {
  for (const int prefetch : {0, 1, 2, 100}) {
    OnWindow(prefetch, [](Stage& stage, WeightWindow& window, comm::World&) {
      for (int step = 1; step <= 3; ++step) {
        WriteOwn(stage, step);
        EISBACH_RETURN_IF_ERROR(window.Updated());
        EXPECT_EQ(There(stage), "");
        EISBACH_RETURN_IF_ERROR(window.BeginPass());
        for (const int i : kPass) {
          EISBACH_RETURN_IF_ERROR(ExpectValue(stage, i, step));
        }
        EISBACH_RETURN_IF_ERROR(window.Wait());
      }
      return absl::OkStatus();
    });
  }
}

TEST(WeightWindow, GivesBackWhatIsNotUsedAnyMore) {
  OnWindow(0, [](Stage& stage, WeightWindow& window, comm::World& world) {
    WriteOwn(stage, 1);
    EISBACH_RETURN_IF_ERROR(window.BeginPass());
    const std::string want[] = {"2",  "2",  "12", "12", "01", "01",
                                "01", "01", "01", "01", "12", "12"};
    for (size_t i = 0; i < std::size(kPass); ++i) {
      EISBACH_RETURN_IF_ERROR(stage[kPass[i]].BeforeUse());
      EXPECT_EQ(There(stage), want[i]) << i;
    }
    // The last bucket came twice, the others once.
    EXPECT_EQ(world.communicator().stats().calls, 4);
    return absl::OkStatus();
  });
}

TEST(WeightWindow, BringsAheadWhatThePassBeforeUsed) {
  OnWindow(1, [](Stage& stage, WeightWindow& window, comm::World&) {
    WriteOwn(stage, 1);
    for (int pass = 0; pass < 2; ++pass) {
      EISBACH_RETURN_IF_ERROR(window.BeginPass());
      EXPECT_EQ(There(stage), pass == 0 ? "" : "12");
      EISBACH_RETURN_IF_ERROR(stage[0].BeforeUse());
      EXPECT_EQ(There(stage), pass == 0 ? "2" : "12");
      EISBACH_RETURN_IF_ERROR(stage[2].BeforeUse());
      EXPECT_EQ(There(stage), pass == 0 ? "12" : "012");
      EISBACH_RETURN_IF_ERROR(stage[4].BeforeUse());
    }
    // In another order nothing is known; all is right nevertheless.
    EISBACH_RETURN_IF_ERROR(window.BeginPass());
    for (const int i : {4, 0, 2, 5, 3, 1}) {
      EISBACH_RETURN_IF_ERROR(ExpectValue(stage, i, 1));
    }
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace eisbach::parallel::weight_window_test
