#pragma once

#include <algorithm>
#include <vector>

#include "cpp/comm/contract_data.h"

namespace eisbach::comm::contract {

inline Transfer SendTo(int peer, Tensor tensor) {
  return {Transfer::Kind::kSend, peer, std::move(tensor)};
}
inline Transfer ReceiveFrom(int peer, Tensor tensor) {
  return {Transfer::Kind::kReceive, peer, std::move(tensor)};
}

inline absl::Status ExchangeRing(World& world) {
  Communicator& all = world.communicator();
  const int n = all.size(), me = all.rank();
  const int next = (me + 1) % n, previous = (me + n - 1) % n;
  for (int64_t elements : kSizes) {
    EISBACH_ASSIGN_OR_RETURN(Tensor out,
                             Filled<float>(world.device(), elements, me, 10));
    EISBACH_ASSIGN_OR_RETURN(Tensor in, Make<float>(world.device(), elements));
    EISBACH_RETURN_IF_ERROR(
        all.Exchange({SendTo(next, out), ReceiveFrom(previous, in)},
                     world.device().compute_stream()));
    EISBACH_RETURN_IF_ERROR(Expect<float>(
        in, "ring", [&](int64_t i) { return Value<float>(previous, i, 10); }));
  }
  return absl::OkStatus();
}

// Everyone with everyone, listed in an order that differs from rank to rank,
// sends first on some ranks and receives first on others.
inline absl::Status ExchangePairsInBothOrders(World& world) {
  Communicator& all = world.communicator();
  const int n = all.size(), me = all.rank();
  for (int64_t elements : {int64_t{1}, int64_t{1000}, int64_t{300000}}) {
    std::vector<Transfer> transfers;
    std::vector<Tensor> received(n);
    for (int step = 0; step < n; ++step) {
      const int peer = (me * 3 + step * (me % 2 == 0 ? 1 : n - 1) + n) % n;
      EISBACH_ASSIGN_OR_RETURN(
          Tensor out,
          Filled<int64_t>(world.device(), elements, me * 16 + peer, 11));
      EISBACH_ASSIGN_OR_RETURN(received[peer],
                               Make<int64_t>(world.device(), elements));
      transfers.push_back(SendTo(peer, out));
      transfers.push_back(ReceiveFrom(peer, received[peer]));
      if ((me + step) % 2 == 0) {
        std::swap(transfers[transfers.size() - 2], transfers.back());
      }
    }
    EISBACH_RETURN_IF_ERROR(
        all.Exchange(transfers, world.device().compute_stream()));
    for (int peer = 0; peer < n; ++peer) {
      EISBACH_RETURN_IF_ERROR(Expect<int64_t>(
          received[peer], "all pairs",
          [&](int64_t i) { return Value<int64_t>(peer * 16 + me, i, 11); }));
    }
  }
  return absl::OkStatus();
}

// Several transfers of different sizes between the same two pair up in order.
inline absl::Status ExchangeSeveral(World& world) {
  Communicator& all = world.communicator();
  const int n = all.size(), me = all.rank();
  const int next = (me + 1) % n, previous = (me + n - 1) % n;
  const int64_t sizes[] = {5, 70000, 0, 5, 1};
  std::vector<Transfer> transfers;
  std::vector<Tensor> received;
  for (int k = 0; k < 5; ++k) {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor out, Filled<BFloat16>(world.device(), sizes[k], me, 20 + k));
    transfers.push_back(SendTo(next, out));
  }
  for (int k = 0; k < 5; ++k) {
    EISBACH_ASSIGN_OR_RETURN(Tensor in,
                             Make<BFloat16>(world.device(), sizes[k]));
    received.push_back(in);
    transfers.push_back(ReceiveFrom(previous, in));
  }
  if (me % 2 == 1)
    std::rotate(&transfers[0], &transfers[5], &transfers[0] + 10);
  EISBACH_RETURN_IF_ERROR(
      all.Exchange(transfers, world.device().compute_stream()));
  for (int k = 0; k < 5; ++k) {
    EISBACH_RETURN_IF_ERROR(Expect<BFloat16>(
        received[k], "several",
        [&](int64_t i) { return Value<BFloat16>(previous, i, 20 + k); }));
  }
  return absl::OkStatus();
}

inline absl::Status ExchangeSelf(World& world) {
  Communicator& all = world.communicator();
  EISBACH_ASSIGN_OR_RETURN(Tensor out,
                           Filled<float>(world.device(), 100, all.rank(), 30));
  EISBACH_ASSIGN_OR_RETURN(Tensor in, Make<float>(world.device(), 100));
  EISBACH_RETURN_IF_ERROR(
      all.Exchange({ReceiveFrom(all.rank(), in), SendTo(all.rank(), out)},
                   world.device().compute_stream()));
  return Expect<float>(
      in, "self", [&](int64_t i) { return Value<float>(all.rank(), i, 30); });
}

// Rank 0 sends and receives in one exchange, and what it receives is an answer:
// the transfers of an exchange do not wait for each other.
inline absl::Status ExchangeAnswers(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  const int peer = all.rank() ^ 1;
  if (all.rank() > 1 || all.size() == 1) return absl::OkStatus();
  for (int64_t elements : {int64_t{10}, int64_t{300000}}) {
    EISBACH_ASSIGN_OR_RETURN(Tensor question,
                             Filled<float>(world.device(), elements, 0, 32));
    EISBACH_ASSIGN_OR_RETURN(Tensor got, Make<float>(world.device(), elements));
    if (all.rank() == 0) {
      EISBACH_RETURN_IF_ERROR(all.Exchange(
          {SendTo(peer, question), ReceiveFrom(peer, got)}, stream));
    } else {
      EISBACH_RETURN_IF_ERROR(all.Exchange({ReceiveFrom(peer, got)}, stream));
      EISBACH_RETURN_IF_ERROR(all.Exchange({SendTo(peer, got)}, stream));
    }
    EISBACH_RETURN_IF_ERROR(Expect<float>(
        got, "answer", [&](int64_t i) { return Value<float>(0, i, 32); }));
  }
  return absl::OkStatus();
}

// Ranks without a partner do not call; collectives before and after still
// match.
inline absl::Status ExchangeOfPairsOnly(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  const int me = all.rank();
  for (int round = 0; round < 3; ++round) {
    EISBACH_RETURN_IF_ERROR(all.Barrier(stream));
    const int peer = me ^ 1;
    if (peer < all.size() && me / 2 != round) {
      EISBACH_ASSIGN_OR_RETURN(Tensor x,
                               Filled<float>(world.device(), 999, me, 31));
      EISBACH_ASSIGN_OR_RETURN(Tensor y, Make<float>(world.device(), 999));
      if (me % 2 == 0) {
        EISBACH_RETURN_IF_ERROR(all.Exchange({SendTo(peer, x)}, stream));
        EISBACH_RETURN_IF_ERROR(all.Exchange({ReceiveFrom(peer, y)}, stream));
      } else {
        EISBACH_RETURN_IF_ERROR(all.Exchange({ReceiveFrom(peer, y)}, stream));
        EISBACH_RETURN_IF_ERROR(all.Exchange({SendTo(peer, x)}, stream));
      }
      EISBACH_RETURN_IF_ERROR(Expect<float>(
          y, "pair", [&](int64_t i) { return Value<float>(peer, i, 31); }));
    }
  }
  return all.Barrier(stream);
}

}  // namespace eisbach::comm::contract
