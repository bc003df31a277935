# Cross-compiles for aarch64 Linux with GCC and runs tests by QEMU's user mode.
#
#   cmake -S . -B build/aarch64/release \
#     --toolchain cmake/toolchains/aarch64-linux-gnu.cmake \
#     -DEISBACH_SYSROOT=/path/to/a/root/of/an/aarch64/system ...
#
# The root holds what Debian's arm64 packages hold, and Open MPI; see
# docs/aarch64.md and scripts/aarch64_sysroot.sh, which makes one.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(EISBACH_SYSROOT "" CACHE PATH "Root of an aarch64 system to build against")
if(NOT EXISTS ${EISBACH_SYSROOT}/usr/include)
  message(FATAL_ERROR "EISBACH_SYSROOT=${EISBACH_SYSROOT} has no usr/include; "
                      "scripts/aarch64_sysroot.sh makes such a folder")
endif()
# CMake's own checks of the compiler read this file too.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EISBACH_SYSROOT)

set(CMAKE_SYSROOT ${EISBACH_SYSROOT})
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CUDA_HOST_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

# Libraries of the root alone, programs of this machine alone.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

find_program(EISBACH_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(EISBACH_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${EISBACH_QEMU} -L ${EISBACH_SYSROOT})
endif()
