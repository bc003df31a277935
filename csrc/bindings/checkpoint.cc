#include <pybind11/stl/filesystem.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "bindings/casters.h"
#include "bindings/logical.h"
#include "bindings/numpy.h"
#include "checkpoint/agree.h"
#include "checkpoint/folder.h"
#include "checkpoint/foreign_weights.h"
#include "checkpoint/gather.h"
#include "checkpoint/read_weights.h"
#include "checkpoint/safetensors_file.h"
#include "checkpoint/safetensors_writer.h"
#include "comm/world.h"

namespace eisbach::bindings {
namespace {

namespace py = pybind11;
using checkpoint::LogicalTensor;
using checkpoint::SafetensorsEntry;
using checkpoint::SafetensorsFile;
using checkpoint::SafetensorsWriter;

py::array EmptyArray(const Shape& shape, DType dtype) {
  const absl::Span<const int64_t> dims = shape.dims();
  return py::array(NumpyDType(dtype),
                   std::vector<py::ssize_t>(dims.begin(), dims.end()));
}

py::array CopyOf(const checkpoint::LogicalView& tensor) {
  py::array array = EmptyArray(tensor.shape, DType::kF32);
  std::memcpy(array.mutable_data(), tensor.values.data(), array.nbytes());
  return array;
}

py::array ReadOnly(const checkpoint::LogicalView& tensor) {
  using Owner = std::shared_ptr<const void>;
  const py::capsule keeper(new Owner(tensor.owner), [](void* owner) {
    delete static_cast<Owner*>(owner);
  });
  const absl::Span<const int64_t> dims = tensor.shape.dims();
  py::array array(py::dtype::of<float>(),
                  std::vector<py::ssize_t>(dims.begin(), dims.end()),
                  tensor.values.data(), keeper);
  array.attr("flags").attr("writeable") = false;
  return array;
}

// A copy of one tensor. KeyError when there is none of that name, ValueError
// when there are no arrays of its type.
py::array ReadTensor(const SafetensorsFile& file, const std::string& name) {
  const SafetensorsEntry* entry = file.Find(name);
  if (entry == nullptr) throw py::key_error(name);
  if (!entry->dtype) {
    Unwrap(absl::InvalidArgumentError(absl::StrCat(
        file.path(), ": tensor \"", name, "\" is of type ", entry->dtype_name,
        ", which cannot be read; the others can")));
  }
  py::array array = EmptyArray(entry->shape, *entry->dtype);
  const auto bytes = file.Bytes(*entry);
  void* to = array.mutable_data();
  WithoutGil([&] { std::memcpy(to, bytes.data(), bytes.size()); });
  return array;
}

std::vector<std::string> NamesOf(const SafetensorsFile& file) {
  std::vector<std::string> names;
  for (const SafetensorsEntry& entry : file.entries()) {
    names.push_back(entry.name);
  }
  return names;
}

std::shared_ptr<SafetensorsFile> OpenSafetensors(
    const std::filesystem::path& path) {
  return std::make_shared<SafetensorsFile>(
      Unwrap(SafetensorsFile::Open(path.string())));
}

void BindSafetensors(CoreModule& m) {
  using Pairs = std::vector<std::pair<std::string, py::array>>;
  Class<SafetensorsFile, std::shared_ptr<SafetensorsFile>>(
      m, "SafetensorsFile",
      "The arrays of a file by name, a mapping. Each is read when it is asked "
      "for; one of a type that cannot be read is a ValueError then.")
      .def("__len__",
           [](const SafetensorsFile& f) { return f.entries().size(); })
      .def(
          "__contains__",
          [](const SafetensorsFile& f, const std::string& name) {
            return f.Find(name) != nullptr;
          },
          py::arg("name"))
      .def("__iter__",
           [](const SafetensorsFile& f) {
             return py::iter(py::cast(NamesOf(f)));
           })
      .def("__getitem__", &ReadTensor, py::arg("name"))
      .def("keys", &NamesOf, "The names, in the order of their data.")
      .def("items",
           [](const SafetensorsFile& f) {
             Pairs items;
             for (const std::string& name : NamesOf(f)) {
               items.emplace_back(name, ReadTensor(f, name));
             }
             return items;
           })
      .def("values",
           [](const SafetensorsFile& f) {
             std::vector<py::array> values;
             for (const std::string& name : NamesOf(f)) {
               values.push_back(ReadTensor(f, name));
             }
             return values;
           })
      .def_property_readonly(
          "types",
          [](const SafetensorsFile& f) {
            std::map<std::string, std::string> types;
            for (const SafetensorsEntry& entry : f.entries()) {
              types[entry.name] = entry.dtype_name;
            }
            return types;
          },
          "What the file calls the type of each tensor: F32, BOOL, ...")
      .def_property_readonly("metadata", &SafetensorsFile::metadata)
      .def("check_finite", &SafetensorsFile::CheckFinite,
           py::call_guard<py::gil_scoped_release>(),
           "ValueError names the first tensor that holds a NaN or infinity.");
  m.def("read_safetensors", &OpenSafetensors, py::arg("path"),
        "The arrays of a file by name; every byte of its header is checked.");
}

void WriteSafetensors(const std::filesystem::path& path,
                      const std::map<std::string, py::array>& arrays,
                      std::map<std::string, std::string> metadata) {
  std::vector<checkpoint::SafetensorsSpec> specs;
  for (const auto& [name, array] : arrays) {
    const absl::Span<const py::ssize_t> dims(array.shape(), array.ndim());
    specs.push_back({name, FromNumpyDType(array.dtype()),
                     Shape(std::vector<int64_t>(dims.begin(), dims.end()))});
  }
  const auto writer = Unwrap(
      SafetensorsWriter::Create(path.string(), specs, std::move(metadata)));
  for (const SafetensorsEntry& entry : writer->entries()) {
    const auto array =
        py::array::ensure(arrays.at(entry.name), py::array::c_style);
    const void* data = array.data();
    const size_t bytes = array.nbytes();
    WithoutGil([&] { Unwrap(writer->Write(entry.name, data, bytes)); });
  }
  WithoutGil([&] { Unwrap(writer->Commit()); });
}

py::tuple ReadCheckpoint(const std::filesystem::path& path, bool average) {
  const checkpoint::SavedWeights saved = WithoutGil(
      [&] { return Unwrap(checkpoint::ReadWeights(path.string(), average)); });
  py::dict arrays;
  for (const LogicalTensor& tensor : saved.tensors) {
    arrays[py::str(tensor.name)] =
        CopyOf({tensor.name, tensor.shape, tensor.values, nullptr});
  }
  return py::make_tuple(saved.step, saved.config, std::move(arrays));
}

}  // namespace

py::dict GatherArrays(absl::Span<Parameter* const> parameters,
                      const std::string& value, bool copy,
                      const parallel::ParallelContext& context) {
  if (value != "master" && value != "grad") {
    throw py::value_error("value=" + value + " is neither master nor grad");
  }
  const auto wanted = value == "master" ? checkpoint::ParameterValue::kMaster
                                        : checkpoint::ParameterValue::kGradient;
  py::dict arrays;
  const auto visit = [&](const checkpoint::LogicalView& tensor) {
    py::gil_scoped_acquire acquire;
    arrays[py::str(std::string(tensor.name))] =
        copy ? CopyOf(tensor) : ReadOnly(tensor);
    return absl::OkStatus();
  };
  WithoutGil([&] {
    Unwrap(checkpoint::GatherParameters(parameters, wanted, context, visit));
  });
  return arrays;
}

void ScatterArrays(absl::Span<Parameter* const> parameters,
                   const std::map<std::string, py::array>& arrays,
                   const parallel::ParallelContext& context) {
  std::map<std::string, LogicalTensor> tensors;
  std::vector<std::string> names;
  for (const auto& [name, array] : arrays) {
    const DType dtype = FromNumpyDType(array.dtype());
    if (!IsFloat(dtype)) {
      throw py::type_error(absl::StrCat("arrays['", name, "'] is of ",
                                        Name(dtype),
                                        "; a weight is of f32, or of another "
                                        "type of fractions"));
    }
    const py::array_t<float, py::array::c_style | py::array::forcecast> floats(
        array);
    LogicalTensor tensor;
    tensor.name = name;
    tensor.shape = Shape(
        std::vector<int64_t>(array.shape(), array.shape() + array.ndim()));
    tensor.values.assign(floats.data(), floats.data() + floats.size());
    tensors.emplace(name, std::move(tensor));
    names.push_back(name);
  }
  WithoutGil([&] {
    Unwrap(checkpoint::CheckLogicalNames(parameters, names, context));
    Unwrap(checkpoint::ScatterParameters(
        parameters,
        [&](const std::string& name) -> const LogicalTensor* {
          const auto found = tensors.find(name);
          return found == tensors.end() ? nullptr : &found->second;
        },
        context.device().compute_stream()));
  });
}

void BindCheckpoint(CoreModule& m) {
  Class<checkpoint::ForeignTensor>(
      m, "ForeignTensor",
      "Where a logical tensor lies in a safetensors file of others.")
      .def(py::init([](const std::filesystem::path& file, std::string name,
                       int64_t first_row, bool transposed,
                       std::vector<int64_t> rows, int64_t known_rows,
                       int64_t new_rows) {
             return checkpoint::ForeignTensor{
                 file.string(),   std::move(name), first_row, transposed,
                 std::move(rows), known_rows,      new_rows};
           }),
           py::arg("file"), py::arg("name"), py::kw_only(),
           py::arg("first_row") = 0, py::arg("transposed") = false,
           py::arg("rows") = std::vector<int64_t>(), py::arg("known_rows") = 0,
           py::arg("new_rows") = 0);
  BindSafetensors(m);
  BindCheckpointContents(m);
  m.def("write_safetensors", &WriteSafetensors, py::arg("path"),
        py::arg("arrays"), py::arg("metadata") = py::dict(),
        "The file appears complete or not at all.");
  m.def(
      "latest_checkpoint",
      [](const std::filesystem::path& root) {
        return checkpoint::LatestCheckpoint(root.string());
      },
      py::arg("root"), "The complete checkpoint of the highest step, or None.");
  m.def("read_checkpoint", &ReadCheckpoint, py::arg("path"), py::kw_only(),
        py::arg("average") = false,
        "Steps done, the config that was saved and the whole weights by "
        "logical name, or their average, whatever layout they were saved on. "
        "Not collective.");
  m.def(
      "first_error",
      [](comm::World& world, const std::string& error) {
        const absl::Status mine =
            error.empty() ? absl::OkStatus() : absl::InternalError(error);
        return std::string(
            checkpoint::AgreeOnStatus(mine, world.communicator(),
                                      world.device().compute_stream())
                .message());
      },
      py::arg("world"), py::arg("error"),
      py::call_guard<py::gil_scoped_release>(),
      "On every rank the error of the lowest rank that gives one, with that "
      "rank's number; empty when all give none. Collective.");
}

}  // namespace eisbach::bindings
