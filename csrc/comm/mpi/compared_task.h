#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "comm/call_shape.h"
#include "comm/mpi/mpi_tasks.h"

// Tasks that compare what ranks call before, or while, they do it. In the queue
// of their communicator as the calls themselves, so that ranks wait for one
// another nowhere else than there.
namespace eisbach::comm {

// A task, and what to make of its end: an error ends the whole.
struct TaskPart {
  std::unique_ptr<Task> task;
  std::function<absl::Status(absl::Status ended)> then;
};
// One part after the other.
std::unique_ptr<Task> MakeTaskOfParts(std::vector<TaskPart> parts);

// Errors begin with `where`. Device memory is the host's.
absl::StatusOr<TaskPart> CompareShapes(const MpiContext& context,
                                       const CallShape& mine, std::string where,
                                       Device& device);
absl::StatusOr<TaskPart> CompareCounts(const MpiContext& context,
                                       absl::Span<const int64_t> send_counts,
                                       absl::Span<const int64_t> receive_counts,
                                       std::string where, Device& device);
// An exchange in which each transfer comes after what its sender says of it.
absl::StatusOr<TaskPart> ComparedExchange(const MpiContext& context,
                                          absl::Span<const Transfer> transfers,
                                          std::string where, Device& device);

}  // namespace eisbach::comm
