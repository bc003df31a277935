# The backend of NVIDIA's GPUs, a plug-in that links to libeisbach.so and that
# it loads at the first use of `cuda` (device/plugin.h). The same sources make
# two libraries: with EISBACH_CUDA the real one, by nvcc, and with
# EISBACH_CUDA_EMULATION one whose kernels run on the host and whose CUDA,
# cuBLASLt and NCCL are the doubles of tests/support/cuda.
file(GLOB_RECURSE EISBACH_CUDA_SOURCES CONFIGURE_DEPENDS
     device/cuda/*.cc ops/cuda/*.cc comm/nccl/*.cc)
file(GLOB EISBACH_CUDA_KERNELS CONFIGURE_DEPENDS
     device/cuda/*.cu ops/cuda/*.cu)

if(EISBACH_CUDA)
  # From wheels alone nvcc lies in a folder that has lib, not lib64.
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(CMAKE_CUDA_COMPILER nvcc
                 HINTS ${EISBACH_CUDA_ROOT} ${EISBACH_NVIDIA_DIRS}
                 PATH_SUFFIXES bin cu13/bin PATHS /usr/local/cuda/bin REQUIRED)
  endif()
  cmake_path(GET CMAKE_CUDA_COMPILER PARENT_PATH _nvcc_root)
  cmake_path(GET _nvcc_root PARENT_PATH _nvcc_root)
  if(CMAKE_CROSSCOMPILING)
    # CMake tells nvcc nothing of a sysroot, and asks what nvcc is by a program
    # linked to the runtime, which is not the one beside nvcc.
    string(APPEND CMAKE_CUDA_FLAGS " -Xcompiler=--sysroot=${CMAKE_SYSROOT}"
      " -cudart=none -cudadevrt=none -Xlinker ${EISBACH_CUDART_LIBRARY}")
    set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  elseif(_nvcc_root AND NOT EXISTS ${_nvcc_root}/lib64)
    string(APPEND CMAKE_CUDA_FLAGS " -L${_nvcc_root}/lib")
  endif()
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    # A100; H100; B200, GB200 and GB300; RTX PRO, and what comes after it.
    set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 100f-real 120)
  endif()
  set(CMAKE_CUDA_STANDARD 20)
  # eisbach::cudart, by its file: the wheels have no libcudart.so.
  set(CMAKE_CUDA_RUNTIME_LIBRARY None)
  if(CCACHE)
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE})
  endif()
  enable_language(CUDA)
  unset(CMAKE_TRY_COMPILE_TARGET_TYPE)
  # What includes cudnn_frontend.h is slow to compile and thin. The test of
  # cuDNN's plans takes it without the rest.
  set(plan_sources ops/cuda/attention_key.cc ops/cuda/cudnn_attention_plan.cc)
  list(TRANSFORM plan_sources PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  list(REMOVE_ITEM EISBACH_CUDA_SOURCES ${plan_sources})
  add_library(eisbach_cudnn_plans OBJECT ${plan_sources})
  target_compile_options(eisbach_cudnn_plans PRIVATE -O1)
  target_link_libraries(eisbach_cudnn_plans
                        PUBLIC eisbach eisbach::cuda_headers eisbach::cudnn
                               eisbach::cudart)
  add_library(eisbach_cuda SHARED ${EISBACH_CUDA_SOURCES}
                                  ${EISBACH_CUDA_KERNELS})
  target_link_libraries(eisbach_cuda
    PUBLIC eisbach
    PRIVATE eisbach_cudnn_plans eisbach::cuda_headers eisbach::cudart
            eisbach::cublaslt eisbach::nccl eisbach::cudnn ${CMAKE_DL_LIBS})
  # nvcc has no part in the link, which leaves nothing for the loader to miss.
  set_target_properties(eisbach_cuda PROPERTIES LINKER_LANGUAGE CXX)
  target_link_options(eisbach_cuda PRIVATE LINKER:--no-undefined)
  # A spilled register is a kernel that needs another thought.
  target_compile_options(eisbach_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:
    --Werror=all-warnings --expt-relaxed-constexpr -Xptxas=-warn-spills
    -Xptxas=-warn-lmem-usage -Xfatbin=-compress-all>)
  # The wheels' libraries lie beside the package in site-packages.
  set_target_properties(eisbach_cuda PROPERTIES
    INSTALL_RPATH "$ORIGIN;$ORIGIN/../nvidia/cu13/lib;$ORIGIN/../nvidia/nccl/lib;$ORIGIN/../nvidia/cudnn/lib;$ORIGIN/../../.."
    INSTALL_RPATH_USE_LINK_PATH OFF)
  if(CMAKE_CROSSCOMPILING)  # not the folder of stubs
    set_target_properties(eisbach_cuda PROPERTIES BUILD_WITH_INSTALL_RPATH ON)
  endif()
  install(TARGETS eisbach_cuda LIBRARY DESTINATION eisbach)
endif()

if(EISBACH_CUDA_EMULATION)
  # CMake knows one language a source: the kernels get in through a .cc.
  foreach(kernel IN LISTS EISBACH_CUDA_KERNELS)
    cmake_path(GET kernel STEM stem)
    set(emulated ${CMAKE_CURRENT_BINARY_DIR}/emulated/${stem}.cc)
    file(CONFIGURE OUTPUT ${emulated} CONTENT "#include \"${kernel}\"\n")
    list(APPEND EISBACH_EMULATED_KERNELS ${emulated})
  endforeach()
  # A 64-bit number that becomes an index of 32 bits says so. What is computed
  # in 32 bits from the start no compiler sees: ops_cuda_wide_test does.
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    set_source_files_properties(${EISBACH_EMULATED_KERNELS} PROPERTIES
      COMPILE_OPTIONS
      "-Werror=conversion;-Wno-float-conversion;-Wno-sign-conversion")
  endif()
  # cuDNN has no double: its plans are checked by themselves.
  set(EISBACH_EMULATED_SOURCES ${EISBACH_CUDA_SOURCES})
  list(FILTER EISBACH_EMULATED_SOURCES EXCLUDE REGEX "/cudnn_[^/]*$")
  file(GLOB EISBACH_DOUBLES CONFIGURE_DEPENDS
       ${PROJECT_SOURCE_DIR}/tests/support/cuda/*.cc)
  # What is no kernel is compiled once for the libraries below.
  add_library(eisbach_cuda_bridge OBJECT ${EISBACH_EMULATED_SOURCES})
  target_include_directories(eisbach_cuda_bridge
                             PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(eisbach_cuda_bridge
                             PRIVATE EISBACH_CUDA_EMULATION)
  target_compile_options(eisbach_cuda_bridge PRIVATE -O2 -g1)
  target_link_libraries(eisbach_cuda_bridge
    PUBLIC eisbach PRIVATE eisbach::cuda_headers eisbach::mpi)
  # eisbach_emulated_gpu(name [option of the compiler and the linker ...])
  function(eisbach_emulated_gpu name)
    add_library(${name} SHARED $<TARGET_OBJECTS:eisbach_cuda_bridge>
                ${EISBACH_EMULATED_KERNELS} ${EISBACH_DOUBLES})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/tests)
    target_compile_definitions(${name} PUBLIC EISBACH_CUDA_EMULATION)
    target_compile_options(${name} PUBLIC -Wno-unknown-pragmas ${ARGN}
                           PRIVATE -O2 -g1)
    target_link_options(${name} PUBLIC ${ARGN})
    target_link_libraries(${name} PUBLIC eisbach eisbach::cuda_headers
                                  PRIVATE eisbach::mpi ${CMAKE_DL_LIBS})
  endfunction()
  eisbach_emulated_gpu(eisbach_cuda_emulated)
  # A kernel asks all the time which thread it is: some pointers, for which
  # there is room also where a library is loaded late.
  target_compile_options(eisbach_cuda_emulated
                         PRIVATE -ftls-model=initial-exec)
  # No sanitizer runs in the emulator of a processor.
  if(CMAKE_CROSSCOMPILING)
    return()
  endif()
  # Kernels that report each access to memory (tests/support/cuda/traffic.h).
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT EISBACH_SANITIZE)
    eisbach_emulated_gpu(eisbach_cuda_traffic)
    target_compile_definitions(eisbach_cuda_traffic
                               PRIVATE EISBACH_COUNT_TRAFFIC)
    target_compile_options(eisbach_cuda_traffic PRIVATE -fsanitize=thread)
  endif()
  if(NOT EISBACH_SANITIZE)
    # Only kernels and doubles are instrumented: the programs that load these
    # need no build of their own.
    eisbach_emulated_gpu(eisbach_cuda_asan -fsanitize=address,undefined
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
    eisbach_emulated_gpu(eisbach_cuda_tsan -fsanitize=thread
                         -fno-omit-frame-pointer)
    # The compiler takes longer over them than the tests.
    target_compile_options(eisbach_cuda_asan PRIVATE -O1)
    target_compile_options(eisbach_cuda_tsan PRIVATE -O1)
  endif()
endif()
