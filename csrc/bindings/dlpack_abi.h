#pragma once

#include <cstdint>

// The structures by which array libraries exchange memory, as laid down in
// https://dmlc.github.io/dlpack/latest/c_api.html (version 1.0).
namespace eisbach::bindings::dlpack {

enum DeviceCode : int32_t { kCpu = 1 };
enum TypeCode : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBFloat = 4 };

struct DLDevice {
  int32_t type;
  int32_t id;
};

struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};

struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;  // in elements; null for a contiguous tensor
  uint64_t byte_offset;
};

// In a capsule called "dltensor"; "used_dltensor" once it is taken over.
struct Managed {
  static constexpr char kName[] = "dltensor";
  static constexpr char kUsedName[] = "used_dltensor";

  DLTensor tensor;
  void* context;
  void (*deleter)(Managed* self);
};

// "dltensor_versioned", since version 1.0.
struct ManagedVersioned {
  static constexpr char kName[] = "dltensor_versioned";
  static constexpr char kUsedName[] = "used_dltensor_versioned";
  static constexpr uint64_t kReadOnly = 1;

  uint32_t major, minor;
  void* context;
  void (*deleter)(ManagedVersioned* self);
  uint64_t flags;
  DLTensor tensor;
};

}  // namespace eisbach::bindings::dlpack
