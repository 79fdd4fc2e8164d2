# Fails if a shared object has a variable of the library's for itself: local, not of one thread, and no constant.
execute_process(COMMAND ${NM} -C -f sysv ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n|]*sluice::[^\n|]*[|][^\n|]*[|] *[bd] *[|] *OBJECT" variables "${symbols}")
list(FILTER variables EXCLUDE REGEX "^(guard variable for )?sluice::detail::sync::several_cpus|^(vtable|typeinfo) for ")
if(variables)
    list(JOIN variables "\n" variables)
    message(FATAL_ERROR "${object} has for itself:\n${variables}")
endif()
