# Fails if a shared object has a variable of the library's for itself: local, not of one thread, and no constant; or one
# that is initialised at its first use, whose guard a forked child may find held for ever.
execute_process(COMMAND ${NM} -C -f sysv ${object} OUTPUT_FILE ${object}.symbols COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${object}.symbols variables REGEX "[|] *[bd] *[|] *OBJECT")
list(FILTER variables INCLUDE REGEX "^(guard variable for )?sluice::")
list(TRANSFORM variables REPLACE " *[|].*" "")
# Constants of the machine; that the object has asked to be told of forks, and of its own end; what leak checkers look at.
list(FILTER variables EXCLUDE REGEX "::(multicore|spin_pauses)\\(\\)::|::fork_handler|_at_load|::this_module\\(\\)::|::abandon\\(\\)::all|::ops_of<|::blocking::(sending|receiving)")
if(variables)
    list(JOIN variables "\n" variables)
    message(FATAL_ERROR "${object} has for itself:\n${variables}")
endif()

file(STRINGS ${object}.symbols guards REGEX "^guard variable for sluice::")
# What is initialised when the object is loaded; what a thread has for itself.
list(FILTER guards EXCLUDE REGEX "::fork_handler|_at_load|::this_thread\\(\\)::number")
if(guards)
    list(JOIN guards "\n" guards)
    message(FATAL_ERROR "${object} initialises at the first use:\n${guards}")
endif()
