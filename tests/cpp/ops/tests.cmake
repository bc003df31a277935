# Every ops/x_test.cc is the program ops_x_test.
file(GLOB op_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     ops/*_test.cc)
foreach(source IN LISTS op_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME ops_${stem} SRC ${source} LABELS ops)
endforeach()
<<<<<<< HEAD
eisbach_add_test(NAME ops_cpu_targets_test SRC ops/cpu/targets_test.cc
                 LABELS ops)
target_link_libraries(ops_cpu_targets_test PRIVATE eisbach::hwy)
=======
# It tells Highway which instruction set to choose.
target_link_libraries(ops_targets_test PRIVATE eisbach::hwy)
>>>>>>> 627139c (Measure the CPU ops, compare instruction sets, and convert through the shared vector loads)
