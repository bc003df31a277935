#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "comm/mpi/hierarchical_tasks.h"
#include "comm/mpi/requests.h"

namespace eisbach::comm {

// A reduction that goes along the hosts, in rounds. In each round the ranks of
// a host exchange pieces of their inputs in shared memory, so that each has
// everybody's part of one piece; it receives the reduction of the hosts before
// its own from its peer there, adds its host's inputs in rank order, and sends
// it on. The last host has the result, and passes it back.
//
// This keeps the rank order of a sum, which a sum of the sums of hosts would
// not, and still sends each element over a link between hosts once each way,
// as a ring does. Several rounds are under way, each on another host; that the
// first must pass all hosts costs some of them, and of a large tensor little.
// Sums of short floats travel in f32, and are rounded by the last host.
class HostChain : public Task {
 public:
  absl::StatusOr<Step> Poll() final;

  // How many elements of `dtype` a rank's piece has in a round of a call on
  // `elements`, and the temporary memory for such pieces.
  static int64_t MostOfPiece(const HostsContext& context, int64_t elements,
                             DType dtype);
  static int64_t ScratchBytes(const HostsContext& context, int64_t piece,
                              DType dtype, ReduceOp op);

 protected:
  // No round has a longer piece than `longest`.
  HostChain(const HostsContext& context, DType dtype, ReduceOp op,
            int64_t rounds, int64_t longest, const Tensor& scratch);

  // Elements of the piece of each rank of a host.
  virtual int64_t Piece(int64_t round) const = 0;
  // A piece for each rank of the host, one after the other. Asked once, in
  // order of rounds.
  virtual absl::StatusOr<Tensor> Input(int64_t round) = 0;
  // Where this rank keeps the result; null when it does not.
  virtual char* Place(int64_t round) const = 0;
  // The hosts that the result comes from and goes to; kNobody for none.
  virtual int From(int64_t round) const = 0;
  virtual int To(int64_t round) const = 0;
  // Hands the result round the host; null when nothing is handed round.
  virtual bool Gathers() const { return false; }
  virtual absl::StatusOr<std::unique_ptr<Task>> Gather(int64_t round);
  virtual void Gathered(int64_t /*round*/) {}

  static constexpr int kNobody = -1;

  const HostsContext& context() const { return context_; }
  int64_t element_bytes() const { return element_bytes_; }
  // Memory for the input of a round whose pieces do not lie together.
  absl::StatusOr<Tensor> Packed(int64_t round) const;

 private:
  static constexpr int kBuffers = 2;

  absl::StatusOr<bool> PostIncoming();
  absl::StatusOr<bool> DriveInside();
  absl::StatusOr<std::unique_ptr<Task>> NextInside();
  absl::StatusOr<bool> Reduce();
  absl::Status SendOn(int64_t round, const char* data);
  absl::StatusOr<bool> TakeResults();
  // Lets go of the first requests of `requests` that are done.
  static absl::StatusOr<bool> Sweep(std::deque<Requests>& requests);

  bool is_last() const { return context_.host() == context_.last_host(); }
  char* Inputs(int64_t round) const;
  char* Incoming(int64_t round) const;
  char* Outgoing(int64_t round) const;
  absl::StatusOr<Tensor> InScratch(const char* at, int64_t elements) const;

  const HostsContext context_;
  const DType dtype_;
  const ReduceOp op_;
  const int64_t rounds_;
  const Tensor scratch_;
  const int64_t element_bytes_;
  const int64_t sum_bytes_;      // of an element on its way
  const int64_t inputs_stride_;  // bytes
  const int64_t sums_stride_;    // bytes

  std::unique_ptr<Task> inside_;  // at most one at a time
  bool gathering_ = false;        // what it does
  // Rounds that have come so far.
  int64_t posted_ = 0;
  int64_t exchanged_ = 0;
  int64_t reduced_ = 0;
  int64_t results_ = 0;
  int64_t gathered_ = 0;

  struct Result {
    int64_t round;
    Requests requests;
  };
  std::deque<Requests> incoming_;  // rounds [reduced_, posted_)
  std::deque<Requests> outgoing_;  // the latest rounds before reduced_
  std::deque<Result> coming_;
  std::deque<Requests> relays_;
  std::vector<const void*> pieces_;
};

}  // namespace eisbach::comm
