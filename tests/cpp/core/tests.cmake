# Every core/x_test.cc is the program core_x_test.
file(GLOB core_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     core/*_test.cc)
foreach(source IN LISTS core_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME core_${stem} SRC ${source} LABELS core)
endforeach()
eisbach_test_with_few_threads(core_threads_test)
