#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "core/status_macros.h"
#include "plan/search.h"
#include "plan/timeline.h"

namespace eisbach::bindings {

namespace py = pybind11;
using plan::StageSpan;
using plan::StreamSpan;
using plan::StreamTimeline;
using plan::Timeline;

namespace {

absl::StatusOr<Timeline> TimelineOf(const train::EngineConfig& config,
                                    const plan::Layout& layout,
                                    const plan::Hardware& hardware,
                                    const plan::SearchOptions& options) {
  EISBACH_ASSIGN_OR_RETURN(const parallel::Mesh mesh, plan::MeshOf(layout));
  EISBACH_ASSIGN_OR_RETURN(
      const plan::RecordedStep step,
      plan::RecordedStep::Make(plan::WithLayout(config, layout, mesh, hardware),
                               mesh, DeviceType::kMeta,
                               plan::WithLayout(options.play.experts, layout)));
  return plan::MakeTimeline(step, hardware, options.play);
}

}  // namespace

void BindTimeline(CoreModule& m) {
  Class<StageSpan>(m, "StageSpan", "What a stage does for a while.")
      .def_readonly("kind", &StageSpan::kind,
                    "`forward`, `backward`, its halves `backward_input` and "
                    "`backward_weight`; `exchange` with other stages, beside "
                    "them; `once`: sums, norm and update.")
      .def_readonly("microbatch", &StageSpan::micro_batch, "From 0.")
      .def_readonly("chunk", &StageSpan::chunk)
      .def_readonly("begin", &StageSpan::begin, "Seconds since the step's.")
      .def_readonly("end", &StageSpan::end)
      .def_readonly("communication", &StageSpan::communication,
                    "Of these seconds, those of collectives in which nothing "
                    "is computed.");
  Class<StreamSpan>(m, "StreamSpan", "An op or a collective on a stream.")
      .def_readonly("name", &StreamSpan::name)
      .def_readonly("group", &StreamSpan::group,
                    "Of a collective; of an op empty.")
      .def_readonly("stream", &StreamSpan::stream, "0: compute.")
      .def_readonly("begin", &StreamSpan::begin)
      .def_readonly("end", &StreamSpan::end)
      .def_readonly("flops", &StreamSpan::flops)
      .def_readonly("bytes", &StreamSpan::bytes,
                    "That an op reads and writes; a collective's buffer.");
  Class<StreamTimeline>(m, "StreamTimeline",
                        "A step of few micro-batches on the streams of a "
                        "device, without what other stages keep it waiting.")
      .def_readonly("stages", &StreamTimeline::stages, "That are alike.")
      .def_readonly("micro_batches", &StreamTimeline::micro_batches)
      .def_readonly("spans", &StreamTimeline::spans);
  Class<Timeline>(m, "Timeline",
                  "When things happen in a step, as it is foretold; of many "
                  "micro-batches those that are simulated.")
      .def_readonly("stages", &Timeline::stages, "Spans of each.")
      .def_readonly("streams", &Timeline::streams)
      .def_readonly("chunks", &Timeline::chunks)
      .def_readonly("shown", &Timeline::shown, "Micro-batches of `stages`.")
      .def_readonly("micro_batches", &Timeline::micro_batches, "Of a step.")
      .def_readonly("seconds", &Timeline::seconds,
                    "Until the last of `stages` is over.")
      .def_readonly("step_seconds", &Timeline::step_seconds,
                    "Of all micro-batches.");
  m.def("make_timeline", &TimelineOf, py::arg("config"), py::arg("layout"),
        py::arg("hardware"), py::arg("options"),
        py::call_guard<py::gil_scoped_release>(),
        "When things happen in a step on a layout that a search with "
        "`options` has found.");
}

}  // namespace eisbach::bindings
