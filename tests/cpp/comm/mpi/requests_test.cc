#include "comm/mpi/requests.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <vector>

#include "support/mpi_world.h"

namespace eisbach::comm::requests_test {
namespace {

// Polls until all is done.
absl::Status Await(Requests& requests) {
  while (true) {
    const absl::StatusOr<bool> done = requests.Test();
    if (!done.ok()) return done.status();
    if (*done) return absl::OkStatus();
  }
}

std::vector<uint16_t> Counting(int64_t n) {
  std::vector<uint16_t> values(n);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

// As for buffers past 2 GiB, with messages of a thousand bytes.
TEST(Requests, CutsLongBuffersIntoMessages) {
  const int rank = TestWorld().rank();
  for (int64_t n : {0, 1, 499, 500, 501, 5000, 12345}) {
    Requests requests(MPI_COMM_WORLD, 1000);
    const std::vector<uint16_t> sent = Counting(n);
    std::vector<uint16_t> received(n);
    ASSERT_TRUE(requests.Receive(received.data(), 2 * n, 1 - rank, 7).ok());
    ASSERT_TRUE(requests.Send(sent.data(), 2 * n, 1 - rank, 7).ok());
    ASSERT_TRUE(Await(requests).ok());
    EXPECT_EQ(received, sent) << n;

    std::vector<uint16_t> shared = rank == 1 ? sent : received;
    if (rank == 0) std::fill(shared.begin(), shared.end(), 0);
    ASSERT_TRUE(requests.Broadcast(shared.data(), 2 * n, 1).ok());
    ASSERT_TRUE(Await(requests).ok());
    EXPECT_EQ(shared, sent) << n;
  }
}

TEST(Requests, AShortMessageIsAnError) {
  const int rank = TestWorld().rank();
  Requests requests(MPI_COMM_WORLD);
  std::vector<char> data(100);
  if (rank == 0) {
    ASSERT_TRUE(requests.Send(data.data(), 60, 1, 8).ok());
    ASSERT_TRUE(Await(requests).ok());
  } else {
    ASSERT_TRUE(requests.Receive(data.data(), 100, 0, 8).ok());
    const absl::Status status = Await(requests);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_NE(status.message().find("sent 60 bytes where 100 are expected"),
              absl::string_view::npos)
        << status;
  }
}

TEST(Requests, ALongMessageIsAnErrorOfMpi) {
  const int rank = TestWorld().rank();
  Requests requests(MPI_COMM_WORLD);
  std::vector<char> data(100);
  if (rank == 0) {
    ASSERT_TRUE(requests.Send(data.data(), 100, 1, 9).ok());
    ASSERT_TRUE(Await(requests).ok());
  } else {
    ASSERT_TRUE(requests.Receive(data.data(), 60, 0, 9).ok());
    const absl::Status status = Await(requests);
    EXPECT_NE(status.message().find("truncated"), absl::string_view::npos)
        << status;
  }
}

}  // namespace
}  // namespace eisbach::comm::requests_test
