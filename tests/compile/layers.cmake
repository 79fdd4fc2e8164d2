# No include of the library runs upward: a header includes only headers that stand in an earlier line of this table. To add
# a header, put it into the first line below everything that it includes, or give it a line of its own.
set(layers
    # the core
    "version detail/sync detail/throw"
    "result detail/backoff detail/deadline detail/lock detail/queue_segment"
    "detail/handler detail/parker detail/queue"
    "detail/feeder detail/waiter"
    "detail/channel_state detail/select_case"
    "detail/channel_base detail/select_engine detail/timer_core"
    "detail/blocking detail/handle"
    "detail/channel_core"
    "detail/batch"
    "channel"
    "detail/cases"
    "select"
    "timer broadcast"
    "sluice"
    # between processes
    "ipc/error ipc/fault ipc/detail/plain ipc/detail/process ipc/detail/type_id"
    "ipc/codec ipc/options ipc/detail/descriptor ipc/detail/direct_reading ipc/detail/frame"
    "ipc/address ipc/cereal ipc/shared_bytes ipc/detail/poller"
    "ipc/detail/io_loop ipc/detail/sockets"
    "ipc/detail/ends ipc/detail/lending"
    "ipc/detail/accepting ipc/detail/outgoing"
    "ipc/detail/stream"
    "ipc/message_queue ipc/pipe ipc/socket"
    "ipc"
)

set(table ${CMAKE_CURRENT_LIST_FILE})
set(number 0)
foreach(layer IN LISTS layers)
    math(EXPR number "${number} + 1")
    separate_arguments(names UNIX_COMMAND "${layer}")
    foreach(name IN LISTS names)
        set(layer_of_${name} ${number})
        if(NOT EXISTS ${checkout}/include/sluice/${name}.hpp)
            message(SEND_ERROR "sluice/${name}.hpp is gone: remove ${name} from the table in ${table}")
        endif()
    endforeach()
endforeach()

file(GLOB_RECURSE headers RELATIVE ${checkout}/include/sluice ${checkout}/include/sluice/*.hpp)
foreach(header IN LISTS headers)
    string(REGEX REPLACE "\\.hpp$" "" name ${header})
    if(NOT DEFINED layer_of_${name})
        message(SEND_ERROR "sluice/${header} is in no layer: put ${name} into the table in ${table}, in the first line "
                           "below those of all that it includes"
        )
        continue()
    endif()
    file(STRINGS ${checkout}/include/sluice/${header} includes REGEX "^ *# *include *[<\"]sluice/")
    foreach(include IN LISTS includes)
        string(REGEX REPLACE "^ *# *include *[<\"]sluice/([^>\"]+)\\.hpp[>\"].*" "\\1" included "${include}")
        if(DEFINED layer_of_${included} AND NOT layer_of_${included} LESS layer_of_${name})
            message(SEND_ERROR "sluice/${header} includes sluice/${included}.hpp, which is not below it: break the include, "
                               "or, if the two have changed places, move ${name} down in the table in ${table}"
            )
        endif()
    endforeach()
endforeach()
