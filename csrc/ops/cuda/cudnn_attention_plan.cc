#include "ops/cuda/cudnn_attention_plan.h"

#include <cudnn_frontend.h>

#include <cmath>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/status_macros.h"

namespace eisbach::cuda {
namespace {

namespace fe = cudnn_frontend;
using Attributes = fe::graph::Tensor_attributes;
using TensorOf = std::shared_ptr<Attributes>;

constexpr absl::string_view kSupport = "support";

enum Uid : int64_t { kQ = 1, kK, kV, kOut, kLse, kDout, kDq, kDk, kDv };

// By value: its accessors are not const.
absl::Status FromCudnn(fe::error_t error, const AttentionKey& key,
                       absl::string_view step) {
  if (error.is_good()) return absl::OkStatus();
  const std::string text =
      absl::StrCat("cuDNN ", CudnnVersion(), ": ", error.get_message(), " (",
                   step, ", ", key.ToString(), ")");
  const fe::error_code_t code = error.get_code();
  // Its rules say no, its heuristics know no engine, or no engine that they
  // name takes the graph.
  const bool refused =
      code == fe::error_code_t::GRAPH_NOT_SUPPORTED ||
      code == fe::error_code_t::HEURISTIC_QUERY_FAILED ||
      (code == fe::error_code_t::GRAPH_EXECUTION_PLAN_CREATION_FAILED &&
       step == kSupport);
  return refused ? absl::UnimplementedError(text) : absl::InternalError(text);
}

// Heads of a part of a tensor [B, T, row] as cuDNN sees them, [B, heads, T, D].
Attributes Heads(const AttentionKey& key, const AttentionPart& part, Uid uid,
                 const char* name, int64_t heads, int64_t row) {
  return Attributes()
      .set_name(name)
      .set_uid(uid)
      .set_dim({part.sequences, heads, key.length, key.head_dim})
      .set_stride({key.length * row, key.head_dim, row, 1});
}

// A part has all heads of its sequences, or one sequence.
Attributes Statistics(const AttentionKey& key, const AttentionPart& part,
                      int64_t heads) {
  return Attributes()
      .set_name("lse")
      .set_uid(kLse)
      .set_data_type(fe::DataType_t::FLOAT)
      .set_dim({part.sequences, heads, key.length, 1})
      .set_stride({heads * key.length, key.length, 1, 1});
}

// An output takes the shape and strides of `like`.
void Output(const TensorOf& tensor, const Attributes& like) {
  tensor->set_output(true)
      .set_uid(like.get_uid())
      .set_dim(like.get_dim())
      .set_stride(like.get_stride());
}

template <class T>
T Causal(const AttentionKey& key, T attributes) {
  attributes
      .set_attn_scale(static_cast<float>(
          key.scale != 0 ? key.scale
                         : 1 / std::sqrt(static_cast<double>(key.head_dim))))
      .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
      .set_diagonal_band_right_bound(0);
  return attributes;
}

// The graph of a part for an architecture, no device needed.
void BuildGraph(const AttentionKey& key, const AttentionPart& part,
                int architecture, fe::graph::Graph& graph) {
  // Nodes copy it when they are made.
  graph.set_sm_version(architecture)
      .set_io_data_type(key.dtype == DType::kBF16 ? fe::DataType_t::BFLOAT16
                                                  : fe::DataType_t::HALF)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const int64_t packed = key.packed_width(), dense = key.heads * key.head_dim;
  const int64_t heads = part.kv_heads * (key.heads / key.kv_heads);
  const auto of = [&](Uid uid, const char* name, int64_t count, int64_t row) {
    return Heads(key, part, uid, name, count, row);
  };
  const TensorOf q = graph.tensor(of(kQ, "q", heads, packed));
  const TensorOf k = graph.tensor(of(kK, "k", part.kv_heads, packed));
  const TensorOf v = graph.tensor(of(kV, "v", part.kv_heads, packed));
  const Attributes out = of(kOut, "out", heads, dense);
  const Attributes statistics = Statistics(key, part, heads);
  if (key.pass == AttentionPass::kForward) {
    const auto [o, lse] =
        graph.sdpa(q, k, v,
                   Causal(key, fe::graph::SDPA_attributes()
                                   .set_name("attention_forward")
                                   .set_generate_stats(true)));
    Output(o, out);
    Output(lse, statistics);
    lse->set_data_type(fe::DataType_t::FLOAT);
    return;
  }
  const auto [dq, dk, dv] = graph.sdpa_backward(
      q, k, v, graph.tensor(out), graph.tensor(of(kDout, "dout", heads, dense)),
      graph.tensor(statistics),
      Causal(key, fe::graph::SDPA_backward_attributes()
                      .set_name("attention_backward")
                      .set_deterministic_algorithm(true)));
  Output(dq, of(kDq, "dq", heads, packed));
  Output(dk, of(kDk, "dk", part.kv_heads, packed));
  Output(dv, of(kDv, "dv", part.kv_heads, packed));
}

absl::Status Plan(const AttentionKey& key, const PlanTarget& target,
                  fe::graph::Graph& graph) {
  const auto check = [&](const fe::error_t& error, absl::string_view step) {
    return FromCudnn(error, key, step);
  };
  if (target.handle == nullptr) {
    std::vector<uint8_t> json(target.description.begin(),
                              target.description.end());
    json.push_back(0);
    auto properties = std::make_shared<fe::DeviceProperties>();
    EISBACH_RETURN_IF_ERROR(
        check(properties->deserialize(json), "device description"));
    graph.set_device_properties(std::move(properties));
  }
  EISBACH_RETURN_IF_ERROR(check(graph.validate(), "validate"));
  EISBACH_RETURN_IF_ERROR(
      check(graph.build_operation_graph(target.handle), "graph"));
  EISBACH_RETURN_IF_ERROR(
      check(graph.create_execution_plans(
                {fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}),
            "engines"));
  EISBACH_RETURN_IF_ERROR(check(graph.check_support(), kSupport));
  return check(graph.build_plans(), "compile");
}

}  // namespace

struct CudnnAttentionPlan::Compiled {
  absl::Status Run(cudnnHandle_t handle, const AttentionPointers& pointers,
                   int64_t sequence, int64_t kv_head, void* workspace) const;

  AttentionKey key;
  AttentionPart part;
  fe::graph::Graph graph;
  std::string engine;
  int64_t workspace = 0;
};

CudnnAttentionPlan::CudnnAttentionPlan(std::unique_ptr<Compiled> compiled)
    : compiled_(std::move(compiled)) {}
CudnnAttentionPlan::~CudnnAttentionPlan() = default;

absl::Status CudnnAttentionPlan::Claims(const AttentionKey& key) {
  const auto refuse = [&](absl::string_view why) {
    return absl::UnimplementedError(
        absl::StrCat("cuDNN is not asked: ", why, " (", key.ToString(), ")"));
  };
  if (key.dtype != DType::kBF16 && key.dtype != DType::kF16) {
    return refuse("it takes bf16 and f16");
  }
  if (key.head_dim % 8 != 0 || key.head_dim > 256) {
    return refuse("head_dim must be a multiple of 8 up to 256");
  }
  if (key.hides) return refuse("queries do not see all that is before them");
  if (key.cap != 0) return refuse("scores have a cap");
  if (!key.even) return refuse("query heads must share key/value heads evenly");
  if (key.batch == 0 || key.length == 0) return refuse("there are no elements");
  return absl::OkStatus();
}

auto CudnnAttentionPlan::Compile(const AttentionKey& key,
                                 const AttentionPart& part,
                                 const PlanTarget& target)
    -> absl::StatusOr<std::unique_ptr<Compiled>> {
  auto compiled = std::make_unique<Compiled>();
  compiled->key = key;
  compiled->part = part;
  fe::graph::Graph& graph = compiled->graph;
  BuildGraph(key, part, target.architecture, graph);
  EISBACH_RETURN_IF_ERROR(Plan(key, target, graph));
  EISBACH_RETURN_IF_ERROR(
      FromCudnn(graph.get_plan_name(compiled->engine), key, "engine"));
  EISBACH_RETURN_IF_ERROR(FromCudnn(
      graph.get_workspace_size(compiled->workspace), key, "workspace"));
  return compiled;
}

absl::StatusOr<std::unique_ptr<CudnnAttentionPlan>> CudnnAttentionPlan::Make(
    const AttentionKey& key, const PlanTarget& target) {
  EISBACH_RETURN_IF_ERROR(Claims(key));
  const AttentionPart whole = {key.batch, key.kv_heads};
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<Compiled> compiled,
                           Compile(key, whole, target));
  const AttentionPart part =
      PartWithin(key, compiled->workspace, kLargestWorkspace);
  if (part != whole) {
    EISBACH_ASSIGN_OR_RETURN(compiled, Compile(key, part, target));
  }
  return std::unique_ptr<CudnnAttentionPlan>(
      new CudnnAttentionPlan(std::move(compiled)));
}

const std::string& CudnnAttentionPlan::engine() const {
  return compiled_->engine;
}
const AttentionPart& CudnnAttentionPlan::part() const {
  return compiled_->part;
}
size_t CudnnAttentionPlan::workspace_bytes() const {
  return static_cast<size_t>(compiled_->workspace);
}

std::string CudnnAttentionPlan::Describe() const {
  const AttentionKey& key = compiled_->key;
  const AttentionPart& part = compiled_->part;
  const bool whole =
      part.sequences == key.batch && part.kv_heads == key.kv_heads;
  return absl::StrCat(
      "workspace ", workspace_bytes(), " bytes, ", engine(),
      whole ? ""
            : absl::StrCat(", ", part.sequences, " sequences and ",
                           part.kv_heads, " key/value heads at a time"));
}

absl::Status CudnnAttentionPlan::Compiled::Run(cudnnHandle_t handle,
                                               const AttentionPointers& p,
                                               int64_t sequence,
                                               int64_t kv_head,
                                               void* workspace_data) const {
  constexpr int64_t kBytes = 2;  // of either dtype
  const int64_t group = key.heads / key.kv_heads, head = kv_head * group;
  const int64_t row = sequence * key.length;
  const auto packed = [&](void* data, int64_t first_head) -> void* {
    return static_cast<char*>(data) +
           (row * key.packed_width() + first_head * key.head_dim) * kBytes;
  };
  const auto dense = [&](void* data) -> void* {
    return static_cast<char*>(data) +
           (row * key.heads + head) * key.head_dim * kBytes;
  };
  const int64_t k = key.heads + kv_head, v = k + key.kv_heads;
  std::unordered_map<int64_t, void*> pack = {
      {kQ, packed(p.qkv, head)},
      {kK, packed(p.qkv, k)},
      {kV, packed(p.qkv, v)},
      {kOut, dense(p.out)},
      {kLse, p.lse + (sequence * key.heads + head) * key.length}};
  if (key.pass == AttentionPass::kBackward) {
    pack.insert({{kDout, dense(p.dout)},
                 {kDq, packed(p.dqkv, head)},
                 {kDk, packed(p.dqkv, k)},
                 {kDv, packed(p.dqkv, v)}});
  }
  return FromCudnn(graph.execute(handle, pack, workspace_data), key, "execute");
}

absl::Status CudnnAttentionPlan::Run(cudnnContext* handle,
                                     const AttentionPointers& pointers,
                                     void* workspace) const {
  const AttentionKey& key = compiled_->key;
  const AttentionPart& part = compiled_->part;
  for (int64_t b = 0; b < key.batch; b += part.sequences) {
    for (int64_t kv = 0; kv < key.kv_heads; kv += part.kv_heads) {
      EISBACH_RETURN_IF_ERROR(
          compiled_->Run(handle, pointers, b, kv, workspace));
    }
  }
  return absl::OkStatus();
}

AttentionPart PartWithin(const AttentionKey& key, size_t bytes, size_t limit) {
  // The largest divisor of `count` that takes no more than the limit.
  const auto divide = [&](int64_t count, size_t each) {
    for (int64_t part = count; part > 1; --part) {
      if (count % part == 0 && part * each <= limit) return part;
    }
    return int64_t{1};
  };
  const size_t sequence = bytes / key.batch;
  const int64_t sequences =
      bytes <= limit ? key.batch : divide(key.batch, sequence);
  if (sequence <= limit) return {sequences, key.kv_heads};
  return {1, divide(key.kv_heads, sequence / key.kv_heads)};
}

std::string CudnnVersion() {
  const size_t version = cudnnGetVersion();
  return absl::StrCat(version / 10000, ".", version / 100 % 100, ".",
                      version % 100);
}

}  // namespace eisbach::cuda
