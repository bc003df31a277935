eisbach_add_test(NAME parallel_data_reducer_test
                 SRC parallel/data/reducer_test.cc LABELS parallel)
