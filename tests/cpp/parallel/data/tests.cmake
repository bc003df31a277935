foreach(name matrix_work reducer shard_reducer weight_gather weight_window)
  eisbach_add_test(NAME parallel_data_${name}_test
                   SRC parallel/data/${name}_test.cc LABELS parallel)
endforeach()
# On emulated GPUs whose memory is handed on at once: without, each tensor that
# ends waits for all streams.
if(EISBACH_CUDA_EMULATION)
  eisbach_add_test(NAME parallel_data_reducer_mpi_test
                   SRC parallel/data/reducer_mpi_test.cc NP 2 3
                   LABELS "parallel;cuda")
  foreach(np 2 3)
    eisbach_trains_on_cuda(parallel_data_reducer_mpi_test_np${np} SEED ${np})
  endforeach()
endif()
