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

enum Uid : int64_t { kQ = 1, kK, kV, kOut, kLse, kDout, kDq, kDk, kDv };

// By value: its accessors are not const.
absl::Status FromCudnn(fe::error_t error, const AttentionKey& key,
                       absl::string_view step) {
  if (error.is_good()) return absl::OkStatus();
  const std::string text =
      absl::StrCat("cuDNN ", CudnnVersion(), ": ", error.get_message(), " (",
                   step, ", ", key.ToString(), ")");
  return error.get_code() == fe::error_code_t::GRAPH_NOT_SUPPORTED
             ? absl::UnimplementedError(text)
             : absl::InternalError(text);
}

// Heads of a tensor [B, T, row] as cuDNN sees them, [B, heads, T, D].
Attributes Heads(const AttentionKey& key, Uid uid, const char* name,
                 int64_t heads, int64_t row) {
  return Attributes()
      .set_name(name)
      .set_uid(uid)
      .set_dim({key.batch, heads, key.length, key.head_dim})
      .set_stride({key.length * row, key.head_dim, row, 1});
}

Attributes Statistics(const AttentionKey& key) {
  return Attributes()
      .set_name("lse")
      .set_uid(kLse)
      .set_data_type(fe::DataType_t::FLOAT)
      .set_dim({key.batch, key.heads, key.length, 1})
      .set_stride({key.heads * key.length, key.length, 1, 1});
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
      .set_attn_scale(
          static_cast<float>(1 / std::sqrt(static_cast<double>(key.head_dim))))
      .set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT)
      .set_diagonal_band_right_bound(0);
  return attributes;
}

// The graph of a shape for an architecture, no device needed.
void BuildGraph(const AttentionKey& key, int architecture,
                fe::graph::Graph& graph) {
  graph.set_sm_version(architecture)
      .set_io_data_type(key.dtype == DType::kBF16 ? fe::DataType_t::BFLOAT16
                                                  : fe::DataType_t::HALF)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  const int64_t packed = key.packed_width(), dense = key.heads * key.head_dim;
  const TensorOf q = graph.tensor(Heads(key, kQ, "q", key.heads, packed));
  const TensorOf k = graph.tensor(Heads(key, kK, "k", key.kv_heads, packed));
  const TensorOf v = graph.tensor(Heads(key, kV, "v", key.kv_heads, packed));
  const Attributes out = Heads(key, kOut, "out", key.heads, dense);
  if (key.pass == AttentionPass::kForward) {
    const auto [o, lse] =
        graph.sdpa(q, k, v,
                   Causal(key, fe::graph::SDPA_attributes()
                                   .set_name("attention_forward")
                                   .set_generate_stats(true)));
    Output(o, out);
    Output(lse, Statistics(key));
    lse->set_data_type(fe::DataType_t::FLOAT);
    return;
  }
  const auto [dq, dk, dv] = graph.sdpa_backward(
      q, k, v, graph.tensor(out),
      graph.tensor(Heads(key, kDout, "dout", key.heads, dense)),
      graph.tensor(Statistics(key)),
      Causal(key, fe::graph::SDPA_backward_attributes()
                      .set_name("attention_backward")
                      .set_deterministic_algorithm(true)));
  Output(dq, Heads(key, kDq, "dq", key.heads, packed));
  Output(dk, Heads(key, kDk, "dk", key.kv_heads, packed));
  Output(dv, Heads(key, kDv, "dv", key.kv_heads, packed));
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
  EISBACH_RETURN_IF_ERROR(check(graph.check_support(), "support"));
  return check(graph.build_plans(), "compile");
}

}  // namespace

struct CudnnAttentionPlan::Compiled {
  AttentionKey key;
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
  if (!key.even) return refuse("query heads must share key/value heads evenly");
  if (key.batch == 0 || key.length == 0) return refuse("there are no elements");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<CudnnAttentionPlan>> CudnnAttentionPlan::Make(
    const AttentionKey& key, const PlanTarget& target) {
  EISBACH_RETURN_IF_ERROR(Claims(key));
  auto compiled = std::make_unique<Compiled>();
  compiled->key = key;
  BuildGraph(key, target.architecture, compiled->graph);
  EISBACH_RETURN_IF_ERROR(Plan(key, target, compiled->graph));
  EISBACH_RETURN_IF_ERROR(FromCudnn(
      compiled->graph.get_plan_name(compiled->engine), key, "engine"));
  EISBACH_RETURN_IF_ERROR(
      FromCudnn(compiled->graph.get_workspace_size(compiled->workspace), key,
                "workspace"));
  return std::unique_ptr<CudnnAttentionPlan>(
      new CudnnAttentionPlan(std::move(compiled)));
}

const std::string& CudnnAttentionPlan::engine() const {
  return compiled_->engine;
}
size_t CudnnAttentionPlan::workspace_bytes() const {
  return static_cast<size_t>(compiled_->workspace);
}

absl::Status CudnnAttentionPlan::Run(cudnnContext* handle,
                                     const AttentionPointers& p,
                                     void* workspace) const {
  const AttentionKey& key = compiled_->key;
  // Both dtypes take two bytes.
  const int64_t keys = key.heads * key.head_dim * 2;
  const int64_t values = keys + key.kv_heads * key.head_dim * 2;
  const auto at = [](void* packed, int64_t bytes) -> void* {
    return static_cast<char*>(packed) + bytes;
  };
  std::unordered_map<int64_t, void*> pack = {{kQ, p.qkv},
                                             {kK, at(p.qkv, keys)},
                                             {kV, at(p.qkv, values)},
                                             {kOut, p.out},
                                             {kLse, p.lse}};
  if (key.pass == AttentionPass::kBackward) {
    pack.insert({{kDout, p.dout},
                 {kDq, p.dqkv},
                 {kDk, at(p.dqkv, keys)},
                 {kDv, at(p.dqkv, values)}});
  }
  return FromCudnn(compiled_->graph.execute(handle, pack, workspace), key,
                   "execute");
}

int64_t SequencesAtOnce(int64_t batch, size_t bytes, size_t limit) {
  if (bytes <= limit) return batch;
  const size_t each = bytes / batch;
  for (int64_t part = batch / 2; part > 1; --part) {
    if (batch % part == 0 && part * each <= limit) return part;
  }
  return 1;
}

std::string CudnnVersion() {
  const size_t version = cudnnGetVersion();
  return absl::StrCat(version / 10000, ".", version / 100 % 100, ".",
                      version % 100);
}

}  // namespace eisbach::cuda
