# Every watch/x_test.cc is the program watch_x_test.
file(GLOB watch_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     watch/*_test.cc)
foreach(source IN LISTS watch_tests)
  get_filename_component(stem ${source} NAME_WE)
  eisbach_add_test(NAME watch_${stem} SRC ${source} LABELS watch)
endforeach()
