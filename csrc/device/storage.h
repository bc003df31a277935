#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <utility>

namespace eisbach {

class Device;

// A block of device memory, shared by the tensors that view it. On the meta
// device `data` is null.
class Storage {
 public:
  Storage(std::shared_ptr<Device> device, void* data, size_t bytes,
          std::function<void(void*)> release)
      : device_(std::move(device)),
        data_(data),
        bytes_(bytes),
        release_(std::move(release)) {}
  ~Storage() {
    if (release_) release_(data_);
  }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device& device() const { return *device_; }

 private:
  std::shared_ptr<Device> device_;
  void* data_;
  size_t bytes_;
  std::function<void(void*)> release_;
};

}  // namespace eisbach
