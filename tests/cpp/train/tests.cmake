eisbach_add_test(NAME train_layouts_test SRC train/layouts_test.cc PARTS 6
                 ARGS --gtest_filter=-*Sweep*)
eisbach_add_sweep(NAME train_layouts_sweep TARGET train_layouts_test PARTS 4
                  TIMEOUT 3600 ARGS --gtest_filter=*Sweep*)
# A sixteenth; scripts/sweep_layouts.sh runs all.
eisbach_add_test(NAME train_layouts_pairs_test SRC train/layouts_pairs_test.cc)
set_tests_properties(train_layouts_pairs_test PROPERTIES ENVIRONMENT
                     "GTEST_TOTAL_SHARDS=16;GTEST_SHARD_INDEX=1")
# The names begin with the number of ranks.
eisbach_add_test(NAME train_layouts_mpi_test SRC train/layouts_mpi_test.cc
                 NP 2 4 8
                 ARGS --gtest_filter=*/ranks@NP@_d1t2p1_gpt*:*/ranks@NP@_d2t1p2_llama*:*/ranks@NP@_d2t2p2_gpt*:*/ranks@NP@_*_zero*:*/ranks@NP@_d?t?p?c*)
eisbach_add_sweep(NAME train_layouts_mpi_sweep TARGET train_layouts_mpi_test
                  NP 2 3 4 6 8 TIMEOUT 3600
                  ARGS --gtest_filter=*/ranks@NP@_*)
eisbach_add_test(NAME train_same_bits_test SRC train/same_bits_test.cc PARTS 4)
eisbach_add_test(NAME train_loss_scale_test SRC train/loss_scale_test.cc PARTS 4)
eisbach_add_test(NAME train_meta_test SRC train/meta_test.cc)
eisbach_add_test(NAME train_engine_test SRC train/engine_test.cc)
# Where it takes a minute (an emulated processor), the others run beside it.
set_tests_properties(train_engine_test PROPERTIES COST 100)
eisbach_add_test(NAME train_family_choices_test SRC train/family_choices_test.cc
                 PARTS 3)
eisbach_add_test(NAME train_adapters_test SRC train/adapters_test.cc PARTS 3)
foreach(name attention_choices average clock_offset context documents frozen link_check
        link_rounds link_watch masked_targets network_check
        network_report network_use
        peak preference profile rank_location rank_trace replicas requests slow_links spikes stages step_times
        token_rows tournament)
  eisbach_add_test(NAME train_${name}_test SRC train/${name}_test.cc)
endforeach()
# Ranks are threads there, which the sanitizers' fibers do not take.
eisbach_test_on_cuda(train_network_check_test FILTER *ARankAlone*:*Meta*
                     NO_SANITIZERS)
# On hosts that are made up: whole data groups, and halves of them, lie on two.
foreach(np 4 8)
  eisbach_register(NAME train_layouts_hosts TARGET train_layouts_mpi_test
                   NP ${np} TIMEOUT ${EISBACH_TEST_TIMEOUT}
                   ARGS --gtest_filter=*/ranks@NP@_d4t1p1_*:*/ranks@NP@_d2t2p1_*:*/ranks@NP@_d4t2p1_*)
  math(EXPR half "${np} / 2")
  set_property(TEST train_layouts_hosts_np${np} PROPERTY
               ENVIRONMENT EISBACH_RANKS_PER_HOST=${half})
endforeach()
# A second thread is more than the toy is worth. Captured steps need the caching
# allocator.
eisbach_add_test(NAME train_one_device_test SRC train/one_device_test.cc)
set_tests_properties(train_one_device_test PROPERTIES
                     ENVIRONMENT OMP_NUM_THREADS=1)
eisbach_test_on_cuda(train_one_device_test FILTER * NO_SANITIZERS)
if(EISBACH_CUDA_EMULATION)
  set_property(TEST train_one_device_test_cuda APPEND PROPERTY ENVIRONMENT
               EISBACH_NO_CACHING_ALLOCATOR=0 OMP_NUM_THREADS=1)
endif()
# What a step asks of a GPU; links to the doubles, to read what they counted.
if(EISBACH_CUDA_EMULATION)
  eisbach_add_test(NAME train_cuda_counts_test SRC train/cuda_counts_test.cc
                   NP 1 2 4 LABELS cuda ARGS --gtest_filter=*/ranks@NP@_*:ranks@NP@/*)
  target_link_libraries(train_cuda_counts_test PRIVATE eisbach_cuda_emulated
                                                       eisbach::cuda_headers)
  # Captured steps; they need the caching allocator. The names begin with the
  # number of ranks.
  eisbach_add_test(NAME train_step_replay_test SRC train/step_replay_test.cc
                   NP 1 2 4 LABELS cuda
                   ARGS --gtest_filter=*/ranks@NP@_*)
  target_link_libraries(train_step_replay_test PRIVATE eisbach_cuda_emulated
                                                       eisbach::cuda_headers)
  eisbach_add_test(NAME train_step_replay_layouts_test
                   SRC train/step_replay_layouts_test.cc NP 2 4 LABELS cuda
                   ARGS --gtest_filter=*/ranks@NP@_*)
  target_link_libraries(train_step_replay_layouts_test
                        PRIVATE eisbach_cuda_emulated eisbach::cuda_headers)
  # Sleeps and clocks.
  eisbach_add_test(NAME train_cuda_step_times_test
                   SRC train/cuda_step_times_test.cc NP 2 4 LABELS cuda ALONE
                   ARGS --gtest_filter=*/ranks@NP@_*)
  target_link_libraries(train_cuda_step_times_test
                        PRIVATE eisbach_cuda_emulated eisbach::cuda_headers)
  foreach(np 2 4)
    eisbach_trains_on_cuda(train_cuda_step_times_test_np${np} SEED 5${np})
  endforeach()
  foreach(np 1 2 4)
    eisbach_trains_on_cuda(train_cuda_counts_test_np${np} SEED 1${np})
    eisbach_trains_on_cuda(train_step_replay_test_np${np} SEED 2${np})
  endforeach()
  foreach(np 2 4)
    eisbach_trains_on_cuda(train_step_replay_layouts_test_np${np} SEED 4${np})
  endforeach()
endif()
# Every layout of 2 and 4 emulated GPUs and the ends and the middle of 8, joined
# by the double of NCCL, against one rank on the CPU; llama where its heads are
# shared out, key/value heads also between ranks. Those of 2 also with memory
# that is new for every tensor: then nothing is read that nobody wrote.
if(EISBACH_CUDA_EMULATION)
  add_dependencies(train_layouts_mpi_test eisbach_cuda_emulated)
  set(gpt_2 */ranks2_*gpt*:*/ranks2_*c2_*_ulysses)
  set(gpt_4 */ranks4_*gpt*)
  set(gpt_8 */ranks8_d2t2p2_gpt*:*/ranks8_d1t8p1_gpt*:*/ranks8_d1t1p8_gpt*:*/ranks8_d8t1p1_gpt*)
  foreach(np 2 4 8)
    set(layouts --gtest_filter=${gpt_${np}}:*/ranks@NP@_d1t2p1_llama*:*/ranks@NP@_d2t2p1_llama*:*/ranks@NP@_d2t2p2_llama*:*/ranks@NP@_*_kv*)
    eisbach_register(NAME train_layouts_cuda TARGET train_layouts_mpi_test
                     NP ${np} TIMEOUT ${EISBACH_TEST_TIMEOUT} LABELS cuda
                     ARGS ${layouts})
    eisbach_trains_on_cuda(train_layouts_cuda_np${np} SEED 3${np})
  endforeach()
  eisbach_register(NAME train_layouts_cuda_new_memory
                   TARGET train_layouts_mpi_test NP 2
                   TIMEOUT ${EISBACH_TEST_TIMEOUT} LABELS cuda
                   ARGS --gtest_filter=*/ranks@NP@_d?t?p?_gpt_1f1b_adamw)
  set_property(TEST train_layouts_cuda_new_memory_np2 PROPERTY ENVIRONMENT
               ${EISBACH_EMULATED_GPU} EISBACH_CUDA_DOUBLE_DEVICES=8)
endif()
eisbach_add_test(NAME train_zero_test SRC train/zero_test.cc PARTS 4)
