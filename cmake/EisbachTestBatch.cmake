# Most of the time that a test takes to compile is templates, and those are the
# same in the next file. So the files of a folder are compiled together, a few
# at a time: 8 files of train/ take 15 s together and 61 s one by one.
#
# A batch is a program, <folder>_tests_<n>, and each test in it a link to that
# program and a target that builds it. support/test_main.cc runs the tests of
# the file whose name the link has. A file's own namespace, called as the file,
# keeps its names from the others' (scripts/check_mirror.py).

# Files in a batch, at most. 4 of train/ take 11 s, so that half the size would
# make all of them take half as long again.
set(EISBACH_TEST_BATCH 8)

# eisbach_batch_test(name optimize source): puts a test into a batch.
function(eisbach_batch_test name optimize source)
  string(REGEX MATCH "^[^/]+" folder ${source})
  set_property(GLOBAL APPEND PROPERTY EISBACH_BATCHED ${folder}${optimize})
  set_property(GLOBAL APPEND PROPERTY EISBACH_BATCHED_${folder}${optimize}
               ${name})
  add_custom_target(${name})
  set_target_properties(${name} PROPERTIES EISBACH_SOURCE ${source}
                                           EISBACH_OPTIMIZE ${optimize})
endfunction()

# eisbach_make_batches(): the programs, once all tests are known.
function(eisbach_make_batches)
  get_property(keys GLOBAL PROPERTY EISBACH_BATCHED)
  list(REMOVE_DUPLICATES keys)
  foreach(key IN LISTS keys)
    get_property(tests GLOBAL PROPERTY EISBACH_BATCHED_${key})
    string(REGEX REPLACE "-O.$" "" folder ${key})
    list(LENGTH tests count)
    math(EXPR batches
         "(${count} + ${EISBACH_TEST_BATCH} - 1) / ${EISBACH_TEST_BATCH}")
    # Of one size, or one less.
    foreach(batch RANGE 1 ${batches})
      math(EXPR begin "${count} * (${batch} - 1) / ${batches}")
      math(EXPR size "${count} * ${batch} / ${batches} - ${begin}")
      list(SUBLIST tests ${begin} ${size} members)
      math(EXPR made_${folder} "${made_${folder}} + 1")
      eisbach_make_batch(${folder}_tests_${made_${folder}} ${members})
    endforeach()
  endforeach()
endfunction()

function(eisbach_make_batch program)
  foreach(test IN LISTS ARGN)
    get_target_property(source ${test} EISBACH_SOURCE)
    get_target_property(optimize ${test} EISBACH_OPTIMIZE)
    string(APPEND includes "#include \"cpp/${source}\"\n")
    string(APPEND table "    {\"${test}\", \"cpp/${source}\"},\n")
    file(CREATE_LINK ${program} ${CMAKE_CURRENT_BINARY_DIR}/${test} SYMBOLIC)
    add_dependencies(${test} ${program})
  endforeach()
  set(batch ${CMAKE_CURRENT_BINARY_DIR}/batches/${program}.cc)
  file(CONFIGURE OUTPUT ${batch} @ONLY CONTENT
"@includes@
#include \"support/test_main.h\"

[[maybe_unused]] static const bool told = eisbach::test::TellBatch({
@table@});
")
  eisbach_test_program(${program} ${optimize} ${batch})
  target_link_libraries(${program} PRIVATE eisbach_test_main)
endfunction()
