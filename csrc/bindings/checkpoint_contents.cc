#include <pybind11/stl/filesystem.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/json_text.h"
#include "checkpoint/contents.h"
#include "checkpoint/manifest.h"
#include "checkpoint/read_manifest.h"
#include "checkpoint/verify.h"

namespace eisbach::bindings {

namespace {

namespace py = pybind11;
using checkpoint::Contents;
using checkpoint::SavedTensor;
using checkpoint::TensorDifference;
using checkpoint::Verification;

using Path = std::filesystem::path;

std::string ManifestOf(const Path& path) {
  return Unwrap(checkpoint::ReadManifest(path.string())).text;
}

// Each keeps the files that it lies in.
std::vector<std::shared_ptr<const SavedTensor>> TensorsOf(const Path& path) {
  const auto contents =
      std::make_shared<const Contents>(Unwrap(Contents::Open(path.string())));
  std::vector<std::shared_ptr<const SavedTensor>> tensors;
  for (const SavedTensor& tensor : contents->tensors()) {
    tensors.emplace_back(contents, &tensor);
  }
  return tensors;
}

TensorDifference DifferenceOf(const SavedTensor& a, const SavedTensor& b) {
  Unwrap(a.whole);
  Unwrap(b.whole);
  if (a.shape != b.shape) {
    Unwrap(absl::InvalidArgumentError(
        absl::StrCat("\"", a.Key(), "\" is ", a.shape.ToString(), ", \"",
                     b.Key(), "\" ", b.shape.ToString())));
  }
  return checkpoint::Difference(a, b);
}

// `progress` is called with the GIL; what it raises ends the verification.
Verification VerifyPath(const Path& path, const py::function& progress) {
  std::optional<py::error_already_set> raised;
  absl::StatusOr<Verification> result = WithoutGil([&] {
    return checkpoint::Verify(
        path.string(), [&](uint64_t done, uint64_t total) -> absl::Status {
          py::gil_scoped_acquire acquire;
          try {
            progress(done, total);
          } catch (py::error_already_set& error) {
            raised = std::move(error);
            return absl::CancelledError("progress raised");
          }
          return absl::OkStatus();
        });
  });
  if (raised) throw py::error_already_set(*std::move(raised));
  return Unwrap(std::move(result));
}

std::vector<std::tuple<std::string, std::optional<std::string>,
                       std::optional<std::string>>>
ChangesOf(const JsonText& before, const JsonText& after) {
  std::vector<std::tuple<std::string, std::optional<std::string>,
                         std::optional<std::string>>>
      changes;
  for (auto& change :
       Unwrap(checkpoint::ConfigChanges(before.text, after.text))) {
    changes.emplace_back(std::move(change.key), std::move(change.before),
                         std::move(change.after));
  }
  return changes;
}

}  // namespace

void BindCheckpointContents(CoreModule& m) {
  constexpr auto kReleased = py::call_guard<py::gil_scoped_release>();
  Class<SavedTensor, std::shared_ptr<SavedTensor>>(
      m, "SavedTensor",
      "A logical tensor in a checkpoint, or a part of the optimizer's state "
      "of it, whatever ranks wrote it.")
      .def_readonly("name", &SavedTensor::name, "Of the logical tensor.")
      .def_readonly("part", &SavedTensor::part,
                    "Empty for the weights, `m`, `v`, ... for state.")
      .def_readonly("shape", &SavedTensor::shape, "Unpadded.")
      .def_property_readonly("key", &SavedTensor::Key,
                             "NAME, or optimizer.PART/NAME.")
      .def_property_readonly(
          "dtype", [](const SavedTensor&) { return DType::kF32; },
          "In the files.")
      .def_property_readonly(
          "boxes",
          [](const SavedTensor& tensor) {
            std::vector<std::string> boxes;
            for (const checkpoint::SavedBox& saved : tensor.boxes) {
              boxes.push_back(saved.box.ToString());
            }
            return boxes;
          },
          "Its parts, each in one file: `[0, 8) x [4, 6)`.")
      .def_property_readonly(
          "fault",
          [](const SavedTensor& tensor) {
            return std::string(tensor.whole.message());
          },
          "Why it is not whole; empty if it is.");
  Class<TensorDifference>(m, "TensorDifference", "How far two tensors are.")
      .def_readonly("elements", &TensorDifference::elements,
                    "Whose bits differ.")
      .def_readonly("absolute", &TensorDifference::absolute,
                    "The largest |a - b|; infinite where a value that is not "
                    "finite differs.")
      .def_readonly("relative", &TensorDifference::relative,
                    "The largest |a - b| / max(|a|, |b|), in the same way.");
  Class<Verification>(m, "Verification", "What was found in a checkpoint.")
      .def_readonly("files", &Verification::files, "That the manifest lists.")
      .def_readonly("tensors", &Verification::tensors,
                    "Logical ones, optimizer state included.")
      .def_readonly("bytes", &Verification::bytes, "Of all files.")
      .def_readonly("faults", &Verification::faults,
                    "A line for each; empty for a sound checkpoint.");
  m.def("read_manifest", &ManifestOf, py::arg("path"), kReleased,
        "The manifest of a checkpoint's folder, checked, as a str of JSON.");
  m.def("saved_tensors", &TensorsOf, py::arg("path"), kReleased,
        "The logical tensors of a checkpoint; reads manifest and headers. Not "
        "collective.");
  m.def("tensor_difference", &DifferenceOf, py::arg("a"), py::arg("b"),
        kReleased,
        "Compares two of one shape where they lie, on any layouts; takes no "
        "memory for them.");
  m.def("verify_checkpoint", &VerifyPath, py::arg("path"), py::arg("progress"),
        "Reads every byte of a checkpoint and checks all that can be. "
        "`progress` is called with the bytes read and those of all files, "
        "from time to time.");
  m.def("config_changes", &ChangesOf, py::arg("before"), py::arg("after"),
        kReleased,
        "The keys in which two JSON objects differ, with both values as JSON; "
        "None where there is none.");
}

}  // namespace eisbach::bindings
