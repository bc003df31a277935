eisbach_add_test(NAME launcher_test SRC comm/launcher_test.cc LABELS comm)
eisbach_add_test(NAME world_test SRC comm/world_test.cc LABELS comm)
eisbach_add_test(NAME call_shape_test SRC comm/call_shape_test.cc LABELS comm)
eisbach_add_test(NAME communicator_agreement_test
                 SRC comm/communicator_agreement_test.cc NP 2 3 6 LABELS comm
                 HOT)
foreach(np 2 3)
  set_property(TEST communicator_agreement_test_np${np} PROPERTY
               ENVIRONMENT EISBACH_TRANSPORT=mpi)
endforeach()
set_property(TEST communicator_agreement_test_np6 PROPERTY
             ENVIRONMENT EISBACH_RANKS_PER_HOST=2)
if(EISBACH_CUDA_EMULATION)
  target_link_libraries(communicator_agreement_test PRIVATE eisbach::mpi)
  add_dependencies(communicator_agreement_test eisbach_cuda_emulated)
  eisbach_register(NAME nccl_communicator_agreement_test
                   TARGET communicator_agreement_test NP 3
                   LABELS "comm;cuda" TIMEOUT ${EISBACH_TEST_TIMEOUT})
  set_property(TEST nccl_communicator_agreement_test_np3 PROPERTY ENVIRONMENT
               ${EISBACH_EMULATED_GPU} EISBACH_CUDA_DOUBLE_DEVICES=8)
endif()
eisbach_add_test(NAME group_activity_test SRC comm/group_activity_test.cc
                 LABELS comm)
eisbach_add_test(NAME progress_test SRC comm/progress_test.cc LABELS comm)
eisbach_add_test(NAME sim_world_test SRC comm/sim/sim_world_test.cc
                 LABELS comm)
eisbach_add_test(NAME local_communicator_test
                 SRC comm/local/local_communicator_test.cc PARTS 4 LABELS comm
                 HOT)
eisbach_add_test(NAME local_world_test SRC comm/local/local_world_test.cc
                 LABELS comm)
eisbach_add_test(NAME mpi_communicator_test
                 SRC comm/mpi/mpi_communicator_test.cc NP 1 2 3 4 8
                 LABELS comm HOT)
foreach(np 1 2 3 4 8)  # whatever the ranks of one host would do by themselves
  set_property(TEST mpi_communicator_test_np${np} PROPERTY
               ENVIRONMENT EISBACH_TRANSPORT=mpi)
endforeach()
eisbach_add_test(NAME shm_communicator_test
                 SRC comm/shm/shm_communicator_test.cc NP 1 2 3 5 8
                 LABELS comm HOT)
foreach(np 1 2 3 5 8)
  set_property(TEST shm_communicator_test_np${np} PROPERTY
               ENVIRONMENT EISBACH_TRANSPORT=shm)
endforeach()
# Several hosts, made up: 2 + 1 ranks, three times 2, twice 4.
eisbach_add_test(NAME hierarchical_test
                 SRC comm/mpi/hierarchical_test.cc NP 3 6 8 LABELS comm HOT)
foreach(np 3 6)
  set_property(TEST hierarchical_test_np${np} PROPERTY
               ENVIRONMENT EISBACH_RANKS_PER_HOST=2)
endforeach()
set_property(TEST hierarchical_test_np8 PROPERTY
             ENVIRONMENT EISBACH_RANKS_PER_HOST=4)
eisbach_add_test(NAME host_blocks_test SRC comm/mpi/host_blocks_test.cc
                 LABELS comm)
if(EISBACH_CUDA_EMULATION)
  eisbach_add_test(NAME nccl_communicator_test
                   SRC comm/nccl/nccl_communicator_test.cc NP 1 2 3 4 8
                   LABELS "comm;cuda" HOT)
  target_link_libraries(nccl_communicator_test PRIVATE eisbach::mpi)
  add_dependencies(nccl_communicator_test eisbach_cuda_emulated)
  # Memory that is handed on at once, and another order of streams.
  eisbach_register(NAME nccl_communicator_caching_test
                   TARGET nccl_communicator_test NP 3
                   LABELS "comm;cuda" TIMEOUT ${EISBACH_TEST_TIMEOUT})
  foreach(test test_np1 test_np2 test_np3 test_np4 test_np8 caching_test_np3)
    set_property(TEST nccl_communicator_${test} PROPERTY ENVIRONMENT
                 ${EISBACH_EMULATED_GPU} EISBACH_CUDA_DOUBLE_DEVICES=8)
  endforeach()
  set_property(TEST nccl_communicator_caching_test_np3 APPEND PROPERTY
               ENVIRONMENT EISBACH_NO_CACHING_ALLOCATOR=0
               EISBACH_CUDA_DOUBLE_SEED=11)
  eisbach_add_test(NAME nccl_agreement_test
                   SRC comm/nccl/agreement_test.cc NP 2 3 LABELS "comm;cuda")
  target_link_libraries(nccl_agreement_test PRIVATE eisbach_cuda_emulated
                                                    eisbach::mpi)
  eisbach_add_test(NAME unique_ids_test SRC comm/nccl/unique_ids_test.cc
                   LABELS "comm;cuda" ALONE)
  target_sources(unique_ids_test PRIVATE
                 ${PROJECT_SOURCE_DIR}/csrc/comm/nccl/unique_ids.cc)
endif()
eisbach_add_test(NAME requests_test SRC comm/mpi/requests_test.cc NP 2
                 LABELS comm)
target_link_libraries(requests_test PRIVATE eisbach::mpi)
eisbach_add_test(NAME mpi_settings_test SRC comm/mpi/settings_test.cc
                 LABELS comm)
eisbach_add_test(NAME core_binding_test SRC comm/mpi/core_binding_test.cc
                 LABELS comm)
eisbach_add_test(NAME stale_segments_test
                 SRC comm/mpi/stale_segments_test.cc LABELS comm)

# Jobs that go wrong on purpose.
add_executable(mpi_fault_program comm/mpi/fault_program.cc)
target_link_libraries(mpi_fault_program PRIVATE eisbach eisbach_test_support)
foreach(fault nothing kill terminate exit abort hang stopped terminate_mpirun
        kill_mpirun)
  add_test(NAME mpi_fault_${fault}
           COMMAND ${Python_EXECUTABLE}
                   ${CMAKE_CURRENT_SOURCE_DIR}/comm/mpi/fault_test.py
                   ${EISBACH_MPIRUN} $<TARGET_FILE:mpi_fault_program> ${fault})
  set_tests_properties(mpi_fault_${fault} PROPERTIES
    TIMEOUT ${EISBACH_TEST_TIMEOUT}
                       LABELS "mpi;comm")
endforeach()
if(EISBACH_CUDA_EMULATION)
  foreach(fault nothing kill exit abort hang stopped nccl_error nccl_refuses
          nccl_sticks)
    add_test(NAME nccl_fault_${fault}
             COMMAND ${Python_EXECUTABLE}
                     ${CMAKE_CURRENT_SOURCE_DIR}/comm/mpi/fault_test.py
                     ${EISBACH_MPIRUN} $<TARGET_FILE:mpi_fault_program>
                     ${fault})
    set_tests_properties(nccl_fault_${fault} PROPERTIES
      TIMEOUT ${EISBACH_TEST_TIMEOUT}
      LABELS "mpi;comm;cuda" ENVIRONMENT
      "${EISBACH_EMULATED_GPU};EISBACH_CUDA_DOUBLE_DEVICES=3")
  endforeach()
  # More ranks than GPUs, which only tests may want.
  add_test(NAME nccl_too_many_ranks
           COMMAND ${EISBACH_MPIRUN} --allow-run-as-root --oversubscribe
                   --bind-to none -np 3 $<TARGET_FILE:mpi_fault_program>)
  set_tests_properties(nccl_too_many_ranks PROPERTIES
    TIMEOUT ${EISBACH_TEST_TIMEOUT}
    LABELS "mpi;comm;cuda"
    ENVIRONMENT "${EISBACH_EMULATED_GPU};EISBACH_CUDA_DOUBLE_DEVICES=2"
    PASS_REGULAR_EXPRESSION "this host has 3 ranks and 2 GPUs")
  add_test(NAME nccl_shared_gpu
           COMMAND ${EISBACH_MPIRUN} --allow-run-as-root --oversubscribe
                   --bind-to none -np 3 $<TARGET_FILE:mpi_fault_program>)
  set_tests_properties(nccl_shared_gpu PROPERTIES
    TIMEOUT ${EISBACH_TEST_TIMEOUT}
    LABELS "mpi;comm;cuda"
    ENVIRONMENT "${EISBACH_EMULATED_GPU};EISBACH_GPU_SHARING=1")
endif()
# A process that only looks as if mpirun had started it.
add_test(NAME mpi_launcher_mismatch COMMAND mpi_fault_program nothing)
set_tests_properties(mpi_launcher_mismatch PROPERTIES
  TIMEOUT ${EISBACH_TEST_TIMEOUT}
  LABELS "mpi;comm" ENVIRONMENT "OMPI_COMM_WORLD_SIZE=4"
  PASS_REGULAR_EXPRESSION "announces 4 ranks .OMPI_COMM_WORLD_SIZE=4.*sees 1")
# Hosts that are made up are announced, and a number that is none is an error.
function(add_ranks_per_host_test name value expression)
  add_test(NAME mpi_ranks_per_host_${name}
           COMMAND ${EISBACH_MPIRUN} --allow-run-as-root --oversubscribe
                   --bind-to none -np 4 ${CMAKE_CROSSCOMPILING_EMULATOR}
                   $<TARGET_FILE:mpi_fault_program> nothing)
  set_tests_properties(mpi_ranks_per_host_${name} PROPERTIES
    TIMEOUT ${EISBACH_TEST_TIMEOUT}
    LABELS "mpi;comm" ENVIRONMENT "EISBACH_RANKS_PER_HOST=${value}"
    PASS_REGULAR_EXPRESSION "${expression}")
endfunction()
add_ranks_per_host_test(told 2 "EISBACH_RANKS_PER_HOST=2 is for tests")
add_ranks_per_host_test(wrong 0
  "EISBACH_RANKS_PER_HOST=0 is not a number of at least 1")

# What the main of MPI tests must notice: a wrong number of ranks, a failure on
# one rank only, and ranks that are stuck because another has failed.
add_executable(mpi_main_program comm/mpi/main_program.cc
               ${PROJECT_SOURCE_DIR}/tests/support/mpi_main.cc)
target_link_libraries(mpi_main_program PRIVATE eisbach eisbach_test_support
                      GTest::gtest)
function(add_mpi_main_test name expression)
  add_test(NAME mpi_main_${name}
           COMMAND ${EISBACH_MPIRUN} --allow-run-as-root --oversubscribe
                   --bind-to none -np 2 ${CMAKE_CROSSCOMPILING_EMULATOR}
                   $<TARGET_FILE:mpi_main_program> ${ARGN})
  set_tests_properties(mpi_main_${name} PROPERTIES
    TIMEOUT ${EISBACH_TEST_TIMEOUT}
                       LABELS "mpi;comm"
                       PASS_REGULAR_EXPRESSION "${expression}")
endfunction()
add_mpi_main_test(wrong_ranks "started with 2 ranks and --expect_ranks=3"
                  --expect_ranks=3)
add_mpi_main_test(one_rank_fails "Main.OneRankFails failed on another rank"
                  --expect_ranks=2 --gtest_filter=*OneRankFails)
add_mpi_main_test(one_rank_leaves "other ranks do not come to its end"
                  --expect_ranks=2 --gtest_filter=*OneRankLeaves)
