# Every ops/x_test.cc is the program ops_x_test.
file(GLOB op_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     ops/*_test.cc)
foreach(source IN LISTS op_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME ops_${stem} SRC ${source} LABELS ops)
endforeach()
# These tell Highway which instruction set to choose.
foreach(test IN ITEMS targets_test attention_targets_test)
  eisbach_add_test(NAME ops_cpu_${test} SRC ops/cpu/${test}.cc LABELS ops)
  target_link_libraries(ops_cpu_${test} PRIVATE eisbach::hwy)
endforeach()
# The kernels of the GPU against the same references.
foreach(test IN ITEMS elementwise_test matmul_test)
  eisbach_test_on_cuda(ops_${test})
endforeach()
# Without a caching allocator no work buffer is reused.
eisbach_test_on_cuda(ops_attention_test
                     FILTER -*ThreadCount*:*WorkBuffers*)
