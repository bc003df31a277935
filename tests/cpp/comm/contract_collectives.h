#pragma once

#include <vector>

#include "cpp/comm/contract_data.h"

namespace eisbach::comm::contract {

// All-reduce of one dtype and size in `group`, whose members are `ranks` of
// the world (they name the data).
template <typename T>
absl::Status AllReduceOf(Communicator& group, const std::vector<int>& ranks,
                         int64_t elements, ReduceOp op, Stream& stream) {
  const int salt = static_cast<int>(elements % 97);
  EISBACH_ASSIGN_OR_RETURN(
      Tensor x, Filled<T>(group.device(), elements, ranks[group.rank()], salt));
  EISBACH_RETURN_IF_ERROR(group.AllReduce(x, op, stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return Expect<T>(x, "all_reduce",
                   [&](int64_t i) { return Reduced<T>(ranks, i, salt, op); });
}

inline absl::Status AllReduce(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  return ForEachDType([&](auto t) -> absl::Status {
    if (!Reduces(all, DTypeOf<decltype(t)>::value)) return absl::OkStatus();
    for (int64_t elements : kSizes) {
      for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
        if (!WorthReducing(DTypeOf<decltype(t)>::value, elements, op)) continue;
        EISBACH_RETURN_IF_ERROR(AllReduceOf<decltype(t)>(all, Iota(all.size()),
                                                         elements, op, stream));
      }
    }
    return absl::OkStatus();
  });
}

// Sums that cancel only in one order; larger than a chunk of any backend.
inline absl::Status AllReduceIsInRankOrder(World& world) {
  Communicator& all = world.communicator();
  for (int64_t elements : {int64_t{3}, int64_t{8191}, int64_t{3000001}}) {
    EISBACH_ASSIGN_OR_RETURN(Tensor x, Make<float>(world.device(), elements));
    const auto value = [](int rank, int64_t i) {
      const float big = rank % 2 == 0 ? 1e8f : -1e8f;
      return big + static_cast<float>(i % 13) * static_cast<float>(rank + 1);
    };
    EISBACH_RETURN_IF_ERROR(
        FillWith<float>(x, [&](int64_t i) { return value(all.rank(), i); }));
    EISBACH_RETURN_IF_ERROR(
        all.AllReduce(x, ReduceOp::kSum, world.device().compute_stream()));
    EISBACH_RETURN_IF_ERROR(
        Expect<float>(x, "all_reduce in rank order", [&](int64_t i) {
          volatile float sum = value(0, i);
          for (int r = 1; r < all.size(); ++r) sum = sum + value(r, i);
          return static_cast<float>(sum);
        }));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status AllGatherOf(Communicator& group, const std::vector<int>& ranks,
                         int64_t elements, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(
      Tensor in, Filled<T>(group.device(), elements, ranks[group.rank()], 1));
  EISBACH_ASSIGN_OR_RETURN(Tensor out,
                           Make<T>(group.device(), elements * group.size()));
  EISBACH_RETURN_IF_ERROR(group.AllGather(in, out, stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return Expect<T>(out, "all_gather", [&](int64_t i) {
    return Value<T>(ranks[i / elements], i % elements, 1);
  });
}

inline absl::Status AllGather(World& world) {
  Communicator& all = world.communicator();
  return ForEachDType([&](auto t) -> absl::Status {
    for (int64_t elements : kSizes) {
      EISBACH_RETURN_IF_ERROR(AllGatherOf<decltype(t)>(
          all, Iota(all.size()), elements, world.device().compute_stream()));
    }
    return absl::OkStatus();
  });
}

template <typename T>
absl::Status ReduceScatterOf(Communicator& group, const std::vector<int>& ranks,
                             int64_t elements, ReduceOp op, Stream& stream) {
  EISBACH_ASSIGN_OR_RETURN(Tensor in,
                           Filled<T>(group.device(), elements * group.size(),
                                     ranks[group.rank()], 2));
  EISBACH_ASSIGN_OR_RETURN(Tensor out, Make<T>(group.device(), elements));
  EISBACH_RETURN_IF_ERROR(group.ReduceScatter(in, out, op, stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return Expect<T>(out, "reduce_scatter", [&](int64_t i) {
    return Reduced<T>(ranks, group.rank() * elements + i, 2, op);
  });
}

inline absl::Status ReduceScatter(World& world) {
  Communicator& all = world.communicator();
  return ForEachDType([&](auto t) -> absl::Status {
    if (!Reduces(all, DTypeOf<decltype(t)>::value)) return absl::OkStatus();
    for (int64_t elements : kSizes) {
      for (ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
        if (!WorthReducing(DTypeOf<decltype(t)>::value, elements, op)) continue;
        EISBACH_RETURN_IF_ERROR(
            ReduceScatterOf<decltype(t)>(all, Iota(all.size()), elements, op,
                                         world.device().compute_stream()));
      }
    }
    return absl::OkStatus();
  });
}

inline absl::Status Broadcast(World& world) {
  Communicator& all = world.communicator();
  return ForEachDType([&](auto t) -> absl::Status {
    using T = decltype(t);
    for (int64_t elements : kSizes) {
      for (int root = 0; root < all.size(); ++root) {
        EISBACH_ASSIGN_OR_RETURN(
            Tensor x, Filled<T>(world.device(), elements, all.rank(), 3));
        EISBACH_RETURN_IF_ERROR(
            all.Broadcast(x, root, world.device().compute_stream()));
        EISBACH_RETURN_IF_ERROR(Expect<T>(
            x, "broadcast", [&](int64_t i) { return Value<T>(root, i, 3); }));
      }
    }
    return absl::OkStatus();
  });
}

inline absl::Status AllToAll(World& world) {
  Communicator& all = world.communicator();
  return ForEachDType([&](auto t) -> absl::Status {
    using T = decltype(t);
    for (int64_t piece : kSizes) {
      EISBACH_ASSIGN_OR_RETURN(
          Tensor in,
          Filled<T>(world.device(), piece * all.size(), all.rank(), 4));
      EISBACH_ASSIGN_OR_RETURN(Tensor out,
                               Make<T>(world.device(), piece * all.size()));
      EISBACH_RETURN_IF_ERROR(
          all.AllToAll(in, out, world.device().compute_stream()));
      EISBACH_RETURN_IF_ERROR(Expect<T>(out, "all_to_all", [&](int64_t i) {
        return Value<T>(static_cast<int>(i / piece),
                        all.rank() * piece + i % piece, 4);
      }));
    }
    return absl::OkStatus();
  });
}

inline absl::Status AllToAllV(World& world) {
  Communicator& all = world.communicator();
  for (int64_t scale : {int64_t{0}, int64_t{1}, int64_t{11}, int64_t{20001}}) {
    // Uneven, with zeros, and not symmetric.
    const auto count = [&](int from, int to) {
      return static_cast<int64_t>((from * 5 + to * 3 + 1) % 4) * scale;
    };
    std::vector<int64_t> send, receive;
    int64_t sent = 0, received = 0;
    for (int peer = 0; peer < all.size(); ++peer) {
      send.push_back(count(all.rank(), peer));
      receive.push_back(count(peer, all.rank()));
      sent += send.back();
      received += receive.back();
    }
    EISBACH_ASSIGN_OR_RETURN(
        Tensor in, Filled<int32_t>(world.device(), sent, all.rank(), 5));
    EISBACH_ASSIGN_OR_RETURN(Tensor out,
                             Make<int32_t>(world.device(), received));
    EISBACH_RETURN_IF_ERROR(
        all.AllToAllV(in, send, out, receive, world.device().compute_stream()));
    std::vector<int32_t> expected;
    for (int from = 0; from < all.size(); ++from) {
      int64_t offset = 0;
      for (int to = 0; to < all.rank(); ++to) offset += count(from, to);
      for (int64_t i = 0; i < count(from, all.rank()); ++i) {
        expected.push_back(Value<int32_t>(from, offset + i, 5));
      }
    }
    EISBACH_RETURN_IF_ERROR(Expect<int32_t>(
        out, "all_to_all with counts", [&](int64_t i) { return expected[i]; }));
  }
  return absl::OkStatus();
}

// Much longer than what a backend has under way at once, again and again, so
// that ranks run ahead of one another.
inline absl::Status LongTensors(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  const int n = all.size(), me = all.rank();
  const int64_t piece = 3000001 / n;
  const std::vector<int64_t> counts(n, piece);
  EISBACH_ASSIGN_OR_RETURN(Tensor whole,
                           Filled<int32_t>(world.device(), piece * n, me, 9));
  EISBACH_ASSIGN_OR_RETURN(Tensor out,
                           Make<int32_t>(world.device(), piece * n));
  EISBACH_ASSIGN_OR_RETURN(Tensor part, Make<int32_t>(world.device(), piece));
  for (int round = 0; round < 4; ++round) {
    EISBACH_RETURN_IF_ERROR(
        all.ReduceScatter(whole, part, ReduceOp::kMax, stream));
    EISBACH_RETURN_IF_ERROR(all.AllGather(part, out, stream));
    EISBACH_RETURN_IF_ERROR(all.Broadcast(out, round % n, stream));
    EISBACH_RETURN_IF_ERROR(all.AllToAll(whole, out, stream));
  }
  EISBACH_RETURN_IF_ERROR(Expect<int32_t>(part, "long", [&](int64_t i) {
    return Reduced<int32_t>(Iota(n), me * piece + i, 9, ReduceOp::kMax);
  }));
  return Expect<int32_t>(out, "long all_to_all", [&](int64_t i) {
    return Value<int32_t>(static_cast<int>(i / piece), me * piece + i % piece,
                          9);
  });
}

// A shard gathered into its own place, and a piece reduced into its own.
inline absl::Status InPlace(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  for (int64_t n : {int64_t{5}, int64_t{70000}}) {
    EISBACH_ASSIGN_OR_RETURN(
        Tensor whole, Filled<float>(world.device(), n * all.size(), -1 & 7, 6));
    EISBACH_ASSIGN_OR_RETURN(Tensor mine, whole.Narrow(0, all.rank() * n, n));
    EISBACH_RETURN_IF_ERROR(Fill<float>(mine, all.rank(), 7));
    EISBACH_RETURN_IF_ERROR(all.AllGather(mine, whole, stream));
    EISBACH_RETURN_IF_ERROR(
        Expect<float>(whole, "all_gather in place", [&](int64_t i) {
          return Value<float>(static_cast<int>(i / n), i % n, 7);
        }));

    EISBACH_RETURN_IF_ERROR(Fill<float>(whole, all.rank(), 8));
    EISBACH_RETURN_IF_ERROR(
        all.ReduceScatter(whole, mine, ReduceOp::kSum, stream));
    EISBACH_RETURN_IF_ERROR(
        Expect<float>(mine, "reduce_scatter in place", [&](int64_t i) {
          return Reduced<float>(Iota(all.size()), all.rank() * n + i, 8,
                                ReduceOp::kSum);
        }));
  }
  return absl::OkStatus();
}

// After a barrier everybody has come: the last to come is not overtaken.
inline absl::Status Barrier(World& world) {
  Communicator& all = world.communicator();
  Stream& stream = world.device().compute_stream();
  for (int round = 0; round < 20; ++round) {
    EISBACH_RETURN_IF_ERROR(all.Barrier(stream));
  }
  return absl::OkStatus();
}

}  // namespace eisbach::comm::contract
