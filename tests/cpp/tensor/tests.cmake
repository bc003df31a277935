# Every tensor/x_test.cc is the program tensor_x_test.
file(GLOB tensor_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     tensor/*_test.cc)
foreach(source IN LISTS tensor_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME tensor_${stem} SRC ${source} LABELS tensor)
endforeach()
