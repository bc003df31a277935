#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/device_type.h"
#include "bindings/variable.h"
#include "comm/communicator.h"
#include "comm/world.h"
#include "core/status_macros.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using comm::Communicator;
using comm::ReduceOp;
using comm::World;

// The job that this process is a rank of. A world that a launcher started stays
// until it is finalized: its end takes all ranks. Without one it goes with its
// last user.
struct Joined {
  DeviceType type;
  pid_t process;  // a fork of it has no part in the job
  std::weak_ptr<World> world;
  std::shared_ptr<World> kept;
};
// Never destroyed.
Joined& TheJob() {
  static Joined& joined = *new Joined;
  return joined;
}

std::shared_ptr<World> Init(const std::string& device,
                            const std::string& interface) {
  const DeviceType type = Unwrap(ParseDeviceType(device));
  Joined& job = TheJob();
  if (std::shared_ptr<World> world = job.world.lock()) {
    if (job.type == type) return world;
    if (job.kept != nullptr) {
      throw py::value_error(absl::StrCat(
          "init(device='", device, "'): the ranks of this process have joined ",
          "on ", Name(job.type), ", and do so once"));
    }
  }
  std::shared_ptr<World> world =
      WithoutGil([&] { return Unwrap(comm::InitWorld(type, interface)); });
  job = {type, getpid(), world, world->backend() == "mpi" ? world : nullptr};
  return world;
}

absl::Status Finalize(World& world) {
  EISBACH_RETURN_IF_ERROR(world.Finalize());
  Joined& job = TheJob();
  if (job.world.lock().get() == &world) job = Joined();
  return absl::OkStatus();
}

// Longer than ranks of one program end apart from one another.
constexpr absl::Duration kLeaving = absl::Seconds(10);

// A program that ends on one rank must not wait for the others where they are
// in a collective that it will not join.
void LeaveJob(int status, void*) {
  const std::shared_ptr<World> world = TheJob().kept;
  if (world == nullptr || TheJob().process != getpid()) return;
  if (status != 0 && world->size() > 1) world->Abort(status, "");
  const absl::Status left = world->FinalizeWithin(kLeaving);
  if (left.ok()) return;
  world->Abort(
      1, absl::StrCat(left.message(), ": it ended with status 0 and without ",
                      "world.finalize(), for which they may wait"));
}

// Python tells nobody with which status it ends (sys.exit), the C library does.
// Registered last, the handler runs before every static destructor.
void EndWithProcess() { on_exit(&LeaveJob, nullptr); }

void AbortJob(int code, const std::string& cause) {
  const auto world = TheJob().world.lock();
  if (world == nullptr || TheJob().process != getpid()) return;
  world->Abort(code, cause);
}

absl::StatusOr<std::string> BroadcastText(Communicator& group, std::string text,
                                          int root) {
  Device& device = group.device();
  Stream& stream = device.compute_stream();
  auto bytes = static_cast<int64_t>(text.size());
  EISBACH_ASSIGN_OR_RETURN(Tensor length,
                           Tensor::Empty(Shape{1}, DType::kI64, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(length.raw(), &bytes, sizeof(bytes), stream));
  EISBACH_RETURN_IF_ERROR(group.Broadcast(length, root, stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(&bytes, length.raw(), sizeof(bytes), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  if (bytes == 0) return std::string();
  text.resize(bytes);
  EISBACH_ASSIGN_OR_RETURN(Tensor content,
                           Tensor::Empty(Shape{bytes}, DType::kU8, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(content.raw(), text.data(), bytes, stream));
  EISBACH_RETURN_IF_ERROR(group.Broadcast(content, root, stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(text.data(), content.raw(), bytes, stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return text;
}

absl::StatusOr<int32_t> LargestOf(Communicator& group, int32_t value) {
  Device& device = group.device();
  Stream& stream = device.compute_stream();
  EISBACH_ASSIGN_OR_RETURN(Tensor all,
                           Tensor::Empty(Shape{1}, DType::kI32, device));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToDevice(all.raw(), &value, sizeof(value), stream));
  EISBACH_RETURN_IF_ERROR(group.AllReduce(all, ReduceOp::kMax, stream));
  EISBACH_RETURN_IF_ERROR(
      device.CopyToHost(&value, all.raw(), sizeof(value), stream));
  EISBACH_RETURN_IF_ERROR(stream.Synchronize());
  return value;
}

ReduceOp ParseOp(const std::string& name) {
  if (name == "sum") return ReduceOp::kSum;
  if (name == "max") return ReduceOp::kMax;
  if (name == "min") return ReduceOp::kMin;
  throw py::value_error("op=" + name + " is none of sum, max, min");
}

// Runs a collective on the compute stream and waits for it.
template <typename F>
void Collective(Communicator& group, F&& call) {
  WithoutGil([&] {
    Stream& stream = group.device().compute_stream();
    Unwrap(call(stream));
    Unwrap(stream.Synchronize());
  });
}

void BindCommunicator(CoreModule& m) {
  Class<Communicator>(
      m, "Communicator",
      "Ranks that call collectives together: all of them, in the same order, "
      "with equal shapes and dtypes.")
      .def_property_readonly("rank", &Communicator::rank,
                             "Of this rank in the group.")
      .def_property_readonly("size", &Communicator::size, "Ranks in the group.")
      .def_property_readonly("name", &Communicator::name,
                             "What messages call the group.")
      .def_property_readonly(
          "transport",
          [](const Communicator& c) { return std::string(c.transport()); },
          "What moves the bytes: threads, shm, mpi, shm+mpi (shared memory "
          "inside hosts, MPI between them) or none.")
      .def(
          "all_reduce",
          [](Communicator& group, const Variable& inout,
             const std::string& op) {
            const ReduceOp reduce = ParseOp(op);
            Collective(group, [&](Stream& stream) {
              return group.AllReduce(inout.value, reduce, stream);
            });
          },
          py::arg("inout"), py::arg("op") = "sum",
          "In place; sums of bf16 and f16 are taken in f32, in rank order.")
      .def(
          "all_gather",
          [](Communicator& group, const Variable& in, const Variable& out) {
            Collective(group, [&](Stream& stream) {
              return group.AllGather(in.value, out.value, stream);
            });
          },
          py::arg("input"), py::arg("output"),
          "`output` is the `input` of each rank, in rank order.")
      .def(
          "reduce_scatter",
          [](Communicator& group, const Variable& in, const Variable& out,
             const std::string& op) {
            const ReduceOp reduce = ParseOp(op);
            Collective(group, [&](Stream& stream) {
              return group.ReduceScatter(in.value, out.value, reduce, stream);
            });
          },
          py::arg("input"), py::arg("output"), py::arg("op") = "sum",
          "`output` is this rank's part of the reduced `input`.")
      .def(
          "all_to_all",
          [](Communicator& group, const Variable& in, const Variable& out) {
            Collective(group, [&](Stream& stream) {
              return group.AllToAll(in.value, out.value, stream);
            });
          },
          py::arg("input"), py::arg("output"),
          "Part r of `input` goes to rank r, and part r of `output` is from "
          "it.")
      .def(
          "broadcast",
          [](Communicator& group, const Variable& inout, int root) {
            Collective(group, [&](Stream& stream) {
              return group.Broadcast(inout.value, root, stream);
            });
          },
          py::arg("inout"), py::arg("root") = 0,
          "`inout` becomes that of rank `root`.")
      .def(
          "barrier",
          [](Communicator& group) {
            Collective(group,
                       [&](Stream& stream) { return group.Barrier(stream); });
          },
          "Waits until all ranks are here.");
}

void BindWorld(CoreModule& m) {
  Class<World, std::shared_ptr<World>>(
      m, "World", "All ranks of a job as one of them sees it.")
      .def_property_readonly("rank", &World::rank, "Of this process.")
      .def_property_readonly("size", &World::size, "Ranks of the job.")
      .def_property_readonly("local_rank", &World::local_rank,
                             "Among the ranks of this host.")
      .def_property_readonly("local_size", &World::local_size,
                             "Ranks on this host.")
      .def_property_readonly(
          "backend", [](const World& w) { return std::string(w.backend()); },
          "`mpi`, `local` or `sim`.")
      .def_property_readonly(
          "device",
          [](const World& w) { return w.device().shared_from_this(); },
          "Of this rank.")
      .def_property_readonly("communicator", &World::communicator,
                             py::return_value_policy::reference_internal,
                             "Over all ranks.")
      .def(
          "broadcast",
          [](World& world, std::string text, int root) {
            return BroadcastText(world.communicator(), std::move(text), root);
          },
          py::arg("text"), py::kw_only(), py::arg("root") = 0,
          py::call_guard<py::gil_scoped_release>(),
          "Returns the text of rank `root` on every rank.")
      .def(
          "largest",
          [](World& world, int32_t value) {
            return LargestOf(world.communicator(), value);
          },
          py::arg("value"), py::call_guard<py::gil_scoped_release>(),
          "The largest value of a rank, on every rank. Collective.")
      .def(
          "barrier",
          [](World& world) {
            Communicator& group = world.communicator();
            Collective(group, [&](Stream& s) { return group.Barrier(s); });
          },
          "Waits until all ranks are here.")
      .def(
          "check_collectives",
          [](World& world) { world.communicator().CheckCalls(); },
          "From here on ranks compare each call before its data moves: one "
          "that differs is a ValueError that names both sides. Every rank "
          "calls it, before it makes groups.")
      .def("finalize", &Finalize, py::call_guard<py::gil_scoped_release>(),
           "Waits for all ranks, as long as it takes, and ends the job. A "
           "program that ends with status 0 does so by itself, for 10 seconds; "
           "one that ends with another takes the ranks down.")
      .def(
          "abort",
          [](World& world, int code, const std::string& cause) {
            world.Abort(code, cause);
          },
          py::arg("code"), py::arg("cause") = "",
          "Takes all ranks down at once.")
      .def("__repr__", [](const World& w) {
        return absl::StrCat("World(rank=", w.rank(), ", size=", w.size(),
                            ", backend='", w.backend(), "')");
      });
}

}  // namespace

void BindComm(CoreModule& m) {
  BindCommunicator(m);
  BindWorld(m);
  m.def("init", &Init, py::arg("device") = "cpu", py::arg("interface") = "",
        "All ranks that mpirun started; a world of one without it. Collective. "
        "Asked again it gives the world that is there.");
  m.def(
      "sim_world",
      [](int rank, int size, const std::string& device) {
        return std::shared_ptr<World>(Unwrap(
            comm::SimWorld(rank, size, Unwrap(ParseDeviceType(device)))));
      },
      py::arg("rank"), py::arg("size"), py::arg("device") = "meta",
      "A world of which this rank alone exists; collectives move nothing.");
  m.def(
      "finalize",
      [] {
        const auto world = TheJob().world.lock();
        return world == nullptr ? absl::OkStatus() : Finalize(*world);
      },
      py::call_guard<py::gil_scoped_release>(),
      "World.finalize of the world that init has given, if it is there.");
  m.def("abort", &AbortJob, py::arg("code"), py::arg("cause") = "",
        "Takes down the job that this process is a rank of.");
  py::module_::import("atexit").attr("register")(
      py::cpp_function(&EndWithProcess));
}

}  // namespace eisbach::bindings
