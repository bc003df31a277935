# Every core/x_test.cc is the program core_x_test.
file(GLOB core_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     core/*_test.cc)
foreach(source IN LISTS core_tests)
  get_filename_component(stem ${source} NAME_WE)
  # These have a write and a read of their own.
  if(stem MATCHES "^(atomic_file|block_reader)_test$")
    eisbach_add_test(NAME core_${stem} SRC ${source} LABELS core ALONE)
  else()
    eisbach_add_test(NAME core_${stem} SRC ${source} LABELS core)
  endif()
endforeach()
eisbach_test_with_few_threads(core_threads_test)

# What the main of plain tests must notice: the tests of other files, which fail
# there, a selection of none, a suite of two files, and a name that it does not
# know.
eisbach_test_program(test_main_program -O0 core/main_program.cc)
target_link_libraries(test_main_program PRIVATE eisbach_test_main)
foreach(name other unknown)
  file(CREATE_LINK test_main_program
       ${CMAKE_CURRENT_BINARY_DIR}/test_main_${name} SYMBOLIC)
endforeach()
function(add_main_test name program expression)
  add_test(NAME test_main_${name} COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR}
           ${CMAKE_CURRENT_BINARY_DIR}/test_main_${program} ${ARGN})
  set_tests_properties(test_main_${name} PROPERTIES
    TIMEOUT ${EISBACH_TEST_TIMEOUT} LABELS unit
    PASS_REGULAR_EXPRESSION "${expression}")
endfunction()
add_main_test(own program "PASSED  . 2 tests")
add_main_test(filter program "PASSED  . 1 test\\." --gtest_filter=*Also)
add_main_test(left_out program "PASSED  . 1 test\\." --gtest_filter=-*Also)
add_main_test(none program "no test was selected" --gtest_filter=Other.*)
add_main_test(shared other "another file have a test suite Shared")
add_main_test(unknown unknown "start it as test_main_program, test_main_other")
