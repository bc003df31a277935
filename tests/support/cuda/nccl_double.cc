// A double of the part of NCCL that the backend calls, over MPI, for device
// memory that is host memory. Collectives are work in streams; communicators
// that do not block say "in progress" and put a call on its stream only after
// they have been asked for a while, as NCCL may. The declarations are
// NVIDIA's.
#include <mpi.h>
#include <nccl.h>
#include <nccl_device/host.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "support/cuda/graph.h"
#include "support/cuda/nccl_member.h"
#include "support/cuda/stream_types.h"
#include "support/cuda/streams.h"

namespace {

using namespace eisbach::doubles;
using Guard = std::lock_guard<std::recursive_mutex>;

struct Issued {
  std::shared_ptr<Member> member;
  cudaStream_t stream;
  NcclCall call;
};
thread_local int depth = 0;
thread_local std::vector<Issued> group;

std::map<void*, size_t>& Segments() {
  static auto* const segments = new std::map<void*, size_t>;
  return *segments;
}
std::map<void*, int>& Registrations() {  // how many a segment has
  static auto* const registrations = new std::map<void*, int>;
  return *registrations;
}

void PutOnStreams(Member& member) {
  for (auto& [stream, make] : member.launching) {
    const std::shared_ptr<Graph> graph = stream->capture;
    if (graph != nullptr && member.capture.lock() == graph) {
      stream->tail.push_back(member.node);
    }
    if (EnqueueMade(stream, std::move(make)) != cudaSuccess) {
      Fail(member, ncclUnhandledCudaError, "the stream takes no work");
    }
    if (graph == nullptr) continue;
    member.capture = graph;
    member.node = graph->nodes.size() - 1;
  }
  member.launching.clear();
}

ncclResult_t Flush() {
  std::vector<Issued> all;
  all.swap(group);
  ncclResult_t result = ncclSuccess;
  while (!all.empty()) {
    const std::shared_ptr<Member> member = all.front().member;
    const cudaStream_t stream = all.front().stream;
    std::vector<NcclCall> calls;
    std::vector<Issued> rest;
    for (Issued& one : all) {
      const bool here = one.member == member && one.stream == stream;
      here ? calls.push_back(one.call) : rest.push_back(std::move(one));
    }
    all = std::move(rest);
    if (stream == nullptr) return ncclInvalidArgument;
    const bool fails = FaultIsHere();
    if (fails && Planted().kind == "now") {
      member->error = "a fault was planted";
      return ncclSystemError;
    }
    const bool captured = Capturing(*stream);
    Piece piece(member, std::move(calls), fails);
    // What a graph holds is called when the graph is.
    if (!captured) piece.NoteOrder();
    member->launching.emplace_back(stream,
                                   Makes(member, std::move(piece), captured));
    static int turn = 0;
    if (member->blocking || ++turn % 2 == 0) {
      PutOnStreams(*member);
    } else {
      member->questions = 2;
      result = ncclInProgress;
    }
  }
  return result;
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Member> member;
};

namespace {

// Whether `comm` takes a call now.
ncclResult_t Check(ncclComm_t comm) {
  if (comm == nullptr) return ncclInvalidArgument;
  const Member& member = *comm->member;
  if (member.aborted || member.closing || !member.launching.empty() ||
      member.state == ncclInProgress) {
    std::fputs("nccl double: a call to a communicator that is not ready\n",
               stderr);
    return ncclInvalidUsage;
  }
  return member.state;
}

ncclResult_t Issue(ncclComm_t comm, cudaStream_t stream, NcclCall call,
                   size_t count) {
  Guard lock(Lock());
  if (const ncclResult_t result = Check(comm)) return result;
  Member& member = *comm->member;
  const bool reduces =
      call.kind == Kind::kAllReduce || call.kind == Kind::kReduceScatter;
  const bool fits = SizeOf(call.type) > 0 && call.op <= ncclMin &&
                    call.op != ncclProd && call.peer < member.size &&
                    (!reduces || count * SizeOf(call.type) < INT_MAX);
  const bool on_device =
      count == 0 || ((call.in == nullptr || IsDeviceMemory(call.in)) &&
                     (call.out == nullptr || IsDeviceMemory(call.out)));
  if (!fits || !on_device) {
    member.error = fits ? "a pointer is not of device memory"
                        : "an argument is out of range";
    return ncclInvalidArgument;
  }
  for (const int device : {DeviceOf(call.in), DeviceOf(call.out),
                           stream == nullptr ? -1 : stream->device}) {
    if (device >= 0 && device != member.device) {
      member.error = "memory or a stream of another GPU than its own";
      return ncclInvalidArgument;
    }
  }
  call.bytes = count * SizeOf(call.type);
  ++counters().collectives;
  group.push_back({comm->member, stream, call});
  return depth > 0 ? ncclSuccess : Flush();
}

// Whether another rank of this host has chosen the same GPU. Tests share GPUs
// on purpose, by EISBACH_GPU_SHARING. Collective over the job.
bool IsTaken(int device) {
  const char* sharing = std::getenv("EISBACH_GPU_SHARING");
  if (sharing != nullptr && *sharing == '1') return false;
  MPI_Comm host = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
                      &host);
  int size = 0;
  MPI_Comm_size(host, &size);
  std::vector<int> devices(size);
  MPI_Allgather(&device, 1, MPI_INT, devices.data(), 1, MPI_INT, host);
  MPI_Comm_free(&host);
  return std::count(devices.begin(), devices.end(), device) > 1;
}

ncclResult_t CheckConfig(const ncclConfig_t* config) {
  return config == nullptr || (config->magic == NCCL_API_MAGIC &&
                               config->size == sizeof(ncclConfig_t))
             ? ncclSuccess
             : ncclInvalidArgument;
}

// Makes `made` from MPI_Comm_split of `from`, whose other members may come
// late; `done` is called with the lock.
ncclResult_t Form(MPI_Comm from, int color, int key, bool blocking,
                  std::shared_ptr<Member> made, std::function<void()> done) {
  made->blocking = blocking;
  made->device = CurrentDevice();
  const auto form = [=] {
    MPI_Comm comm = MPI_COMM_NULL;
    MPI_Comm_split(from, color, key, &comm);
    const uint64_t number = comm == MPI_COMM_NULL ? 0 : NumberOf(comm);
    Guard lock(Lock());
    if (comm != MPI_COMM_NULL) {
      made->number = number;
      MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
      MPI_Comm_rank(comm, &made->rank);
      MPI_Comm_size(comm, &made->size);
    }
    made->mpi = comm;
    made->state = ncclSuccess;
    done();
  };
  if (blocking) {
    form();
    return ncclSuccess;
  }
  std::thread(form).detach();
  return ncclInProgress;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
    default:
      return "error of NCCL's double";
  }
}
const char* ncclGetLastError(ncclComm_t comm) {
  return comm == nullptr ? "" : comm->member->error.c_str();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::memset(id, 0, sizeof(*id));
  std::snprintf(id->internal, sizeof(id->internal), "double of rank %d", rank);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankScalable(ncclComm_t* comm, int size, int rank,
                                      int ids, ncclUniqueId* id,
                                      ncclConfig_t* config) {
  if (const ncclResult_t result = CheckConfig(config)) return result;
  int job = 0;
  MPI_Comm_size(MPI_COMM_WORLD, &job);
  if (size != job || ids < 1 ||
      std::strncmp(id[0].internal, "double of rank 0", 16) != 0) {
    return ncclInvalidArgument;
  }
  if (IsTaken(CurrentDevice())) {
    std::fprintf(stderr, "nccl double: two ranks of a host use GPU %d\n",
                 CurrentDevice());
    return ncclInvalidUsage;
  }
  *comm = new ncclComm{std::make_shared<Member>()};
  return Form(MPI_COMM_WORLD, 0, rank, config == nullptr || config->blocking,
              (*comm)->member, [] {});
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id,
                                    int rank, ncclConfig_t* config) {
  return ncclCommInitRankScalable(comm, size, rank, 1, &id, config);
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key,
                           ncclComm_t* made, ncclConfig_t* config) {
  Guard lock(Lock());
  if (const ncclResult_t result = Check(comm)) return result;
  if (const ncclResult_t result = CheckConfig(config)) return result;
  const std::shared_ptr<Member> parent = comm->member;
  parent->state = ncclInProgress;
  *made = nullptr;
  auto child = std::make_shared<Member>();
  const bool out = color == NCCL_SPLIT_NOCOLOR;
  return Form(parent->mpi, out ? MPI_UNDEFINED : color, key,
              config == nullptr ? parent->blocking : config->blocking != 0,
              child, [=] {
                if (!out) *made = new ncclComm{child};
                parent->state = ncclSuccess;
              });
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  Guard lock(Lock());
  if (const ncclResult_t result = Check(comm)) return result;
  comm->member->closing = true;
  comm->member->state = ncclInProgress;
  return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  Guard lock(Lock());
  Member& member = *comm->member;
  if (member.captured > 0) {
    std::fputs("nccl double: a communicator ends while a graph calls it\n",
               stderr);
    std::_Exit(68);  // NCCL waits for ever
  }
  if (!member.closing || member.finished != member.issued) {
    std::fputs("nccl double: destroyed before it was finalised\n", stderr);
    return ncclInvalidUsage;
  }
  MPI_Comm_free(&member.mpi);
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  while (Planted().kind == "stuck") {
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  Guard lock(Lock());
  comm->member->aborted = true;
  comm->member->launching.clear();
  delete comm;
  return ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  {
    Guard lock(Lock());
    Member& member = *comm->member;
    if (member.questions > 0 && --member.questions == 0) PutOnStreams(member);
    if (member.closing && member.finished == member.issued) {
      member.state = ncclSuccess;
    }
    *error = member.questions > 0 ? ncclInProgress : member.state.load();
    if (*error != ncclInProgress) return ncclSuccess;
  }
  Advance();
  return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  *count = comm->member->size;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  *rank = comm->member->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommQueryProperties(ncclComm_t comm,
                                     ncclCommProperties_t* properties) {
  if (properties->magic != NCCL_API_MAGIC ||
      properties->size != sizeof(ncclCommProperties_t)) {
    return ncclInvalidArgument;
  }
  properties->rank = comm->member->rank;
  properties->nRanks = comm->member->size;
  const char* text = std::getenv("EISBACH_NCCL_DOUBLE_MULTIMEM");
  properties->multimemSupport = text != nullptr && *text == '1';
  properties->nLsaTeams = 1;
  return ncclSuccess;
}

ncclResult_t ncclMemAlloc(void** data, size_t bytes) {
  Guard lock(Lock());
  if (AllocateDevice(data, bytes) != cudaSuccess) return ncclUnhandledCudaError;
  Segments()[*data] = bytes;
  return ncclSuccess;
}
ncclResult_t ncclMemFree(void* data) {
  {
    Guard lock(Lock());
    if (Registrations()[data] > 0 || Segments().erase(data) == 0) {
      std::fputs("nccl double: freed memory is registered or not ours\n",
                 stderr);
      return ncclInvalidUsage;
    }
  }
  return FreeDevice(data) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}
ncclResult_t ncclCommRegister(const ncclComm_t comm, void* data, size_t bytes,
                              void** handle) {
  Guard lock(Lock());
  if (const ncclResult_t result = Check(comm)) return result;
  const auto segment = Segments().find(data);
  if (segment == Segments().end() || segment->second != bytes) {
    comm->member->error = "registers what is not of ncclMemAlloc";
    return ncclInvalidArgument;
  }
  ++Registrations()[data];
  *handle = data;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(const ncclComm_t, void* handle) {
  Guard lock(Lock());
  return --Registrations()[handle] < 0 ? ncclInvalidArgument : ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* in, void* out, size_t count,
                           ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream) {
  return Issue(
      comm, stream,
      {.kind = Kind::kAllReduce, .in = in, .out = out, .type = type, .op = op},
      count);
}
ncclResult_t ncclReduceScatter(const void* in, void* out, size_t count,
                               ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  return Issue(comm, stream,
               {.kind = Kind::kReduceScatter,
                .in = in,
                .out = out,
                .type = type,
                .op = op},
               count);
}
ncclResult_t ncclAllGather(const void* in, void* out, size_t count,
                           ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return Issue(comm, stream,
               {.kind = Kind::kAllGather, .in = in, .out = out, .type = type},
               count);
}
ncclResult_t ncclBroadcast(const void* in, void* out, size_t count,
                           ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream) {
  return Issue(comm, stream,
               {.kind = Kind::kBroadcast,
                .in = in,
                .out = out,
                .type = type,
                .peer = root},
               count);
}
ncclResult_t ncclSend(const void* in, size_t count, ncclDataType_t type,
                      int peer, ncclComm_t comm, cudaStream_t stream) {
  return Issue(comm, stream,
               {.kind = Kind::kSend, .in = in, .type = type, .peer = peer},
               count);
}
ncclResult_t ncclRecv(void* out, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  return Issue(comm, stream,
               {.kind = Kind::kReceive, .out = out, .type = type, .peer = peer},
               count);
}

ncclResult_t ncclGroupStart() {
  ++depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  Guard lock(Lock());
  if (depth == 0) return ncclInvalidUsage;
  return --depth > 0 ? ncclSuccess : Flush();
}

}  // extern "C"
