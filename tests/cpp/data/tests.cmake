# Every data/x_test.cc is the program data_x_test.
file(GLOB data_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     data/*_test.cc)
foreach(source IN LISTS data_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME data_${stem} SRC ${source} LABELS data)
endforeach()
