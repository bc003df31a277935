# Schedules, their simulation and the partition need no ranks:
# parallel/pipeline/x_test.cc is the program pipeline_x_test.
foreach(stem schedule check_schedule place_exchanges simulate partition)
  eisbach_add_test(NAME pipeline_${stem}_test
                   SRC parallel/pipeline/${stem}_test.cc LABELS pipeline)
endforeach()
foreach(stem orders figures)
  eisbach_add_test(NAME pipeline_${stem}_test
                   SRC parallel/pipeline/schedules/${stem}_test.cc
                   LABELS pipeline)
endforeach()
