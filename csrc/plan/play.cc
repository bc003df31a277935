#include "plan/play.h"

#include <algorithm>
#include <limits>

#include "absl/container/flat_hash_map.h"
#include "plan/collective_seconds.h"

namespace eisbach::plan {
namespace {

class Player {
 public:
  Player(const WorkRecord& record, const parallel::Mesh& mesh,
         const Hardware& hardware, const PlayOptions& options)
      : record_(record),
        mesh_(mesh),
        hardware_(hardware),
        options_(options),
        now_(record.streams, 0.0) {}

  Played Run() {
    for (const Work& work : record_.work) {
      switch (work.kind) {
        case Work::Kind::kOp:
          Op(work);
          break;
        case Work::Kind::kCollective:
          Collective(work);
          break;
        case Work::Kind::kRecord:
          events_[work.event] = now_[work.stream];
          break;
        case Work::Kind::kWait:
          Wait(work);
          break;
        case Work::Kind::kAction:
          EndAction();
          action_ = work.action;
          break;
        case Work::Kind::kStepEnd:
          EndAction();
          action_ = {};
          played_.step_ends.push_back(now_[0]);
          played_.busy = {};
          std::swap(played_.busy, step_);
          played_.collectives = collectives_;
          played_.flops = flops_;
          collectives_ = flops_ = 0;
          break;
      }
    }
    return std::move(played_);
  }

 private:
  // The host gives a stream something, which can start then.
  double Given(int stream) {
    if (!options_.replayed) host_ += hardware_.host_launch;
    if (stream == 0 && host_ > now_[0]) {
      Count(&Busy::gaps, host_ - now_[0]);
      now_[0] = host_;
    }
    if (!TakeTurns()) return std::max(now_[stream], host_);
    const double last = *std::max_element(now_.begin(), now_.end());
    if (stream == 0) {
      Count(&Busy::communication, last - now_[0]);
      now_[0] = last;
    }
    return std::max(last, host_);
  }

  // Whether nothing runs beside anything else.
  bool TakeTurns() const { return hardware_.shared_by_collectives == 1; }

  void Count(double Busy::*kind, double seconds) {
    in_action_.*kind += seconds;
    step_.*kind += seconds;
  }

  void Op(const Work& work) {
    const double begin = Given(work.stream);
    const std::string& name = record_.name(work);
    double seconds = SecondsAlone(record_, work, mesh_, hardware_, options_);
    flops_ += work.op.flops;
    if (work.stream == 0) {
      seconds += Lost(seconds, begin);
      Count(work.op.inner > 0   ? &Busy::products
            : IsAttention(name) ? &Busy::attention
                                : &Busy::other_ops,
            seconds);
    }
    Pass(work, begin, seconds);
  }

  // What an op that begins then loses to collectives that are under way.
  double Lost(double seconds, double begin) const {
    if (TakeTurns()) return 0;
    double under_way = 0;
    for (size_t s = 1; s < now_.size(); ++s) {
      under_way = std::max(under_way, now_[s] - begin);
    }
    const double share = hardware_.shared_by_collectives;
    return std::min(seconds, under_way) * share / (1 - share);
  }

  void Collective(const Work& work) {
    const double begin = Given(work.stream);
    if (record_.group(work) == "pipeline") return;
    const double seconds =
        SecondsAlone(record_, work, mesh_, hardware_, options_);
    collectives_ += seconds;
    if (work.stream == 0) Count(&Busy::communication, seconds);
    Pass(work, begin, seconds);
  }

  void Pass(const Work& work, double begin, double seconds) {
    now_[work.stream] = begin + seconds;
    if (!options_.each) return;
    const auto index = static_cast<size_t>(&work - record_.work.data());
    played_.work.push_back({index, begin, begin + seconds});
  }

  void Wait(const Work& work) {
    const auto it = events_.find(work.event);
    if (it == events_.end()) return;  // of an earlier step
    double& now = now_[work.stream];
    if (it->second <= now) return;
    if (work.stream == 0) Count(&Busy::communication, it->second - now);
    now = it->second;
  }

  void EndAction() {
    if (action_.letter != 0) {
      played_.actions.push_back({action_, now_[0] - action_begin_, in_action_});
    }
    in_action_ = {};
    action_begin_ = now_[0];
  }

  const WorkRecord& record_;
  const parallel::Mesh& mesh_;
  const Hardware& hardware_;
  const PlayOptions& options_;
  std::vector<double> now_;  // when each stream is done with what it has
  double host_ = 0;
  absl::flat_hash_map<int64_t, double> events_;
  ActionMark action_{};
  double action_begin_ = 0;
  Busy in_action_{}, step_{};
  double collectives_ = 0, flops_ = 0;
  Played played_;
};

}  // namespace

Busy& Busy::operator+=(const Busy& other) {
  products += other.products;
  attention += other.attention;
  other_ops += other.other_ops;
  communication += other.communication;
  gaps += other.gaps;
  return *this;
}

Busy Busy::operator*(double factor) const {
  return {products * factor, attention * factor, other_ops * factor,
          communication * factor, gaps * factor};
}

double SecondsAlone(const WorkRecord& record, const Work& work,
                    const parallel::Mesh& mesh, const Hardware& hardware,
                    const PlayOptions& options) {
  const std::string& name = record.name(work);
  if (work.kind == Work::Kind::kOp) {
    return OpSeconds(name, work.op, hardware, options.products, options.unfused,
                     work.groups);
  }
  const std::string& group = record.group(work);
  if (group == "pipeline") return 0;
  double bytes = work.collective.bytes;
  if (name == "exchange") bytes /= 2;  // one half is sent, one received
  return CollectiveSeconds(
      name, bytes, PlaceOf(group, work.collective.group_size, mesh, hardware),
      hardware, /*staged=*/work.stream == 0);
}

Played Play(const WorkRecord& record, const parallel::Mesh& mesh,
            const Hardware& hardware, const PlayOptions& options) {
  return Player(record, mesh, hardware, options).Run();
}

}  // namespace eisbach::plan
