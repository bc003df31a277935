#include "plan/expert_work.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/status_macros.h"
#include "parallel/pipeline/action.h"
#include "plan/mlp_roles.h"

namespace eisbach::plan {
namespace {

using parallel::ActionKind;

class Writer {
 public:
  Writer(const WorkRecord& record, std::vector<MlpRole> roles,
         const train::EngineConfig& dense, const parallel::Mesh& mesh,
         const Experts& experts)
      : record_(record),
        roles_(std::move(roles)),
        dense_(dense),
        mesh_(mesh),
        experts_(experts),
        tensor_(mesh.size(Axis::kTensor)),
        size_(static_cast<double>(SizeOf(dense.update.compute_dtype))),
        hidden_(dense.model.hidden),
        tokens_(static_cast<double>(dense.Tokens(mesh).samples *
                                    dense.Tokens(mesh).positions) /
                tensor_),
        copies_(tokens_ * static_cast<double>(experts.per_token)),
        weights_(WeightsOf(dense, experts, tensor_)),
        same_(RanksAlike(mesh, experts)) {
    written_.names = record.names;
    written_.streams = record.streams;
  }

  absl::StatusOr<WorkRecord> Write() {
    EISBACH_RETURN_IF_ERROR(Count());
    written_.work.reserve(record_.work.size() * 2);
    bool in_action = false;
    for (size_t i = 0; i < record_.work.size(); ++i) {
      const Work& work = record_.work[i];
      if (work.kind == Work::Kind::kAction) {
        in_action = work.action.letter != 0;
      }
      if (work.kind == Work::Kind::kStepEnd) SumAlone();
      if (roles_[i] == MlpRole::kExchange) {
        if (experts_.shared_hidden > 0) Add(work);
      } else if (roles_[i] != MlpRole::kOther) {
        Product(work, roles_[i]);
      } else if (work.kind == Work::Kind::kCollective &&
                 absl::StartsWith(record_.group(work), "data")) {
        Divided(work);
      } else if (work.kind == Work::Kind::kOp && !in_action) {
        Work once = work;
        once.op.flops *= updated_;
        once.op.bytes_read *= updated_;
        once.op.bytes_written *= updated_;
        Add(once);
      } else {
        Add(work);
      }
    }
    EISBACH_RETURN_IF_ERROR(Memory());
    return std::move(written_);
  }

 private:
  // Layers, and whether each of their products was found.
  absl::Status Count() {
    std::map<MlpRole, int64_t> counts;
    ActionMark now;
    bool first = true;
    for (size_t i = 0; i < record_.work.size(); ++i) {
      const Work& work = record_.work[i];
      if (work.kind == Work::Kind::kStepEnd) first = false;
      if (work.kind == Work::Kind::kAction) now = work.action;
      const bool forward = now.letter == Letter(ActionKind::kForward);
      Chunk& chunk = chunks_[now.chunk];
      if (work.kind == Work::Kind::kAction && forward) ++chunk.forwards;
      ++counts[roles_[i]];
      if (roles_[i] != MlpRole::kUp) continue;
      ++(forward ? chunk.layers : chunk.again);
      if (forward && first && now.micro_batch == 0) ++layers_;
    }
    if (layers_ == 0 || counts[MlpRole::kUp] != counts[MlpRole::kDown] ||
        counts[MlpRole::kDownInput] != counts[MlpRole::kUpInput] ||
        counts[MlpRole::kDownInput] != counts[MlpRole::kDownWeight] ||
        counts[MlpRole::kUpInput] != counts[MlpRole::kUpWeight]) {
      return absl::InternalError(absl::StrCat(
          "experts: of the products in their place there are ",
          counts[MlpRole::kUp], " and ", counts[MlpRole::kDown], " forward, ",
          counts[MlpRole::kDownInput], ", ", counts[MlpRole::kUpInput], ", ",
          counts[MlpRole::kDownWeight], " and ", counts[MlpRole::kUpWeight],
          " backward"));
    }
    const auto layers = static_cast<double>(layers_);
    const auto all = static_cast<double>(record_.parameters);
    dense_share_ = 1 + layers * (weights_.dense - weights_.recorded) / all;
    expert_share_ = layers * weights_.experts / all;
    const Parts parts = PartsOf(dense_, mesh_, experts_, 1);
    updated_ = dense_share_ + expert_share_ * parts.dense / parts.experts;
    written_.parameters = std::llround((dense_share_ + expert_share_) * all);
    return absl::OkStatus();
  }

  void Add(const Work& work) { written_.work.push_back(work); }

  uint16_t Name(absl::string_view name) {
    std::vector<std::string>& names = written_.names;
    const auto it = std::find(names.begin(), names.end(), name);
    const auto number = static_cast<uint16_t>(it - names.begin());
    if (it == names.end()) names.emplace_back(name);
    return number;
  }

  void Move(absl::string_view name, double read, double written) {
    Add({.kind = Work::Kind::kOp,
         .name = Name(name),
         .op = {.bytes_read = read,
                .bytes_written = written,
                .dtype = dense_.update.compute_dtype}});
  }

  // [rows, inner] x [inner, columns].
  void Multiply(double rows, double inner, double columns, DType dtype) {
    const auto size = static_cast<double>(SizeOf(dtype));
    Add({.kind = Work::Kind::kOp,
         .name = Name("matmul"),
         .op = {.flops = 2 * rows * inner * columns,
                .bytes_read = (rows * inner + inner * columns) * size,
                .bytes_written = rows * columns * size,
                .rows = static_cast<int64_t>(rows),
                .columns = static_cast<int64_t>(columns),
                .inner = static_cast<int64_t>(inner),
                .dtype = dtype}});
  }

  double Bytes(double rows) const {
    return rows * static_cast<double>(hidden_) * size_;
  }

  void Exchange() {
    if (experts_.ranks == 1) return;
    Add({.kind = Work::Kind::kCollective,
         .name = Name("all_to_all"),
         .group = Name("experts"),
         .collective = {.bytes = Bytes(copies_),
                        .group_size = experts_.ranks}});
  }
  // Between the order of ranks and that of experts.
  void Order() {
    if (experts_.ranks == 1 || experts_.local() == 1) return;
    Move("permute", Bytes(copies_), Bytes(copies_));
  }

  // Tokens to their experts, or gradients of what those gave.
  void ToExperts() {
    Move("permute", Bytes(tokens_), Bytes(copies_));
    Exchange();
    Order();
  }
  void FromExperts() {
    Order();
    Exchange();
    Move("unpermute", Bytes(copies_), Bytes(tokens_));
  }
  void Route() {
    const auto hidden = static_cast<double>(hidden_);
    const auto count = static_cast<double>(experts_.count);
    Multiply(tokens_, hidden, count, DType::kF32);
    // A weight and an expert's number for each.
    Move("top_k", 4 * tokens_ * count, 8 * copies_);
  }
  void RouteBackward() {
    const auto hidden = static_cast<double>(hidden_);
    const auto count = static_cast<double>(experts_.count);
    Multiply(tokens_, count, hidden, DType::kF32);
    Multiply(count, tokens_, hidden, DType::kF32);
  }

  void Product(const Work& work, MlpRole role) {
    const bool routed = experts_.routed();
    if (routed && role == MlpRole::kUp) Route();
    if (routed && (role == MlpRole::kUp || role == MlpRole::kDownInput))
      ToExperts();
    if (experts_.shared_hidden > 0) {
      Part(work, role,
           {.tokens = tokens_ * tensor_,
            .width = static_cast<double>(experts_.shared_hidden) / tensor_});
    }
    Part(work, role,
         {.tokens = copies_,
          .width = static_cast<double>(experts_.hidden),
          .groups = experts_.local()});
    if (routed && (role == MlpRole::kDown || role == MlpRole::kUpInput)) {
      FromExperts();
    }
    if (routed && role == MlpRole::kUpInput) RouteBackward();
  }

  // MLPs side by side, each of the same width for as many tokens.
  struct Mlps {
    double tokens;  // of all
    double width;
    int64_t groups = 1;
  };

  void Part(const Work& work, MlpRole role, const Mlps& mlps) {
    const bool up = role == MlpRole::kUp || role == MlpRole::kUpAgain ||
                    role == MlpRole::kUpInput || role == MlpRole::kUpWeight;
    const double width =
        up && dense_.model.architecture.gated() ? 2 * mlps.width : mlps.width;
    const auto hidden = static_cast<double>(hidden_);
    const auto groups = static_cast<double>(mlps.groups);
    const auto tokens = static_cast<int64_t>(std::ceil(mlps.tokens / groups));
    const double weights = groups * hidden * width;
    Work part = work;
    part.groups = mlps.groups;
    if (mlps.groups > 1) part.name = Name("grouped_matmul");
    OpCost& cost = part.op;
    cost.flops = 2 * mlps.tokens * hidden * width;
    if (role == MlpRole::kDownWeight || role == MlpRole::kUpWeight) {
      const bool adds = work.op.bytes_read > OperandBytes(work.op);
      cost.inner = tokens;
      (up ? cost.rows : cost.columns) = static_cast<int64_t>(width);
      cost.bytes_read =
          mlps.tokens * (hidden + width) * size_ + (adds ? 4 * weights : 0);
      cost.bytes_written = 4 * weights;
      return Add(part);
    }
    cost.rows = tokens;
    const bool widens = role != MlpRole::kDown && role != MlpRole::kUpInput;
    (widens ? cost.columns : cost.inner) = static_cast<int64_t>(width);
    cost.bytes_read =
        (mlps.tokens * (widens ? hidden : width) + weights) * size_;
    cost.bytes_written = mlps.tokens * (widens ? width : hidden) * size_;
    Add(part);
  }

  double OperandBytes(const OpCost& cost) const {
    return static_cast<double>(cost.inner) *
           static_cast<double>(cost.rows + cost.columns) * size_;
  }

  // Of ranks that see other samples: for what is not experts, then those that
  // have the same.
  void Divided(const Work& work) {
    Work part = work;
    part.collective.bytes = work.collective.bytes * dense_share_;
    const bool alike = work.collective.group_size == same_ &&
                       experts_.ranks == tensor_;  // the same ranks
    if (alike) part.collective.bytes += work.collective.bytes * expert_share_;
    Add(part);
    if (same_ == 1 || alike) return;
    part.group = Name("expert data");
    part.collective = {work.collective.bytes * expert_share_, same_};
    Add(part);
  }

  // Where no ranks see other samples, tensor ranks may have the same experts.
  void SumAlone() {
    if (same_ == 1 ||
        mesh_.size(Axis::kData) * mesh_.size(Axis::kContext) > 1) {
      return;
    }
    Add({.kind = Work::Kind::kCollective,
         .name = Name("all_reduce"),
         .group = Name("expert data"),
         .collective = {4 * static_cast<double>(layers_) * weights_.experts,
                        same_}});
  }

  absl::Status Memory() {
    EISBACH_ASSIGN_OR_RETURN(
        const RankMemory state,
        WithExperts(RankMemory{}, dense_, mesh_, experts_, layers_));
    const bool routed = experts_.routed();
    const double copies = routed ? Bytes(copies_) : 0;
    const double wider =
        std::max(0.0, weights_.experts + weights_.dense - weights_.recorded);
    const int zero = dense_.update.zero.zero;
    double now = static_cast<double>(state.peak());
    for (ActionMemory entry : record_.memory) {
      const char letter = entry.action.letter;
      const bool forward = letter == Letter(ActionKind::kForward);
      const bool halves = letter == Letter(ActionKind::kBackwardInput);
      const bool weights = letter == Letter(ActionKind::kBackwardWeight);
      const bool whole = letter == Letter(ActionKind::kBackward);
      const Chunk& chunk = chunks_[entry.action.chunk];
      const double keeps = chunk.Kept() * copies;
      double most = now;
      if (forward) most += keeps;
      if (forward || halves || whole) {
        most += copies * (experts_.ranks > 1 ? 2 : 1);
        if (!forward && chunk.again > 0) most += copies;
        if (zero == 3) most += wider * size_;
      }
      if (zero >= 2 && !forward && letter != 0) most += 4 * wider;
      entry.before += std::llround(now);
      entry.most += std::llround(most);
      if (forward) now += keeps;
      if (whole || weights) now -= keeps;
      entry.after += std::llround(now);
      written_.memory.push_back(entry);
    }
    return absl::OkStatus();
  }

  // What is found of a chunk's layers in the record.
  struct Chunk {
    double forwards = 0;  // actions
    double layers = 0;    // of all of these
    double again = 0;     // in backward, from the dispatch on

    // Layers of which backward needs what forward had.
    double Kept() const {
      return forwards > 0 ? (layers - again) / forwards : 0;
    }
  };

  const WorkRecord& record_;
  const std::vector<MlpRole> roles_;
  const train::EngineConfig& dense_;
  const parallel::Mesh& mesh_;
  const Experts& experts_;
  const int tensor_;
  const double size_;  // of a number in the compute type
  const int64_t hidden_;
  const double tokens_;  // of this rank, between projections
  const double copies_;  // of these
  const ExpertWeights weights_;
  const int same_;  // ranks that have the same experts
  int64_t layers_ = 0;
  std::map<int, Chunk> chunks_;
  // Of the weights that were recorded, as many as there are; updated: by this
  // rank.
  double dense_share_ = 1, expert_share_ = 0, updated_ = 1;
  WorkRecord written_;
};

}  // namespace

absl::StatusOr<WorkRecord> WithExperts(const WorkRecord& record,
                                       const train::EngineConfig& dense,
                                       const parallel::Mesh& mesh,
                                       const Experts& experts) {
  EISBACH_ASSIGN_OR_RETURN(
      const bool divided,
      parallel::DividesTokens(dense.sequence, dense.Tokens(mesh)));
  if (mesh.size(Axis::kTensor) > 1 && !divided) {
    return absl::InvalidArgumentError(absl::StrCat(
        "experts=", experts.count, " with tensor=", mesh.size(Axis::kTensor),
        " (parallel.tensor): each rank sends the tokens that it has, but "
        "tensor ranks do not divide them (parallel.sequence); nearest that "
        "works: parallel.tensor=1"));
  }
  return Writer(record, RolesOf(record, dense, mesh), dense, mesh, experts)
      .Write();
}

}  // namespace eisbach::plan
