# Every checkpoint/x_test.cc is the program checkpoint_x_test; those named
# x_mpi_test run on processes.
file(GLOB checkpoint_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR}
     CONFIGURE_DEPENDS checkpoint/*_test.cc)
foreach(source IN LISTS checkpoint_tests)
  get_filename_component(stem ${source} NAME_WE)
  if(stem MATCHES "_mpi_test$")
    eisbach_add_test(NAME checkpoint_${stem} SRC ${source} NP 1 4
                     LABELS checkpoint)
  elseif(stem STREQUAL save_faults_test)  # has an fsync of its own
    eisbach_add_test(NAME checkpoint_${stem} SRC ${source} LABELS checkpoint
                     ALONE)
  else()
    eisbach_add_test(NAME checkpoint_${stem} SRC ${source} LABELS checkpoint)
  endif()
endforeach()
