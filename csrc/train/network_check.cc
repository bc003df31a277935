#include "train/network_check.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "checkpoint/agree.h"
#include "core/median.h"
#include "core/status_macros.h"
#include "ops/matmul.h"
#include "train/tournament.h"

namespace eisbach::train {
namespace {

using Json = nlohmann::json;

constexpr int kRepeats = 5;
constexpr int kMostRounds = 16;

class NetworkChecker {
 public:
  NetworkChecker(comm::World& world, absl::Span<const RankLocation> locations,
                 const NetworkCheckOptions& options)
      : world_(world),
        everyone_(world.communicator()),
        stream_(world.device().compute_stream()),
        sizes_(options.sizes),
        slowdown_(options.slowdown),
        domains_(parallel::Domains(PlacesOf(locations))),
        domain_of_(world.size()) {
    for (size_t i = 0; i < domains_.size(); ++i) {
      for (int rank : domains_[i]) domain_of_[rank] = static_cast<int>(i);
    }
  }

  absl::StatusOr<NetworkReport> Run() {
    EISBACH_RETURN_IF_ERROR(CheckDevice());
    EISBACH_RETURN_IF_ERROR(CheckGroups());
    EISBACH_RETURN_IF_ERROR(CheckPairs());
    world_.device().TrimMemory();
    return Gather();
  }

 private:
  // One of this rank's figures; all ranks have the same in the same order.
  struct Figure {
    std::string check, unit;
    double value;
    bool by_domain = false;
    bool by_everyone = false;
  };

  // Seconds that the call takes, until the device is done.
  template <typename F>
  absl::StatusOr<double> TimeOf(F&& call) {
    using Clock = std::chrono::steady_clock;
    const auto begin = Clock::now();
    EISBACH_RETURN_IF_ERROR(call());
    EISBACH_RETURN_IF_ERROR(stream_.Synchronize());
    const std::chrono::duration<double> took = Clock::now() - begin;
    if (slowdown_ > 1) std::this_thread::sleep_for(took * (slowdown_ - 1));
    const std::chrono::duration<double> all = Clock::now() - begin;
    return std::max(all.count(), 1e-9);
  }

  // `work` over the median time; all ranks start together.
  template <typename F>
  absl::StatusOr<double> Rate(double work, F&& call) {
    EISBACH_RETURN_IF_ERROR(TimeOf(call).status());  // prepares
    EISBACH_RETURN_IF_ERROR(Meet());
    return RateFrom(work, call);
  }
  template <typename F>
  absl::StatusOr<double> RateFrom(double work, F&& call) {
    std::vector<double> seconds;
    for (int i = 0; i < kRepeats; ++i) {
      EISBACH_ASSIGN_OR_RETURN(const double one, TimeOf(call));
      seconds.push_back(one);
    }
    return work / UpperMedian(seconds) / 1e9;
  }

  absl::Status Meet() {
    EISBACH_RETURN_IF_ERROR(everyone_.Barrier(stream_));
    return stream_.Synchronize();
  }

  absl::StatusOr<Tensor> Bytes(int64_t bytes) {
    return Tensor::Zeros(Shape{std::max<int64_t>(bytes / 4, 1)}, DType::kF32,
                         stream_);
  }

  absl::Status CheckDevice() {
    const int64_t n = sizes_.matmul;
    const bool cpu = world_.device().type() == DeviceType::kCpu;
    const DType dtype = cpu ? DType::kF32 : DType::kBF16;
    std::vector<Tensor> matrices;
    for (int i = 0; i < 3; ++i) {
      EISBACH_ASSIGN_OR_RETURN(Tensor matrix,
                               Tensor::Zeros(Shape{n, n}, dtype, stream_));
      matrices.push_back(std::move(matrix));
    }
    const double flops = 2.0 * n * n * n;
    EISBACH_ASSIGN_OR_RETURN(const double matmul, Rate(flops, [&] {
                               return ops::Matmul(
                                   matrices[0], matrices[1], nullptr,
                                   /*accumulate=*/false, matrices[2], stream_);
                             }));
    figures_.push_back({.check = "matmul", .unit = "GFLOP/s", .value = matmul});
    matrices.clear();

    EISBACH_ASSIGN_OR_RETURN(const Tensor from, Bytes(sizes_.copy));
    EISBACH_ASSIGN_OR_RETURN(const Tensor to, Bytes(sizes_.copy));
    const double moved = 2.0 * static_cast<double>(from.bytes());
    EISBACH_ASSIGN_OR_RETURN(const double copy, Rate(moved, [&] {
                               return world_.device().CopyOnDevice(
                                   to.raw(), from.raw(), from.bytes(), stream_);
                             }));
    figures_.push_back({.check = "copy", .unit = "GB/s", .value = copy});
    return absl::OkStatus();
  }

  absl::Status CheckGroups() {
    if (world_.size() == 1) return absl::OkStatus();
    EISBACH_RETURN_IF_ERROR(CheckGroup(everyone_, "of all", false));
    const bool apart = domains_.size() > 1;
    const bool shared = domains_.size() < static_cast<size_t>(world_.size());
    if (!apart || !shared) return absl::OkStatus();
    EISBACH_ASSIGN_OR_RETURN(const auto domain,
                             everyone_.Subgroup(Mine(), "domain"));
    return CheckGroup(*domain, "in domains", true);
  }

  // Bytes that pass a rank one way, as in NCCL's tests ("bus bandwidth"):
  // 2 (n - 1) / n of the buffer in an all-reduce, (n - 1) / n in an all-to-all.
  absl::Status CheckGroup(comm::Communicator& group, const std::string& where,
                          bool by_domain) {
    const int n = group.size();
    const int64_t piece = std::max<int64_t>(sizes_.collective / (4 * n), 1);
    EISBACH_ASSIGN_OR_RETURN(const Tensor in, Bytes(4 * n * piece));
    EISBACH_ASSIGN_OR_RETURN(const Tensor out,
                             Bytes(static_cast<int64_t>(in.bytes())));
    const double passed = static_cast<double>(in.bytes()) * (n - 1) / n;
    EISBACH_ASSIGN_OR_RETURN(const double reduce, Rate(2 * passed, [&] {
                               return group.AllReduce(in, comm::ReduceOp::kSum,
                                                      stream_);
                             }));
    EISBACH_ASSIGN_OR_RETURN(const double swap, Rate(passed, [&] {
                               return group.AllToAll(in, out, stream_);
                             }));
    for (const auto& [name, value] :
         {std::pair("all-reduce ", reduce), std::pair("all-to-all ", swap)}) {
      figures_.push_back({.check = name + where,
                          .unit = "GB/s",
                          .value = n == 1 ? 0 : value,
                          .by_domain = by_domain,
                          .by_everyone = !by_domain});
    }
    return absl::OkStatus();
  }

  const std::vector<int>& Mine() const {
    return domains_[domain_of_[world_.rank()]];
  }

  absl::Status CheckPairs() {
    size_t largest = 0;
    for (const auto& domain : domains_) {
      largest = std::max(largest, domain.size());
    }
    EISBACH_RETURN_IF_ERROR(
        PlayRounds(Mine(), Rounds(static_cast<int>(largest)), false));
    if (domains_.size() == 1) return absl::OkStatus();
    std::vector<int> all(world_.size());
    for (int rank = 0; rank < world_.size(); ++rank) all[rank] = rank;
    return PlayRounds(all, Rounds(world_.size()), true);
  }

  static int Rounds(int players) {
    return std::min(TournamentRounds(players), kMostRounds);
  }

  // As many rounds for everybody, spread over the tournament of `players`.
  absl::Status PlayRounds(const std::vector<int>& players, int rounds,
                          bool across) {
    EISBACH_ASSIGN_OR_RETURN(const Tensor out, Bytes(sizes_.pair));
    EISBACH_ASSIGN_OR_RETURN(const Tensor in, Bytes(sizes_.pair));
    const int n = static_cast<int>(players.size());
    const int own = TournamentRounds(n);
    const auto me = std::find(players.begin(), players.end(), world_.rank());
    for (int i = 0; i < rounds; ++i, ++rounds_) {
      EISBACH_RETURN_IF_ERROR(Meet());
      const int round = own <= kMostRounds ? i : i * own / kMostRounds;
      if (round >= own) continue;
      const int partner = TournamentPairs(n, round)[me - players.begin()];
      if (partner < 0) continue;
      const int peer = players[partner];
      if (across && domain_of_[peer] == domain_of_[world_.rank()]) continue;
      const comm::Transfer transfers[] = {
          {comm::Transfer::Kind::kSend, peer, out},
          {comm::Transfer::Kind::kReceive, peer, in}};
      const auto exchange = [&] {
        return everyone_.Exchange(transfers, stream_);
      };
      EISBACH_RETURN_IF_ERROR(TimeOf(exchange).status());  // connects
      EISBACH_ASSIGN_OR_RETURN(
          const double rate,
          RateFrom(static_cast<double>(out.bytes()), exchange));
      pairs_.push_back({world_.rank(), peer, rate});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<NetworkReport> Gather() {
    Json mine = {Json::array(), Json::array()};
    for (const Figure& figure : figures_) mine[0].push_back(figure.value);
    for (const PairReading& pair : pairs_) {
      mine[1].push_back({pair.b, pair.gigabytes});
    }
    EISBACH_ASSIGN_OR_RETURN(
        const std::vector<std::string> texts,
        checkpoint::GatherText(mine.dump(), everyone_, stream_));
    NetworkReport report;
    report.rounds = rounds_;
    for (const Figure& figure : figures_) {
      report.ranks.push_back({.check = figure.check, .unit = figure.unit});
      if (figure.by_domain) report.ranks.back().group_of = domain_of_;
      if (figure.by_everyone) {
        report.ranks.back().group_of.assign(world_.size(), 0);
      }
    }
    std::map<std::pair<int, int>, double> pairs;
    for (int rank = 0; rank < world_.size(); ++rank) {
      const Json theirs = Json::parse(texts[rank], nullptr,
                                      /*allow_exceptions=*/false);
      if (!theirs.is_array() || theirs[0].size() != figures_.size()) {
        return absl::InternalError(
            absl::StrCat("the figures of rank ", rank, " arrived damaged"));
      }
      for (size_t i = 0; i < figures_.size(); ++i) {
        report.ranks[i].by_rank.push_back(theirs[0][i].get<double>());
      }
      for (const Json& pair : theirs[1]) {
        const int peer = pair[0].get<int>();
        const double rate = pair[1].get<double>();
        const auto [at, fresh] = pairs.emplace(
            std::pair(std::min(rank, peer), std::max(rank, peer)), rate);
        if (!fresh) at->second = std::min(at->second, rate);
      }
    }
    for (const auto& [ends, rate] : pairs) {
      report.pairs.push_back({ends.first, ends.second, rate});
    }
    return report;
  }

  comm::World& world_;
  comm::Communicator& everyone_;
  Stream& stream_;
  const NetworkCheckSizes sizes_;
  const double slowdown_;
  const std::vector<std::vector<int>> domains_;
  std::vector<int> domain_of_;
  std::vector<Figure> figures_;
  std::vector<PairReading> pairs_;
  int rounds_ = 0;
};

}  // namespace

NetworkCheckSizes NetworkCheckSizesFor(DeviceType type) {
  constexpr int64_t kMiB = 1 << 20;
  if (type == DeviceType::kCpu) {
    return {.matmul = 768,
            .copy = 32 * kMiB,
            .collective = 8 * kMiB,
            .pair = 4 * kMiB};
  }
  return {.matmul = 8192,
          .copy = 512 * kMiB,
          .collective = 256 * kMiB,
          .pair = 64 * kMiB};
}

absl::StatusOr<NetworkReport> CheckNetwork(
    comm::World& world, absl::Span<const RankLocation> locations,
    const NetworkCheckOptions& options) {
  if (world.device().type() == DeviceType::kMeta) {
    return absl::InvalidArgumentError("a network of meta devices has no speed");
  }
  return NetworkChecker(world, locations, options).Run();
}

}  // namespace eisbach::train
