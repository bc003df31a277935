#include <memory>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "comm/world.h"
#include "train/peak.h"
#include "train/profile.h"
#include "train/rank_trace.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using train::CollectiveRow;
using train::OpRow;
using train::Peak;
using train::Profile;
using train::RankTrace;
using train::TimeShares;

constexpr auto kUngiled = py::call_guard<py::gil_scoped_release>();

void BindTraces(CoreModule& m) {
  Class<Span>(m, "Span", "Something that a rank did, as recorded.")
      .def_property_readonly(
          "kind", [](const Span& s) { return std::string(Name(s.kind)); },
          "op, collective, wait, action or step.")
      .def_readonly("name", &Span::name)
      .def_readonly("detail", &Span::detail,
                    "Group of a collective and of a wait for it; what an "
                    "action does.")
      .def_readonly("flops", &Span::flops)
      .def_readonly("bytes", &Span::bytes,
                    "Read and written by an op, moved by a collective.")
      .def_readonly("index", &Span::index,
                    "Micro-batch of an action, number of a step, else -1.")
      .def_readonly("begin_ns", &Span::begin_ns)
      .def_readonly("end_ns", &Span::end_ns);

  Class<Peak>(m, "Peak", "What a rank's threads reach, a second.")
      .def_readonly("f32_flops", &Peak::f32_flops, "Of large matmuls.")
      .def_readonly("bf16_flops", &Peak::bf16_flops)
      .def_readonly("bytes", &Peak::bytes, "Read and written past the caches.");

  Class<RankTrace>(m, "RankTrace",
                   "What one rank recorded, on the clock of rank 0.")
      .def_readonly("rank", &RankTrace::rank)
      .def_readonly("host", &RankTrace::host)
      .def_readonly("clock_offset_ns", &RankTrace::clock_offset_ns,
                    "Of its clock to that of rank 0; taken off the spans.")
      .def_readonly("clock_error_ns", &RankTrace::clock_error_ns,
                    "At most so wrong is the offset.")
      .def_readonly("peak", &RankTrace::peak)
      .def_readonly("spans", &RankTrace::spans);
}

void BindRows(CoreModule& m) {
  Class<OpRow>(m, "OpRow", "One op, summed over ranks and steps.")
      .def_readonly("name", &OpRow::name)
      .def_readonly("calls", &OpRow::calls)
      .def_readonly("seconds", &OpRow::seconds)
      .def_readonly("share", &OpRow::share, "Of the ranks' time in steps.")
      .def_readonly("flops_per_second", &OpRow::flops_per_second,
                    "Of a rank, while it is in the op.")
      .def_readonly("bytes_per_second", &OpRow::bytes_per_second, "The same.")
      .def_property_readonly("of_peak", &OpRow::of_peak,
                             "How close it is to what bounds it; above 1 where "
                             "its tensors lie in a cache.")
      .def_property_readonly(
          "bound", [](const OpRow& r) { return std::string(r.bound()); },
          "compute or memory: what it is closer to the peak of.");

  Class<CollectiveRow>(
      m, "CollectiveRow",
      "One collective of one group, summed over ranks and steps.")
      .def_readonly("name", &CollectiveRow::name)
      .def_readonly("group", &CollectiveRow::group)
      .def_readonly("calls", &CollectiveRow::calls)
      .def_readonly("bytes", &CollectiveRow::bytes)
      .def_readonly("seconds", &CollectiveRow::seconds,
                    "From when a rank first drives it until it is done.")
      .def_readonly("exposed_seconds", &CollectiveRow::exposed_seconds,
                    "In which a rank waits for it and computes nothing.");

  Class<TimeShares>(m, "TimeShares",
                    "Parts of the ranks' time in steps; together 1.")
      .def_readonly("matmul", &TimeShares::matmul)
      .def_readonly("attention", &TimeShares::attention)
      .def_readonly("exposed_communication", &TimeShares::exposed_communication)
      .def_readonly("other", &TimeShares::other);
}

}  // namespace

void BindProfile(CoreModule& m) {
  BindTraces(m);
  BindRows(m);
  Class<Profile>(m, "Profile", "Where the time of some steps has gone.")
      .def_readonly("steps", &Profile::steps)
      .def_readonly("step_seconds", &Profile::step_seconds)
      .def_readonly("shares", &Profile::shares)
      .def_readonly("peak", &Profile::peak, "Mean of the ranks.")
      .def_readonly("ops", &Profile::ops, "The longest first.")
      .def_readonly("collectives", &Profile::collectives, "The same.");

  m.def("measure_peak", &train::MeasurePeak, py::arg("world"), kUngiled,
        "Measures matmul and memory on all ranks at once, with the threads "
        "that compute, in about a second. Collective.");
  m.def(
      "gather_traces",
      [](comm::World& world, const Peak& peak) {
        return train::GatherTraces(peak, world.communicator());
      },
      py::arg("world"), py::arg("peak"), kUngiled,
      "Ends the recording and returns every rank's spans on rank 0, nothing on "
      "the others. Collective.");
  m.def(
      "summarise",
      [](const std::vector<RankTrace>& traces, DType compute) {
        return train::Summarise(traces, compute);
      },
      py::arg("traces"), py::arg("compute"), kUngiled,
      "Sums what ranks recorded; `compute` is the type of their matmuls.");
}

}  // namespace eisbach::bindings
