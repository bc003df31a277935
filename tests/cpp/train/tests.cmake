eisbach_add_test(NAME train_layouts_test SRC train/layouts_test.cc)
eisbach_add_test(NAME train_layouts_mpi_test SRC train/layouts_mpi_test.cc
                 NP 2 4)
eisbach_add_test(NAME train_same_bits_test SRC train/same_bits_test.cc)
eisbach_add_test(NAME train_meta_test SRC train/meta_test.cc)
eisbach_add_test(NAME train_engine_test SRC train/engine_test.cc)
