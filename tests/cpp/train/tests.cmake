eisbach_add_test(NAME train_layouts_test SRC train/layouts_test.cc
                 ARGS --gtest_filter=-*Sweep*)
eisbach_add_sweep(NAME train_layouts_sweep TARGET train_layouts_test
                  TIMEOUT 3600 ARGS --gtest_filter=*Sweep*)
# The names begin with the number of ranks.
eisbach_add_test(NAME train_layouts_mpi_test SRC train/layouts_mpi_test.cc
                 NP 2 4 8
                 ARGS --gtest_filter=*/ranks@NP@_d1t2p1_gpt*:*/ranks@NP@_d2t1p2_llama*:*/ranks@NP@_d2t2p2_gpt*)
eisbach_add_sweep(NAME train_layouts_mpi_sweep TARGET train_layouts_mpi_test
                  NP 2 3 4 6 8 TIMEOUT 3600
                  ARGS --gtest_filter=*/ranks@NP@_*)
eisbach_add_test(NAME train_same_bits_test SRC train/same_bits_test.cc)
eisbach_add_test(NAME train_meta_test SRC train/meta_test.cc)
eisbach_add_test(NAME train_engine_test SRC train/engine_test.cc)
foreach(name clock_offset network_check network_report peak profile rank_location
        rank_trace tournament)
  eisbach_add_test(NAME train_${name}_test SRC train/${name}_test.cc)
endforeach()
eisbach_test_on_cuda(train_network_check_test FILTER *ARankAlone*:*Meta*)
