#include "comm/mpi/mpi_communicator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "comm/mpi/mpi_error.h"
#include "core/status_macros.h"

namespace eisbach::comm {

absl::StatusOr<std::unique_ptr<MpiCommunicator>> MpiCommunicator::Make(
    MPI_Comm comm, std::optional<HostsContext> hosts, std::string name,
    std::shared_ptr<Device> device, std::shared_ptr<Progress> progress,
    std::shared_ptr<MpiHost> host) {
  MpiContext context{.comm = comm, .rank = 0, .size = 0};
  EISBACH_RETURN_IF_MPI(MPI_Comm_set_errhandler, comm, MPI_ERRORS_RETURN);
  EISBACH_RETURN_IF_MPI(MPI_Comm_rank, comm, &context.rank);
  EISBACH_RETURN_IF_MPI(MPI_Comm_size, comm, &context.size);
  return std::unique_ptr<MpiCommunicator>(new MpiCommunicator(
      context, std::move(hosts), std::move(name), std::move(device),
      std::move(progress), std::move(host)));
}

MpiCommunicator::MpiCommunicator(const MpiContext& context,
                                 std::optional<HostsContext> hosts,
                                 std::string name,
                                 std::shared_ptr<Device> device,
                                 std::shared_ptr<Progress> progress,
                                 std::shared_ptr<MpiHost> host)
    : Communicator(context.rank, context.size, std::move(name),
                   std::move(device)),
      context_(context),
      hosts_(std::move(hosts)),
      progress_(std::move(progress)),
      host_(std::move(host)),
      queue_(progress_, this->name(), this->device().tracer()) {}

MpiCommunicator::~MpiCommunicator() { Release(); }

void MpiCommunicator::Release() {
  queue_.Drain();
  int ended = 0;
  MPI_Finalized(&ended);
  if (!ended && !queue_.failed() && context_.comm != MPI_COMM_NULL) {
    MPI_Comm_free(&context_.comm);
  }
  context_.comm = MPI_COMM_NULL;
}

absl::StatusOr<Tensor> MpiCommunicator::Scratch(int64_t bytes) {
  if (scratch_.defined() && scratch_.elements() >= bytes) return scratch_;
  EISBACH_ASSIGN_OR_RETURN(std::shared_ptr<Storage> storage,
                           hosts_.has_value() ? device().AllocateShared(bytes)
                                              : device().Allocate(bytes));
  EISBACH_ASSIGN_OR_RETURN(scratch_, Tensor::FromStorage(std::move(storage), 0,
                                                         {bytes}, DType::kU8));
  return scratch_;
}

absl::Status MpiCommunicator::Submit(std::unique_ptr<Task> task,
                                     Stream& stream) {
  if (checks()) {
    EISBACH_ASSIGN_OR_RETURN(TaskPart first, Comparison());
    std::vector<TaskPart> parts;
    parts.push_back(std::move(first));
    parts.push_back({.task = std::move(task)});
    task = MakeTaskOfParts(std::move(parts));
  }
  return Queue(std::move(task), stream);
}

absl::StatusOr<TaskPart> MpiCommunicator::Comparison() {
  return CompareShapes(context_, shape(), Where(Name(shape().kind)), device());
}

absl::Status MpiCommunicator::Queue(std::unique_ptr<Task> task,
                                    Stream& stream) {
  task->set_label(call());
  const absl::Status status = queue_.Submit(std::move(task), stream);
  if (status.ok()) return status;  // a small call costs less than the text
  return Annotate(status, absl::StrCat("communicator \"", name(), "\""));
}

absl::Status MpiCommunicator::DoAllReduce(const Tensor& inout, ReduceOp op,
                                          Stream& stream) {
  if (hosts_.has_value()) {
    EISBACH_ASSIGN_OR_RETURN(
        const Tensor scratch,
        Scratch(HierarchicalAllReduceScratchBytes(*hosts_, inout.elements(),
                                                  inout.dtype(), op)));
    return Submit(MakeHierarchicalAllReduce(*hosts_, inout, op, scratch),
                  stream);
  }
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor scratch,
      Scratch(AllReduceScratchBytes(inout.elements(), inout.dtype(), size())));
  return Submit(MakeMpiAllReduce(context_, inout, op, scratch), stream);
}

absl::Status MpiCommunicator::DoReduceScatter(const Tensor& in,
                                              const Tensor& out, ReduceOp op,
                                              Stream& stream) {
  if (hosts_.has_value() && GoesByHosts(Bytes(in))) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor scratch,
                             Scratch(HierarchicalReduceScatterScratchBytes(
                                 *hosts_, out.elements(), in.dtype(), op)));
    return Submit(MakeHierarchicalReduceScatter(*hosts_, in, out, op, scratch),
                  stream);
  }
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor scratch,
      Scratch(ReduceScatterScratchBytes(out.elements(), in.dtype(), size())));
  return Submit(MakeMpiReduceScatter(context_, in, out, op, scratch), stream);
}

absl::Status MpiCommunicator::DoAllGather(const Tensor& in, const Tensor& out,
                                          Stream& stream) {
  return Submit(hosts_.has_value() && GoesByHosts(Bytes(out))
                    ? MakeHierarchicalAllGather(*hosts_, in, out)
                    : MakeMpiAllGather(context_, in, out),
                stream);
}

absl::Status MpiCommunicator::DoBroadcast(const Tensor& inout, int root,
                                          Stream& stream) {
  return Submit(hosts_.has_value()
                    ? MakeHierarchicalBroadcast(*hosts_, inout, root)
                    : MakeMpiBroadcast(context_, inout, root),
                stream);
}

absl::Status MpiCommunicator::DoAllToAllV(
    const Tensor& in, absl::Span<const int64_t> send_counts, const Tensor& out,
    absl::Span<const int64_t> receive_counts, Stream& stream) {
  std::unique_ptr<Task> task =
      MakeMpiAllToAllV(context_, in, send_counts, out, receive_counts);
  if (!checks()) return Queue(std::move(task), stream);
  std::vector<TaskPart> parts(2);
  EISBACH_ASSIGN_OR_RETURN(parts[0], Comparison());
  EISBACH_ASSIGN_OR_RETURN(parts[1],
                           CompareCounts(context_, send_counts, receive_counts,
                                         Where(call().name), device()));
  parts.push_back({.task = std::move(task)});
  return Queue(MakeTaskOfParts(std::move(parts)), stream);
}

absl::Status MpiCommunicator::DoExchange(absl::Span<const Transfer> transfers,
                                         Stream& stream) {
  if (!checks()) return Queue(MakeMpiExchange(context_, transfers), stream);
  std::vector<TaskPart> parts(1);
  EISBACH_ASSIGN_OR_RETURN(
      parts[0],
      ComparedExchange(context_, transfers, Where(call().name), device()));
  return Queue(MakeTaskOfParts(std::move(parts)), stream);
}

absl::Status MpiCommunicator::DoBarrier(Stream& stream) {
  return Submit(MakeMpiBarrier(context_), stream);
}

absl::StatusOr<std::unique_ptr<Communicator>> MpiCommunicator::DoSplit(
    int color, int key, std::string name) {
  // MPI wants the collectives of a communicator in one order on all ranks.
  queue_.Drain();
  if (checks()) {
    std::vector<TaskPart> parts(1);
    EISBACH_ASSIGN_OR_RETURN(parts[0], Comparison());
    EISBACH_RETURN_IF_ERROR(queue_.Run(MakeTaskOfParts(std::move(parts))));
  }
  MPI_Comm comm = MPI_COMM_NULL;
  EISBACH_RETURN_IF_MPI(MPI_Comm_split, context_.comm,
                        color < 0 ? MPI_UNDEFINED : color, key, &comm);
  if (comm == MPI_COMM_NULL) return nullptr;
  return MakeCommunicator(comm, std::move(name), device().shared_from_this(),
                          progress_, host_);
}

}  // namespace eisbach::comm
