// What one rank asks for reaches all ranks in the result of the same step.
#include "train/requests.h"

#include <atomic>
#include <thread>

#include "comm/world.h"
#include "support/op_testing.h"
#include "support/toy.h"
#include "train/engine.h"

namespace eisbach::train::requests_test {
namespace {

using test::Layout;

TEST(Requests, AreGivenToOneStepAlone) {
  auto requests = test::Value(Requests::Make(test::TheStream()));
  const auto next = [&] {
    EISBACH_EXPECT_OK(requests->Begin(test::TheStream()));
    return test::ToDoubles(requests->values());
  };
  EXPECT_EQ(next(), (std::vector<double>{0, 0, 0}));
  requests->Ask(Request::kSave);
  requests->Ask(Request::kSave);
  EXPECT_EQ(next(), (std::vector<double>{0, 1, 0}));
  EXPECT_EQ(next(), (std::vector<double>{0, 0, 0}));
  requests->Ask(Request::kStop);
  EXPECT_EQ(next(), (std::vector<double>{1, 0, 0}));
  requests->Ask(Request::kStop);
  requests->Ask(Request::kSave);
  EXPECT_EQ(next(), (std::vector<double>{1, 1, 0}));
  EXPECT_EQ(next(), (std::vector<double>{0, 0, 0}));
}

TEST(Requests, WorkOnMeta) {
  auto requests = test::Value(Requests::Make(test::MetaStream()));
  requests->Ask(Request::kStop);
  EISBACH_EXPECT_OK(requests->Begin(test::MetaStream()));
}

// Every rank alone, and all of them; loss, norm and scale are what they are.
TEST(Requests, OfOneRankReachAllInTheSameStep) {
  constexpr int kSteps = 4;
  for (const Layout& layout :
       {Layout{1, 1, 1}, Layout{2, 1, 1}, Layout{1, 2, 2}}) {
    SCOPED_TRACE(layout.ToString());
    const std::vector<StepResult> quiet =
        test::Value(test::Train(layout, test::ToyConfig("gpt"), kSteps));
    for (int asking = 0; asking <= layout.ranks(); ++asking) {
      std::atomic<int> checked = 0;
      EISBACH_EXPECT_OK(comm::RunLocalRanks(
          layout.ranks(), DeviceType::kCpu, 1, [&](comm::World& world) {
            return test::WithEngine(
                world, layout, test::ToyConfig("gpt"),
                [&](Engine& engine) -> absl::Status {
                  const bool asks =
                      asking == world.rank() || asking == layout.ranks();
                  for (int step = 1; step <= kSteps; ++step) {
                    if (asks && step == 2) engine.Ask(Request::kSave);
                    if (asks && step == 3) engine.Ask(Request::kStop);
                    EISBACH_ASSIGN_OR_RETURN(const StepResult result,
                                             test::ToyStep(engine));
                    EXPECT_EQ(result.asked_to_save, step == 2) << step;
                    EXPECT_EQ(result.asked_to_stop, step == 3) << step;
                    EXPECT_EQ(result.asked_to_advance, 0) << step;
                    EXPECT_EQ(result.loss, quiet[step - 1].loss);
                    EXPECT_EQ(result.grad_norm, quiet[step - 1].grad_norm);
                    EXPECT_EQ(result.loss_scale, 1);
                    ++checked;
                  }
                  return absl::OkStatus();
                });
          }));
      EXPECT_EQ(checked, layout.ranks() * kSteps);
    }
  }
}

// Whenever a thread asks, exactly one step of all says so.
TEST(Requests, OfAnotherThreadAreNeitherLostNorDoubled) {
  EISBACH_EXPECT_OK(
      comm::RunLocalRanks(2, DeviceType::kCpu, 1, [&](comm::World& world) {
        return test::WithEngine(
            world, {2, 1, 1}, test::ToyConfig("gpt"),
            [&](Engine& engine) -> absl::Status {
              std::atomic<bool> asked = false;
              std::thread thread;
              if (world.rank() == 1) {
                thread = std::thread([&] {
                  engine.Ask(Request::kStop);
                  asked = true;
                });
              }
              absl::Status status;
              int seen = 0;
              // Rank 1 goes on for a step after it has asked; the stop itself
              // tells rank 0.
              while (seen == 0 && status.ok()) {
                const absl::StatusOr<StepResult> result = test::ToyStep(engine);
                status = result.status();
                if (status.ok()) seen += result->asked_to_stop;
              }
              if (thread.joinable()) thread.join();
              EISBACH_RETURN_IF_ERROR(status);
              EISBACH_ASSIGN_OR_RETURN(const StepResult after,
                                       test::ToyStep(engine));
              EXPECT_FALSE(after.asked_to_stop);
              EXPECT_EQ(asked, world.rank() == 1);
              return absl::OkStatus();
            });
      }));
}

}  // namespace
}  // namespace eisbach::train::requests_test
