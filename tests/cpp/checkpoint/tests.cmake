# Every checkpoint/x_test.cc is the program checkpoint_x_test.
file(GLOB checkpoint_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
     CONFIGURE_DEPENDS checkpoint/*_test.cc)
foreach(source IN LISTS checkpoint_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME checkpoint_${stem} SRC ${source} LABELS checkpoint)
endforeach()
