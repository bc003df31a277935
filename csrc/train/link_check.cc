#include "train/link_check.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/median.h"
#include "core/status_macros.h"
#include "device/tracer.h"
#include "train/number_line.h"

namespace eisbach::train {
namespace {

constexpr int kPasses = 2;
constexpr int64_t kLargeBytes = 1 << 18;
constexpr int kLargeTrips = 6;
constexpr int kSmallTrips = 16;
// With one link, in all passes; what is under way is finished.
constexpr double kPatienceSeconds = 0.1;
constexpr int kFigures = 2;  // of a link that are told
constexpr double kNever = std::numeric_limits<double>::infinity();

double SecondsSince(int64_t begin_ns) {
  return 1e-9 * static_cast<double>(Tracer::Now() - begin_ns);
}

// Of a link, as the lower of its ranks has measured it.
struct LinkFigures {
  double small = kNever;  // seconds of a round trip
  double large = kNever;
  double spent = 0;  // seconds
};

// This rank's side of a link. The lower rank leads: it says which round trip
// comes next, and has the clock.
class LinkMeter {
 public:
  static absl::StatusOr<LinkMeter> Make(comm::Communicator& everyone,
                                        int peer) {
    EISBACH_ASSIGN_OR_RETURN(NumberLine line, NumberLine::Make(everyone, peer));
    LinkMeter meter(everyone, peer, std::move(line));
    EISBACH_ASSIGN_OR_RETURN(
        meter.large_,
        Tensor::Zeros(Shape{kLargeBytes / 4}, DType::kF32, meter.stream_));
    return meter;
  }

  // The first trip of a link may connect the two and counts for nothing.
  absl::Status Lead(LinkFigures& figures) {
    if (figures.spent == 0) EISBACH_RETURN_IF_ERROR(SmallTrip().status());
    const int64_t begin = Tracer::Now();
    const auto patient = [&] {
      return figures.spent + SecondsSince(begin) < kPatienceSeconds;
    };
    if (patient()) {
      int trips = 0;
      do {
        EISBACH_ASSIGN_OR_RETURN(const double seconds, SmallTrip());
        figures.small = std::min(figures.small, seconds);
      } while (++trips < kSmallTrips && patient());
      std::vector<double> large;
      do {
        EISBACH_ASSIGN_OR_RETURN(const double seconds, LargeTrip());
        large.push_back(seconds);
      } while (static_cast<int>(large.size()) < kLargeTrips && patient());
      figures.large = std::min(figures.large, LowerMedian(std::move(large)));
    }
    figures.spent += SecondsSince(begin);
    return line_.Send(kOver);
  }

  absl::Status Follow() {
    while (true) {
      EISBACH_ASSIGN_OR_RETURN(const int64_t word, line_.Receive());
      if (word == kOver) return absl::OkStatus();
      if (word == kLarge) {
        EISBACH_RETURN_IF_ERROR(Move(Kind::kReceive));
        EISBACH_RETURN_IF_ERROR(Move(Kind::kSend));
      } else {
        EISBACH_RETURN_IF_ERROR(line_.Send(word));
      }
    }
  }

 private:
  using Kind = comm::Transfer::Kind;
  enum Word : int64_t { kOver, kSmall, kLarge };

  LinkMeter(comm::Communicator& everyone, int peer, NumberLine line)
      : everyone_(everyone),
        stream_(everyone.device().compute_stream()),
        peer_(peer),
        line_(std::move(line)) {}

  absl::StatusOr<double> SmallTrip() {
    const int64_t begin = Tracer::Now();
    EISBACH_RETURN_IF_ERROR(line_.Send(kSmall));
    EISBACH_RETURN_IF_ERROR(line_.Receive().status());
    return SecondsSince(begin);
  }

  absl::StatusOr<double> LargeTrip() {
    EISBACH_RETURN_IF_ERROR(line_.Send(kLarge));
    const int64_t begin = Tracer::Now();
    EISBACH_RETURN_IF_ERROR(Move(Kind::kSend));
    EISBACH_RETURN_IF_ERROR(Move(Kind::kReceive));
    return SecondsSince(begin);
  }

  absl::Status Move(Kind kind) {
    const comm::Transfer transfer{kind, peer_, large_};
    EISBACH_RETURN_IF_ERROR(everyone_.Exchange({&transfer, 1}, stream_));
    return stream_.Synchronize();
  }

  comm::Communicator& everyone_;
  Stream& stream_;
  int peer_;
  NumberLine line_;
  Tensor large_;  // f32 [kLargeBytes / 4]
};

// f32 [ranks, rounds, kFigures]: what leads measured, anything elsewhere.
absl::StatusOr<std::vector<float>> GatherFigures(
    const std::vector<LinkFigures>& mine, comm::World& world) {
  Device& device = world.device();
  Stream& stream = device.compute_stream();
  const auto rounds = static_cast<int64_t>(mine.size());
  EISBACH_ASSIGN_OR_RETURN(
      const Tensor in,
      Tensor::Empty(Shape{rounds, kFigures}, DType::kF32, device));
  EISBACH_ASSIGN_OR_RETURN(Tensor out,
                           Tensor::Empty(Shape{world.size(), rounds, kFigures},
                                         DType::kF32, device));
  std::vector<float> row;
  for (const LinkFigures& one : mine) {
    row.push_back(static_cast<float>(one.small));
    row.push_back(static_cast<float>(one.large));
  }
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(in.raw(), row.data(), in.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(world.communicator().AllGather(in, out, stream));
  std::vector<float> all(out.elements());
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(all.data(), out.raw(), out.bytes(), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return all;
}

}  // namespace

absl::StatusOr<std::vector<LinkReading>> MeasureLinks(
    comm::World& world, absl::Span<const LinkRound> rounds) {
  comm::Communicator& everyone = world.communicator();
  Stream& stream = world.device().compute_stream();
  const int rank = world.rank();
  std::vector<LinkFigures> mine(rounds.size());
  for (int pass = 0; pass < kPasses; ++pass) {
    for (size_t i = 0; i < rounds.size(); ++i) {
      EISBACH_RETURN_IF_ERROR(everyone.Barrier(stream));
      EISBACH_RETURN_IF_ERROR(stream.Synchronize());
      const int peer = rounds[i].partner[rank];
      if (peer < 0) continue;
      EISBACH_ASSIGN_OR_RETURN(LinkMeter meter,
                               LinkMeter::Make(everyone, peer));
      EISBACH_RETURN_IF_ERROR(rank < peer ? meter.Lead(mine[i])
                                          : meter.Follow());
    }
  }
  EISBACH_ASSIGN_OR_RETURN(const std::vector<float> all,
                           GatherFigures(mine, world));
  std::vector<LinkReading> readings;
  for (size_t i = 0; i < rounds.size(); ++i) {
    for (int a = 0; a < world.size(); ++a) {
      const int b = rounds[i].partner[a];
      if (b < a) continue;
      const float* row = &all[(a * rounds.size() + i) * kFigures];
      readings.push_back({.a = a,
                          .b = b,
                          .axes = rounds[i].axes,
                          .ring = rounds[i].ring,
                          .gigabytes = 2e-9 * kLargeBytes / row[1],
                          .seconds = 0.5 * row[0]});
    }
  }
  return readings;
}

}  // namespace eisbach::train
