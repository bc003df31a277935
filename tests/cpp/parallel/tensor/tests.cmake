eisbach_add_test(NAME parallel_collectives_test
                 SRC parallel/tensor/functions/collectives_test.cc)
eisbach_add_test(NAME parallel_heads_test SRC parallel/tensor/heads_test.cc)
eisbach_add_test(NAME parallel_sequence_test
                 SRC parallel/tensor/sequence_test.cc)
