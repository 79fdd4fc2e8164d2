# Fails if a shared object has a variable of the library's for itself: local, not of one thread, and no constant.
execute_process(COMMAND ${NM} -C -f sysv ${object} OUTPUT_FILE ${object}.symbols COMMAND_ERROR_IS_FATAL ANY)
file(STRINGS ${object}.symbols variables REGEX "sluice::.*[|] *[bd] *[|] *OBJECT")
list(FILTER variables EXCLUDE REGEX "^(vtable|typeinfo) for ")
# Each object asks by itself to be told of forks, since it may be unloaded; and these may be one for each: the number of processors,
# a limit of memory, and what a forked child leaves alone.
list(
    FILTER variables EXCLUDE
    REGEX "^(guard variable for )?sluice::detail::(sync::several_cpus|sync::fork_count|retained_memory::|core<.*::abandon)"
)
if(variables)
    list(JOIN variables "\n" variables)
    message(FATAL_ERROR "${object} has for itself:\n${variables}")
endif()
