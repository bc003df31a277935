#include "comm/mpi/compared_task.h"

#include <cstring>
#include <utility>

#include "core/status_macros.h"

namespace eisbach::comm {
namespace {

class TaskOfParts final : public Task {
 public:
  explicit TaskOfParts(std::vector<TaskPart> parts)
      : parts_(std::move(parts)) {}

  absl::StatusOr<Step> Poll() override {
    TaskPart& part = parts_[at_];
    const absl::StatusOr<Step> step = part.task->Poll();
    if (step.ok() && *step != Step::kDone) return step;
    absl::Status status = step.status();
    if (part.then) status = part.then(std::move(status));
    EISBACH_RETURN_IF_ERROR(status);
    part.task.reset();
    return ++at_ == parts_.size() ? Step::kDone : Step::kMoved;
  }

 private:
  std::vector<TaskPart> parts_;
  size_t at_ = 0;
};

template <typename T>
absl::StatusOr<Tensor> BytesOf(absl::Span<const T> values, Device& device) {
  const int64_t bytes = static_cast<int64_t>(values.size() * sizeof(T));
  EISBACH_ASSIGN_OR_RETURN(Tensor tensor,
                           Tensor::Empty({bytes}, DType::kU8, device));
  std::memcpy(tensor.raw(), values.data(), bytes);
  return tensor;
}

template <typename T>
std::vector<T> ValuesIn(const Tensor& tensor) {
  std::vector<T> values(tensor.bytes() / sizeof(T));
  std::memcpy(values.data(), tensor.raw(), tensor.bytes());
  return values;
}

// Gathers what all ranks say; `compare` gives the text of an error.
template <typename T>
absl::StatusOr<TaskPart> Compare(
    const MpiContext& context, absl::Span<const T> mine, std::string where,
    Device& device,
    std::function<std::string(const std::vector<T>& all)> compare) {
  EISBACH_ASSIGN_OR_RETURN(const Tensor in, BytesOf(mine, device));
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor out,
      Tensor::Empty({in.elements() * context.size}, DType::kU8, device));
  return TaskPart{.task = MakeMpiAllGather(context, in, out),
                  .then = [out, where = std::move(where),
                           compare = std::move(compare)](absl::Status ended) {
                    return ended.ok() ? DisagreementError(
                                            where, compare(ValuesIn<T>(out)))
                                      : ended;
                  }};
}

}  // namespace

std::unique_ptr<Task> MakeTaskOfParts(std::vector<TaskPart> parts) {
  return std::make_unique<TaskOfParts>(std::move(parts));
}

absl::StatusOr<TaskPart> CompareShapes(const MpiContext& context,
                                       const CallShape& mine, std::string where,
                                       Device& device) {
  return Compare<CallShape>(context, {&mine, 1}, std::move(where), device,
                            &Disagreement);
}

absl::StatusOr<TaskPart> CompareCounts(const MpiContext& context,
                                       absl::Span<const int64_t> send_counts,
                                       absl::Span<const int64_t> receive_counts,
                                       std::string where, Device& device) {
  std::vector<int64_t> mine(send_counts.begin(), send_counts.end());
  mine.insert(mine.end(), receive_counts.begin(), receive_counts.end());
  return Compare<int64_t>(context, mine, std::move(where), device,
                          [size = context.size](const auto& all) {
                            return CountDisagreement(all, size);
                          });
}

absl::StatusOr<TaskPart> ComparedExchange(const MpiContext& context,
                                          absl::Span<const Transfer> transfers,
                                          std::string where, Device& device) {
  struct Told {
    TransferShape mine;
    Tensor theirs;
  };
  std::vector<Transfer> all;
  std::vector<Told> told;  // of receives
  for (const Transfer& transfer : transfers) {
    if (transfer.peer != context.rank) {
      const TransferShape mine = ShapeOf(transfer);
      const TransferShape shown = mine.sends ? mine : TransferShape{};
      EISBACH_ASSIGN_OR_RETURN(
          const Tensor tensor,
          BytesOf(absl::Span<const TransferShape>(&shown, 1), device));
      if (!mine.sends) told.push_back({mine, tensor});
      all.push_back({transfer.kind, transfer.peer, tensor});
    }
    all.push_back(transfer);
  }
  return TaskPart{
      .task = MakeMpiExchange(context, all),
      // Of a message that is too long MPI knows only that it is.
      .then = [told = std::move(told), where = std::move(where),
               rank = context.rank](absl::Status ended) -> absl::Status {
        for (const Told& one : told) {
          const TransferShape theirs =
              ValuesIn<TransferShape>(one.theirs).front();
          if (theirs.told != TransferShape::kTold) continue;
          EISBACH_RETURN_IF_ERROR(DisagreementError(
              where, TransferDisagreement(rank, one.mine, theirs)));
        }
        return ended;
      }};
}

}  // namespace eisbach::comm
