# autograd/x_test.cc is the program autograd_x_test, and
# autograd/functions/x_test.cc the program autograd_functions_x_test.
file(GLOB autograd_tests RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS
     autograd/*_test.cc autograd/functions/*_test.cc)
foreach(source IN LISTS autograd_tests)
  string(REGEX REPLACE "\\.cc$" "" name ${source})
  string(REPLACE "/" "_" name ${name})
  eisbach_add_test(NAME ${name} SRC ${source} LABELS autograd HOT)
endforeach()
