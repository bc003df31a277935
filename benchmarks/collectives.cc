#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "comm/world.h"
#include "core/log.h"
#include "core/status_macros.h"

// Collectives of the ranks of one host: ours on tensors in shared memory and
// on ordinary ones, and those of the MPI library. Run by collectives.py:
//
//   mpirun -n 2 collectives [LARGEST_BYTES [CALL]]
//
// All contenders take turns in every repetition; each rank writes its input
// anew before each turn. Prints one JSON object a line: the median over the
// repetitions of the slowest rank's seconds.
namespace eisbach::comm {
namespace {

// Calls shorter than this are timed in batches.
constexpr int64_t kBatchedBytes = 64 << 10;

struct Case {
  std::string call;
  DType dtype;
  int64_t bytes;  // of the whole: all inputs or outputs of a rank
};

struct Contender {
  std::string name;
  Tensor input;
  std::function<absl::Status()> run;
};

void SumBF16(void* in, void* inout, int* length, MPI_Datatype*) {
  const BFloat16* from = static_cast<const BFloat16*>(in);
  BFloat16* to = static_cast<BFloat16*>(inout);
  for (int i = 0; i < *length; ++i) {
    to[i] = BFloat16(static_cast<float>(to[i]) + static_cast<float>(from[i]));
  }
}

absl::Status Check(int code) {
  return code == MPI_SUCCESS ? absl::OkStatus()
                             : absl::UnknownError("the MPI call failed");
}

class Benchmark {
 public:
  explicit Benchmark(World& world) : world_(world) {
    MPI_Op_create(&SumBF16, /*commute=*/1, &sum_bf16_);
  }

  absl::Status Run(const Case& c) {
    EISBACH_ASSIGN_OR_RETURN(std::vector<Contender> contenders, Make(c));
    const int batch = c.bytes < kBatchedBytes ? 200 : 1;
    const int repetitions = c.bytes >= (8 << 20) ? 15 : 41;
    std::vector<std::vector<double>> seconds(contenders.size());
    for (int repetition = -2; repetition < repetitions; ++repetition) {
      for (size_t i = 0; i < contenders.size(); ++i) {
        EISBACH_ASSIGN_OR_RETURN(const double one, Time(contenders[i], batch));
        if (repetition >= 0) seconds[i].push_back(one);
      }
    }
    for (size_t i = 0; i < contenders.size() && world_.rank() == 0; ++i) {
      std::vector<double>& all = seconds[i];
      std::nth_element(all.begin(), all.begin() + all.size() / 2, all.end());
      std::printf(
          "{\"call\": \"%s\", \"dtype\": \"%s\", \"bytes\": %lld, "
          "\"contender\": \"%s\", \"seconds\": %.9f}\n",
          c.call.c_str(), std::string(Name(c.dtype)).c_str(),
          static_cast<long long>(c.bytes), contenders[i].name.c_str(),
          all[all.size() / 2]);
      std::fflush(stdout);
    }
    return absl::OkStatus();
  }

 private:
  // Seconds of one call on the slowest rank.
  absl::StatusOr<double> Time(const Contender& contender, int batch) {
    const int64_t bytes = static_cast<int64_t>(contender.input.bytes());
    std::memset(contender.input.raw(), 0, bytes);
    MPI_Barrier(MPI_COMM_WORLD);
    const int64_t begin = absl::GetCurrentTimeNanos();
    for (int i = 0; i < batch; ++i) {
      if (i > 0) std::memset(contender.input.raw(), 0, bytes);
      EISBACH_RETURN_IF_ERROR(contender.run());
    }
    double mine =
        static_cast<double>(absl::GetCurrentTimeNanos() - begin) * 1e-9 / batch;
    double slowest = 0;
    MPI_Allreduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return slowest;
  }

  absl::StatusOr<Tensor> Allocate(bool shared, int64_t bytes, DType dtype) {
    const Shape shape{bytes / static_cast<int64_t>(SizeOf(dtype))};
    Stream& stream = world_.device().compute_stream();
    return shared ? Tensor::SharedZeros(shape, dtype, stream)
                  : Tensor::Zeros(shape, dtype, stream);
  }

  absl::StatusOr<std::vector<Contender>> Make(const Case& c) {
    Communicator& all = world_.communicator();
    Stream& stream = world_.device().compute_stream();
    std::vector<Contender> contenders;
    for (const absl::string_view name : {"shared", "private", "mpi"}) {
      EISBACH_ASSIGN_OR_RETURN(const Tensor whole,
                               Allocate(name == "shared", c.bytes, c.dtype));
      const int64_t elements = whole.elements() / all.size();
      EISBACH_ASSIGN_OR_RETURN(
          Tensor piece, whole.Narrow(0, all.rank() * elements, elements));
      const bool gather = c.call == "all_gather";  // in place
      if (!gather) {
        EISBACH_ASSIGN_OR_RETURN(
            piece, Allocate(name == "shared", c.bytes / all.size(), c.dtype));
      }
      const Tensor in = gather ? piece : whole;
      const Tensor out = gather ? whole : piece;
      Contender contender{.name = std::string(name), .input = in};
      if (name != "mpi") {
        contender.run = [&all, &stream, in, out, call = c.call] {
          if (call == "all_reduce") {
            return all.AllReduce(in, ReduceOp::kSum, stream);
          }
          return call == "all_gather"
                     ? all.AllGather(in, out, stream)
                     : all.ReduceScatter(in, out, ReduceOp::kSum, stream);
        };
      } else {
        contender.run = [this, in, out, c] { return RunMpi(c, in, out); };
      }
      contenders.push_back(std::move(contender));
    }
    return contenders;
  }

  absl::Status RunMpi(const Case& c, const Tensor& in, const Tensor& out) {
    const bool f32 = c.dtype == DType::kF32;
    const MPI_Datatype type = f32 ? MPI_FLOAT : MPI_UINT16_T;
    const MPI_Op sum = f32 ? MPI_SUM : sum_bf16_;
    const int count = static_cast<int>(in.elements());
    if (c.call == "all_reduce") {
      return Check(MPI_Allreduce(MPI_IN_PLACE, in.raw(), count, type, sum,
                                 MPI_COMM_WORLD));
    }
    if (c.call == "all_gather") {
      return Check(MPI_Allgather(MPI_IN_PLACE, 0, type, out.raw(), count, type,
                                 MPI_COMM_WORLD));
    }
    return Check(MPI_Reduce_scatter_block(in.raw(), out.raw(),
                                          static_cast<int>(out.elements()),
                                          type, sum, MPI_COMM_WORLD));
  }

  World& world_;
  MPI_Op sum_bf16_ = MPI_OP_NULL;
};

absl::Status Run(int64_t largest, absl::string_view only) {
  EISBACH_ASSIGN_OR_RETURN(std::unique_ptr<World> world,
                           InitWorld(DeviceType::kCpu));
  if (world->communicator().transport() != "shm") {
    return absl::FailedPreconditionError(
        "start it with mpirun -n 2, on one host");
  }
  Benchmark benchmark(*world);
  for (const std::string call :
       {"all_reduce", "reduce_scatter", "all_gather"}) {
    if (!only.empty() && call != only) continue;
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (int64_t bytes = 256; bytes <= largest; bytes *= 4) {
        EISBACH_RETURN_IF_ERROR(benchmark.Run({call, dtype, bytes}));
      }
    }
  }
  return world->Finalize();
}

}  // namespace
}  // namespace eisbach::comm

int main(int argc, char** argv) {
  const int64_t largest = argc > 1 ? std::atoll(argv[1]) : 64 << 20;
  const absl::Status status =
      eisbach::comm::Run(largest, argc > 2 ? argv[2] : "");
  if (status.ok()) return 0;
  eisbach::LogLine(status.ToString());
  return 1;
}
