#include "plan/mlp_roles.h"

#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "parallel/pipeline/action.h"

namespace eisbach::plan {
namespace {

using parallel::ActionKind;

// [rows, inner] x [inner, columns].
bool HasSizes(const OpCost& cost, int64_t rows, int64_t inner,
              int64_t columns) {
  return cost.rows == rows && cost.inner == inner && cost.columns == columns;
}

class RoleReader {
 public:
  RoleReader(const WorkRecord& record, const train::EngineConfig& dense,
             const parallel::Mesh& mesh)
      : record_(record),
        tokens_(dense.Tokens(mesh).samples * dense.Tokens(mesh).positions),
        hidden_(dense.model.hidden),
        down_(dense.model.ffn_hidden / mesh.size(Axis::kTensor)),
        up_(dense.model.architecture.gated() ? 2 * down_ : down_),
        again_(dense.recompute == nn::Recompute::kSelective),
        roles_(record.work.size(), MlpRole::kOther) {}

  std::vector<MlpRole> Read() {
    // The compute stream's, and what tensor ranks gather beside it.
    std::vector<size_t> action;
    for (size_t i = 0; i <= record_.work.size(); ++i) {
      const bool ends = i == record_.work.size() ||
                        record_.work[i].kind == Work::Kind::kAction ||
                        record_.work[i].kind == Work::Kind::kStepEnd;
      if (ends) {
        Products(action);
        Exchanges(action);
        action.clear();
        if (i < record_.work.size()) letter_ = record_.work[i].action.letter;
      } else if (IsWork(i)) {
        action.push_back(i);
      }
    }
    return std::move(roles_);
  }

 private:
  bool IsWork(size_t i) const {
    const Work& work = record_.work[i];
    if (work.kind == Work::Kind::kOp) return work.stream == 0;
    return work.kind == Work::Kind::kCollective &&
           (work.stream == 0 || record_.group(work) == "tensor");
  }

  // Gradients of weights are sums in f32.
  static bool IsGradient(const OpCost& cost) {
    const double elements =
        static_cast<double>(cost.rows) * static_cast<double>(cost.columns);
    return cost.dtype == DType::kF32 || cost.bytes_written >= 4 * elements;
  }

  // Without a gate up has the sizes of down's input gradient, and down those of
  // up's: behind an activation comes down, and before it up.
  void Products(const std::vector<size_t>& action) {
    std::vector<size_t> wide;  // up, or down's input gradient, since the last
    bool backward = false;     // the last activation
    for (const size_t i : action) {
      const Work& work = record_.work[i];
      const OpCost& cost = work.op;
      if (work.kind != Work::Kind::kOp) continue;
      const std::string& name = record_.name(work);
      if (absl::EndsWith(name, "lu_forward")) backward = false;
      if (absl::EndsWith(name, "lu_backward")) backward = true;
      if (cost.inner == 0) continue;
      if (HasSizes(cost, hidden_, tokens_, down_) && IsGradient(cost) &&
          !(tokens_ == hidden_ && IsInput(cost, wide.size() < Inputs()))) {
        roles_[i] = MlpRole::kDownWeight;
      } else if (HasSizes(cost, up_, tokens_, hidden_) && IsGradient(cost) &&
                 !(tokens_ == up_ && IsInput(cost, !wide.empty()))) {
        roles_[i] = MlpRole::kUpWeight;
      } else if (HasSizes(cost, tokens_, hidden_, up_) ||
                 HasSizes(cost, tokens_, hidden_, down_)) {
        wide.push_back(i);
      } else if (HasSizes(cost, tokens_, down_, hidden_) ||
                 HasSizes(cost, tokens_, up_, hidden_)) {
        const bool input = up_ == down_ ? backward : cost.inner == up_;
        roles_[i] = input ? MlpRole::kUpInput : MlpRole::kDown;
        Name(wide, input);
      }
    }
    Name(wide, true);
  }

  // In f32, where tokens are as many as the numbers that a product sums, an
  // input's gradient has all that its weight's has. It comes first, in an
  // action that is no weight half: `awaited`.
  bool IsInput(const OpCost& cost, bool awaited) const {
    return cost.dtype == DType::kF32 && awaited &&
           letter_ != Letter(ActionKind::kBackwardWeight);
  }
  // Of the sizes of down's input gradient, before its weight's.
  size_t Inputs() const { return up_ == down_ && again_ ? 2 : 1; }

  void Name(std::vector<size_t>& wide, bool backward) {
    for (const size_t i : wide) {
      const bool first = i == wide.front();
      const bool up = up_ == down_ ? !backward || !first
                                   : record_.work[i].op.columns == up_;
      roles_[i] = !up        ? MlpRole::kDownInput
                  : backward ? MlpRole::kUpAgain
                             : MlpRole::kUp;
    }
    wide.clear();
  }

  void Exchanges(const std::vector<size_t>& action) {
    for (size_t n = 0; n < action.size(); ++n) {
      const Work& work = record_.work[action[n]];
      if (work.kind != Work::Kind::kCollective ||
          record_.group(work) != "tensor") {
        continue;
      }
      const bool gathers = record_.name(work) == "all_gather";
      const size_t beside = gathers ? n + 1 : n - 1;
      if (beside >= action.size()) continue;
      const MlpRole role = roles_[action[beside]];
      if (role != MlpRole::kOther && role != MlpRole::kExchange) {
        roles_[action[n]] = MlpRole::kExchange;
      }
    }
  }

  const WorkRecord& record_;
  const int64_t tokens_, hidden_, down_, up_;
  const bool again_;  // what down takes is computed once more
  char letter_ = 0;   // of the action
  std::vector<MlpRole> roles_;
};

}  // namespace

std::vector<MlpRole> RolesOf(const WorkRecord& record,
                             const train::EngineConfig& config,
                             const parallel::Mesh& mesh) {
  return RoleReader(record, config, mesh).Read();
}

}  // namespace eisbach::plan
