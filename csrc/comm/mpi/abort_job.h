#pragma once

namespace eisbach::comm {

// Ends every process of the job; the launcher's exit status is `code`. After
// MPI_Init and before MPI_Finalize.
//
// As MPI_Abort, but without the nine lines that Open MPI prints there: whoever
// aborts has told the cause.
[[noreturn]] void AbortJob(int code);

}  // namespace eisbach::comm
