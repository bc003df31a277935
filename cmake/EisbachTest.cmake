include(EisbachTestBatch)

# Seconds. The limit ends a test that hangs; it judges none. On a machine five
# times slower than a desktop, with four other jobs on it, a test takes some 25
# times as long as alone and shall not reach a quarter of it: what takes more
# than 15 seconds alone is cut into PARTS. A sanitizer or an emulator makes a
# test an order of magnitude slower.
set(EISBACH_TEST_TIMEOUT 1800)
if(EISBACH_SANITIZE OR CMAKE_CROSSCOMPILING)
  set(EISBACH_TEST_TIMEOUT 7200)
endif()

# eisbach_add_test(NAME name SRC file [NP n ...] [PARTS p]
#                  [LABELS l ...] [ARGS a ...] [HOT] [ALONE])
#
# Makes a GoogleTest program, tests/cpp/name in the build, of tests/cpp/<file>.
# Without NP it runs as a plain process; with NP it is registered once for each
# n as `mpirun -np n` (name_npN, label mpi). MPI tests bring their own main
# (support/mpi_main.cc).
# A plain program is a link to one that has the tests of several files of its
# folder, which are compiled together (EisbachTestBatch.cmake) and of which it
# runs those of its own file. ALONE is a file that shares no program: it is
# linked to more than the core, or replaces functions of the C library. NP is
# alone as well.
# HOT is a program that spends more time in its own loops than the compiler
# spends on them.
# With PARTS a plain process is registered as so many tests that can run side by
# side (name_part1, ...), each with its share of the cases.
# ARGS go to the program; `@NP@` in one is the number of ranks. In a cross build
# the emulator runs the program, and this machine's mpirun starts the emulators.
#
# eisbach_test_with_few_threads(test)
#
# The same program again, once for each way to make OpenMP give a smaller team
# than it is asked for.
#
# eisbach_add_sweep(NAME name TARGET target TIMEOUT s [NP n ...] [ARGS a ...])
#
# The same program again, with other arguments, as a test too slow for every
# day: only `ctest -C sweep` runs it.
function(eisbach_add_test)
  cmake_parse_arguments(T "HOT;ALONE" "NAME;SRC;PARTS" "NP;LABELS;ARGS" ${ARGN})
  set(optimize -O0)
  if(T_HOT)
    set(optimize -O1)
  endif()
  if(T_NP)
    eisbach_test_program(${T_NAME} ${optimize} ${T_SRC}
                         ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cc)
  elseif(T_ALONE)
    eisbach_test_program(${T_NAME} ${optimize} ${T_SRC})
    target_link_libraries(${T_NAME} PRIVATE eisbach_test_main)
  else()
    eisbach_batch_test(${T_NAME} ${optimize} ${T_SRC})
  endif()
  eisbach_register(NAME ${T_NAME} TARGET ${T_NAME} NP ${T_NP} PARTS ${T_PARTS}
                   LABELS ${T_LABELS} ARGS ${T_ARGS}
                   TIMEOUT ${EISBACH_TEST_TIMEOUT})
endfunction()

# eisbach_test_program(name optimize sources...): a program of its own.
function(eisbach_test_program name optimize)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE eisbach eisbach_test_support
                        GTest::gtest GTest::gmock)
  # Tests are compiled more often than they run, and most of that is headers,
  # which the first test reads for all.
  target_compile_options(${name} PRIVATE ${optimize})
  get_property(first GLOBAL PROPERTY EISBACH_FIRST_TEST${optimize})
  if(first)
    target_precompile_headers(${name} REUSE_FROM ${first})
  else()
    set_property(GLOBAL PROPERTY EISBACH_FIRST_TEST${optimize} ${name})
    target_precompile_headers(${name} PRIVATE
      <gtest/gtest.h> <gmock/gmock.h>
      <algorithm> <cmath> <cstdint> <functional> <map> <memory> <string>
      <utility> <vector> <absl/status/statusor.h> <absl/strings/str_cat.h>
      <absl/types/span.h> <tensor/tensor.h>
      <support/status_testing.h>)
  endif()
endfunction()

# eisbach_test_command(variable test)
#
# What add_test takes as the COMMAND of a test's plain process: the target, or
# the link, which CMake does not know for a program.
function(eisbach_test_command variable test)
  get_target_property(type ${test} TYPE)
  if(type STREQUAL EXECUTABLE)
    set(${variable} ${test} PARENT_SCOPE)
  else()
    set(${variable} ${CMAKE_CROSSCOMPILING_EMULATOR}
        ${CMAKE_CURRENT_BINARY_DIR}/${test} PARENT_SCOPE)
  endif()
endfunction()

# eisbach_test_on_cuda(test [FILTER f] [NO_SANITIZERS])
#
# Runs a test that eisbach_add_test has added on the emulated GPU as well: as
# test_cuda, with streams that run when the host waits, in a random order, and
# threads of a block in a random order (label cuda). FILTER is GoogleTest's;
# without it all cases run but those of errors and threads, which are the same
# on every device.
# With EISBACH_CUDA also as test_gpu on the real one (label gpu): where no GPU
# is, it does not run, and ctest says so. The target eisbach_gpu_tests builds all
# of these.
if(EISBACH_CUDA)
  add_custom_target(eisbach_gpu_tests)
endif()
function(eisbach_test_on_cuda name)
  cmake_parse_arguments(T "NO_SANITIZERS" "FILTER" "" ${ARGN})
  if(NOT T_FILTER)
    set(T_FILTER -*NamesWhat*:*ErrorsSay*:*Threads*:*ThreadCount*:*AnyThread*:*WorkBuffers*)
    set(finite_differences :*FiniteDifferences*:*IsTheGradient*)
  endif()
  eisbach_test_command(command ${name})
  if(EISBACH_CUDA_EMULATION)
    add_test(NAME ${name}_cuda COMMAND ${command} --gtest_filter=${T_FILTER})
    add_dependencies(${name} eisbach_cuda_emulated)
    set_tests_properties(${name}_cuda PROPERTIES LABELS cuda
      TIMEOUT ${EISBACH_TEST_TIMEOUT} ENVIRONMENT "${EISBACH_EMULATED_GPU}")
  endif()
  if(EISBACH_CUDA AND NOT CMAKE_CROSSCOMPILING)
    add_test(NAME ${name}_gpu COMMAND ${command} --gtest_filter=${T_FILTER})
    add_dependencies(${name} eisbach_cuda)
    add_dependencies(eisbach_gpu_tests ${name})
    set_tests_properties(${name}_gpu PROPERTIES LABELS gpu RUN_SERIAL ON
      TIMEOUT ${EISBACH_TEST_TIMEOUT} SKIP_RETURN_CODE 77
      ENVIRONMENT "EISBACH_TEST_DEVICE=cuda;EISBACH_CUDA_LIBRARY=$<TARGET_FILE:eisbach_cuda>")
  endif()
  if(NOT TARGET eisbach_cuda_asan OR T_NO_SANITIZERS)
    return()
  endif()
  # The same program on a GPU whose kernels are instrumented: name_cuda_asan,
  # name_cuda_tsan. It brings no sanitizer along, hence the preload. Finite
  # differences launch the kernels of the other cases many hundred times more.
  foreach(sanitizer IN ITEMS asan tsan)
    add_test(NAME ${name}_cuda_${sanitizer}
             COMMAND ${command} --gtest_filter=${T_FILTER}${finite_differences})
    set_tests_properties(${name}_cuda_${sanitizer} PROPERTIES
      TIMEOUT 7200 LABELS cuda_${sanitizer}
      ENVIRONMENT "${EISBACH_EMULATED_GPU};${EISBACH_GPU_${sanitizer}}")
  endforeach()
endfunction()
# What makes a program run on the emulated GPU.
set(EISBACH_EMULATED_GPU EISBACH_TEST_DEVICE=cuda
    EISBACH_CUDA_LIBRARY=$<TARGET_FILE:eisbach_cuda_emulated>
    EISBACH_NO_CACHING_ALLOCATOR=1 EISBACH_CUDA_DOUBLE_SEED=7
    EISBACH_CUDA_SCHEDULE_SEED=3)
foreach(sanitizer IN ITEMS asan tsan)
  execute_process(COMMAND ${CMAKE_CXX_COMPILER}
                          -print-file-name=lib${sanitizer}.so
                  OUTPUT_VARIABLE _runtime OUTPUT_STRIP_TRAILING_WHITESPACE)
  # Later settings win over those of EISBACH_EMULATED_GPU. UCX, which Open MPI
  # loads, puts itself before madvise; the sanitizer falls over it when a thread
  # ends.
  set(EISBACH_GPU_${sanitizer} LD_PRELOAD=${_runtime}
      ASAN_OPTIONS=detect_leaks=0
      UCX_MEM_EVENTS=no UCX_MEM_MMAP_HOOK_MODE=none
      EISBACH_CUDA_LIBRARY=$<TARGET_FILE:eisbach_cuda_${sanitizer}>)
endforeach()

# eisbach_trains_on_cuda(test SEED n)
#
# Makes a registered test's ranks those of emulated GPUs, a GPU each, with
# memory that is handed on as in training. SEED: of the order in which streams
# and threads run.
function(eisbach_trains_on_cuda test)
  cmake_parse_arguments(T "" "SEED" "" ${ARGN})
  set_property(TEST ${test} PROPERTY ENVIRONMENT
    ${EISBACH_EMULATED_GPU} EISBACH_CUDA_DOUBLE_DEVICES=8
    EISBACH_NO_CACHING_ALLOCATOR=0 EISBACH_CUDA_DOUBLE_SEED=${T_SEED}
    EISBACH_CUDA_SCHEDULE_SEED=${T_SEED})
endfunction()

function(eisbach_test_with_few_threads name)
  eisbach_test_command(command ${name})
  foreach(setting IN ITEMS OMP_THREAD_LIMIT=1 OMP_DYNAMIC=true
          OMP_MAX_ACTIVE_LEVELS=0)
    add_test(NAME ${name}_${setting} COMMAND ${command})
    set_tests_properties(${name}_${setting} PROPERTIES LABELS unit
      TIMEOUT ${EISBACH_TEST_TIMEOUT} ENVIRONMENT ${setting})
  endforeach()
endfunction()

function(eisbach_add_sweep)
  eisbach_register(${ARGN} LABELS sweep CONFIGURATIONS sweep)
endfunction()

function(eisbach_register)
  cmake_parse_arguments(T "" "NAME;TARGET;TIMEOUT;PARTS"
                        "NP;LABELS;ARGS;CONFIGURATIONS" ${ARGN})
  if(T_CONFIGURATIONS)
    set(configurations CONFIGURATIONS ${T_CONFIGURATIONS})
  endif()
  eisbach_test_command(command ${T_TARGET})
  if(T_PARTS)
    math(EXPR last "${T_PARTS} - 1")
    foreach(index RANGE ${last})
      math(EXPR part "${index} + 1")
      set(name ${T_NAME}_part${part})
      add_test(NAME ${name} ${configurations} COMMAND ${command} ${T_ARGS})
      set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT}
        LABELS "unit;${T_LABELS}" ENVIRONMENT
        "GTEST_TOTAL_SHARDS=${T_PARTS};GTEST_SHARD_INDEX=${index}")
    endforeach()
    return()
  endif()
  if(NOT T_NP)
    add_test(NAME ${T_NAME} ${configurations} COMMAND ${command} ${T_ARGS})
    set_tests_properties(${T_NAME} PROPERTIES TIMEOUT ${T_TIMEOUT}
                         LABELS "unit;${T_LABELS}")
    return()
  endif()
  foreach(np IN LISTS T_NP)
    string(REPLACE "@NP@" ${np} arguments "${T_ARGS}")
    add_test(NAME ${T_NAME}_np${np} ${configurations}
             COMMAND ${EISBACH_MPIRUN} --allow-run-as-root --oversubscribe
                     --bind-to none -np ${np} ${CMAKE_CROSSCOMPILING_EMULATOR}
                     $<TARGET_FILE:${T_TARGET}> --expect_ranks=${np}
                     ${arguments})
    set_tests_properties(${T_NAME}_np${np} PROPERTIES TIMEOUT ${T_TIMEOUT}
                         LABELS "mpi;${T_LABELS}")
  endforeach()
endfunction()
