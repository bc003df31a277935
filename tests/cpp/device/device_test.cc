#include "device/device.h"

#include <vector>

#include "support/status_testing.h"

namespace eisbach::device_test {
namespace {

std::shared_ptr<Device> Make(DeviceType type) {
  return test::Value(MakeDevice(type));
}

// Beside this build of the core lies no plug-in, or no GPU is there.
TEST(Device, WithoutGpusBothCallsSayWhyAndWhatToDo) {
  for (const absl::Status& status :
       {MakeDevice(DeviceType::kCuda).status(),
        CountDevices(DeviceType::kCuda).status()}) {
    EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kUnavailable,
                                       "device cuda: "));
    EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kUnavailable,
                                       "run.device=cpu"));
  }
}

TEST(Device, CountsThoseOfTheCore) {
  EXPECT_EQ(test::Value(CountDevices(DeviceType::kCpu)), 1);
  EXPECT_EQ(test::Value(CountDevices(DeviceType::kMeta)), 1);
}

TEST(Device, EachIsItsOwn) {
  auto a = Make(DeviceType::kCpu), b = Make(DeviceType::kCpu);
  auto storage = test::Value(a->Allocate(1000));
  EXPECT_EQ(a->memory().bytes_in_use, 1024);
  EXPECT_EQ(b->memory().bytes_in_use, 0);
}

TEST(CpuDevice, CopiesAndZeroes) {
  auto device = Make(DeviceType::kCpu);
  Stream& stream = device->compute_stream();
  const std::vector<int> in = {1, 2, 3, 4};
  std::vector<int> out(4);
  const size_t bytes = 4 * sizeof(int);
  auto a = test::Value(device->Allocate(bytes));
  auto b = test::Value(device->Allocate(bytes));
  EISBACH_ASSERT_OK(device->CopyToDevice(a->data(), in.data(), bytes, stream));
  EISBACH_ASSERT_OK(device->CopyOnDevice(b->data(), a->data(), bytes, stream));
  EISBACH_ASSERT_OK(device->SetZero(b->data(), sizeof(int), stream));
  EISBACH_ASSERT_OK(device->CopyToHost(out.data(), b->data(), bytes, stream));
  EXPECT_EQ(out, (std::vector<int>{0, 2, 3, 4}));
}

TEST(CpuDevice, StorageOutlivesTheHandle) {
  auto device = Make(DeviceType::kCpu);
  auto storage = test::Value(device->Allocate(64));
  device.reset();
  static_cast<char*>(storage->data())[63] = 1;
  EXPECT_EQ(storage->device().memory().bytes_in_use, 256);
}

TEST(MetaDevice, CountsWithoutMemory) {
  auto device = Make(DeviceType::kMeta);
  auto a = test::Value(device->Allocate(size_t{1} << 50));
  EXPECT_EQ(a->data(), nullptr);
  EXPECT_EQ(a->bytes(), size_t{1} << 50);
  {
    auto b = test::Value(device->Allocate(100));
    EXPECT_EQ(device->memory().bytes_in_use, (int64_t{1} << 50) + 100);
  }
  a.reset();
  EXPECT_EQ(device->memory().bytes_in_use, 0);
  EXPECT_EQ(device->memory().peak_bytes_in_use, (int64_t{1} << 50) + 100);
  EXPECT_EQ(device->memory().allocations, 2);
  EXPECT_EQ(device->memory().bytes_reserved, 0);
  device->ResetPeakMemory();
  EXPECT_EQ(device->memory().peak_bytes_in_use, 0);
}

TEST(MetaDevice, CountsSharedMemoryApartWhereItIs) {
  for (const bool apart : {false, true}) {
    auto device = Make(DeviceType::kMeta);
    if (apart) device->SetSharedSource(nullptr);
    test::Value(device->AllocateShared(100)).reset();
    test::Value(device->Allocate(50)).reset();
    EXPECT_EQ(device->memory().bytes_in_use, 0);
    EXPECT_EQ(device->memory().peak_bytes_in_use, apart ? 150 : 100);
    device->ResetPeakMemory();  // what was shared stays taken
    EXPECT_EQ(device->memory().peak_bytes_in_use, apart ? 100 : 0);
  }
}

TEST(MetaDevice, TakesWritesAndRefusesHostReads) {
  auto device = Make(DeviceType::kMeta);
  Stream& stream = device->compute_stream();
  auto storage = test::Value(device->Allocate(4));
  int host = 7;
  EISBACH_EXPECT_OK(device->CopyToDevice(storage->data(), &host, 4, stream));
  EISBACH_EXPECT_OK(device->SetZero(storage->data(), 4, stream));
  EXPECT_THAT(device->CopyToHost(&host, storage->data(), 4, stream),
              test::StatusIs(absl::StatusCode::kFailedPrecondition, "meta"));
}

TEST(Device, HasNoMoreHostMemoryThanTheSystem) {
  const auto device = test::Value(MakeDevice(DeviceType::kCpu));
  EXPECT_TRUE(test::Value(device->AllocateHost(0)) != nullptr);
  EXPECT_THAT(device->AllocateHost(size_t{1} << 62).status(),
              test::StatusIs(absl::StatusCode::kResourceExhausted,
                             "has no 4398046511104 MiB more"));
}

}  // namespace
}  // namespace eisbach::device_test
