#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "parallel/context.h"
#include "tensor/tensor.h"
#include "train/link_watch.h"
#include "watch/stragglers.h"

namespace eisbach::train {

// Tells who is late: each rank notes what it takes for the parts of a step, all
// tell one another every few steps, and rank 0 judges: whether a rank is slow
// (watch/stragglers.h), or else the links between them (link_watch.h).
//
// On a device that works behind the host (GPUs) times stay on the device until
// they are told; then they are copied, and read when steps after them were
// collected, so that nothing waits. All ranks collect a step at the same point
// of their programs, so that is where they agree to measure links.
class StepTimes {
 public:
  // A rank or a link is slow when it is for `steps` steps, at least 1.
  // Collective over the world, which has more than one rank. Before work is
  // captured that is to be replayed in steps.
  static absl::StatusOr<std::unique_ptr<StepTimes>> Make(
      int steps, const parallel::ParallelContext& context);
  ~StepTimes();

  // Leaves out what was done since the end of the last step.
  absl::Status Restart();
  // Every rank ends the same steps, in the order of the compute stream, after
  // their results. Collective in some of them.
  absl::Status EndStep(int64_t step);
  // All but the results of the last `submitted` steps were collected.
  void Collected(int submitted);
  // Whether ranks have agreed to measure links, in what was read last, and to
  // do so, between steps. Collective.
  bool wants_links() const { return wants_links_; }
  absl::Status MeasureLinks();

  // On rank 0: who is late, the worst first; the slow link, if there is one;
  // and lines on what has become slow or is so no more since the last call.
  std::vector<watch::Straggler> stragglers() const;
  std::optional<SlowLink> slow_link() const { return links_->slow_link(); }
  std::vector<std::string> TakeNews();

 private:
  StepTimes(int steps, const parallel::ParallelContext& context);

  // What all ranks have told, on its way to the host: on rank 0 `all_`, else
  // the last number of rank 0 in it.
  struct Told {
    std::vector<int64_t> steps;
    int64_t ended;  // of `ended_`
    std::shared_ptr<void> values;
  };

  // Of rank 0, the last in what it tells: whether links are to be measured.
  int64_t last_value() const { return all_.dim(1) * all_.dim(2) - 1; }
  // What this rank reads of `all_`.
  size_t read_bytes() const {
    return finder_.has_value() ? all_.bytes() : sizeof(float);
  }
  absl::Status TellAll();
  absl::Status SayWhatIsWanted();
  absl::Status CopyToHost(std::vector<int64_t> steps);
  void Judge(const Told& told);
  void Judge(int64_t step, const std::vector<watch::RankStep>& ranks);

  const parallel::ParallelContext& context_;
  const int rounds_;  // steps between two times that ranks tell one another
  // f32 [rounds, StepClock::kTimes + 1]: what the clock says, and whether this
  // rank wants links to be measured.
  Tensor mine_;
  Tensor all_;                  // the same of all, [ranks, ...]
  std::vector<int64_t> steps_;  // that `mine_` holds
  int64_t ended_ = 0;           // steps
  // In host memory that is used again.
  std::deque<Told> told_;
  std::vector<std::shared_ptr<void>> free_;
  std::shared_ptr<void> one_;  // f32 on the host: 1
  std::vector<std::string> hosts_;
  std::optional<watch::StragglerFinder> finder_;  // of rank 0
  std::optional<LinkWatch> links_;
  bool said_wanted_ = false;  // what `mine_` has of it
  bool has_read_ = false;     // what was told before
  bool wants_links_ = false;
  std::vector<std::string> news_;
};

}  // namespace eisbach::train
