// What the double of NCCL finds where ranks do not call the same.
#include <gtest/gtest.h>
#include <mpi.h>

#include <string>

#include "support/cuda/nccl_agreement.h"
#include "support/mpi_world.h"

namespace eisbach::doubles::agreement_test {
namespace {

std::string Outcome(const NcclCall& call, const CallOrder& order,
                    MPI_Comm comm = MPI_COMM_WORLD) {
  Agreement agreement({call}, order, comm);
  std::string error;
  while (!agreement.Poll(error)) {
  }
  return error;
}

class AgreementTest : public ::testing::Test {
 protected:
  AgreementTest() { TestWorld(); }
  int rank() const { return TestWorld().rank(); }
  // `mine` on rank 0, `other` on the rest.
  NcclCall Choose(const NcclCall& mine, const NcclCall& other) const {
    return rank() == 0 ? mine : other;
  }

  const NcclCall sum_{.kind = Kind::kAllReduce,
                      .bytes = 16,
                      .type = ncclFloat32,
                      .op = ncclSum};
};

TEST_F(AgreementTest, TheSameCallIsFine) { EXPECT_EQ(Outcome(sum_, {}), ""); }

TEST_F(AgreementTest, AnotherCallIsNamed) {
  NcclCall other = sum_;
  other.op = ncclMax;
  EXPECT_NE(Outcome(Choose(sum_, other), {}).find("op"), std::string::npos);
  other = sum_;
  other.type = ncclInt32;
  EXPECT_NE(Outcome(Choose(sum_, other), {}), "");
  other = sum_;
  other.bytes = 12;
  EXPECT_NE(Outcome(Choose(sum_, other), {}).find("12 bytes"),
            std::string::npos);
  other = sum_;
  other.kind = Kind::kAllGather;
  EXPECT_NE(Outcome(Choose(sum_, other), {}).find("all-gather"),
            std::string::npos);
  const NcclCall root0{.kind = Kind::kBroadcast, .bytes = 4, .peer = 0};
  const NcclCall root1{.kind = Kind::kBroadcast, .bytes = 4, .peer = 1};
  EXPECT_NE(Outcome(Choose(root0, root1), {}).find("root 1"),
            std::string::npos);
}

TEST_F(AgreementTest, AMessageOfAnotherSizeIsNamed) {
  if (rank() > 1) return;
  const NcclCall send{.kind = Kind::kSend, .bytes = 8, .peer = 1};
  const NcclCall receive{.kind = Kind::kReceive, .bytes = 4, .peer = 0};
  const std::string error = Outcome(Choose(send, receive), {});
  EXPECT_EQ(error.empty(), rank() == 0);
}

// Each communicator's calls match, but not their order: a GPU would hang.
TEST_F(AgreementTest, TwoCommunicatorsAreCalledInOneOrder) {
  const uint64_t first = NumberOf(MPI_COMM_WORLD);
  const uint64_t second = NumberOf(MPI_COMM_WORLD);
  MPI_Comm one, two;
  MPI_Comm_dup(MPI_COMM_WORLD, &one);
  MPI_Comm_dup(MPI_COMM_WORLD, &two);
  NoteCall(first, {sum_});
  NoteCall(second, {sum_});
  CallOrder orders[2];
  const bool swaps = rank() == 1;
  orders[swaps] = NoteCall(swaps ? second : first, {sum_});
  orders[!swaps] = NoteCall(swaps ? first : second, {sum_});
  EXPECT_NE(Outcome(sum_, orders[0], one).find("one order"), std::string::npos);
  EXPECT_NE(Outcome(sum_, orders[1], two).find("one order"), std::string::npos);
  // From here on they are level again.
  EXPECT_EQ(Outcome(sum_, NoteCall(first, {sum_}), one), "");
  MPI_Comm_free(&one);
  MPI_Comm_free(&two);
}

}  // namespace
}  // namespace eisbach::doubles::agreement_test
