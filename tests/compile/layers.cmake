# No include of the library runs upward: a header includes only headers that stand in an earlier line of this table. To add
# a header, put it into the first line below everything that it includes, or give it a line of its own. None is long.
set(layers
    # the core
    "version detail/compiler detail/throw overflow"
    "detail/immortal detail/sync"
    "executor result detail/backoff detail/deadline detail/event_signal detail/lock detail/loop_lock detail/queue_segment
     detail/stop_callback"
    "detail/handler detail/parker detail/queue"
    "detail/feeder detail/waiter"
    "detail/watch"
    "detail/channel_state detail/ready_signal detail/select_case detail/select_registration"
    "detail/channel_steps detail/select_cases detail/timer_core"
    "detail/channel_base"
    "detail/select_engine"
    "detail/blocking detail/group"
    "detail/channel_core"
    "detail/handle"
    "detail/batch"
    "detail/batch_wait"
    "receiver sender"
    "weak"
    "channel"
    "detail/audience detail/cases detail/signal_hub"
    "cases detail/publication"
    "select signals"
    "timer broadcast pollable"
    "sluice"
    # coroutines
    "detail/suspension"
    "detail/async_operation detail/line_suspension"
    "detail/async_channel"
    "detail/async_broadcast detail/async_many detail/async_select via"
    "detail/async_members"
    "detail/loop_task detail/resumption_list detail/timer_heap"
    "detail/loop_core"
    "detail/loop_executor"
    "task this_executor"
    "run_loop"
    "sync_wait task_group"
    "async"
    # Asio
    "detail/asio_pending"
    "detail/asio_operation"
    "detail/asio_functions"
    "asio boost_asio"
    # between processes
    "ipc/any_bytes ipc/cereal_limits ipc/detail/block_pool ipc/detail/byte_transport ipc/detail/direct_reading
     ipc/detail/liveness ipc/detail/message_transport ipc/detail/process ipc/detail/type_id ipc/error
     ipc/error_sink"
    "ipc/detail/errors ipc/detail/frame ipc/detail/plain ipc/detail/read_buffer ipc/options"
    "ipc/detail/batching ipc/detail/codecs ipc/detail/decoder ipc/detail/descriptor ipc/detail/runtime_folder
     ipc/detail/transfer"
    "ipc/address ipc/codec ipc/detail/cereal_archive ipc/detail/pipe_transport ipc/detail/posix_queue
     ipc/detail/socket_transport ipc/detail/sockets ipc/detail/wake_up ipc/detail/write_buffer"
    "ipc/cereal ipc/detail/channel_reader ipc/detail/native_address ipc/detail/poller ipc/shared_bytes"
    "ipc/detail/host_query ipc/detail/io_handler"
    "ipc/detail/connect_socket ipc/detail/io_loop ipc/detail/listening_socket"
    "ipc/detail/acceptor ipc/detail/direct_read_handler ipc/detail/handler_waiter ipc/detail/outgoing"
    "ipc/detail/channel_writer ipc/detail/handshake_handler"
    "ipc/detail/message_handlers ipc/detail/stream"
    "ipc/detail/socket_stream ipc/message_queue ipc/pipe"
    "ipc/detail/client_stream ipc/detail/listener_clients"
    "ipc/socket"
    "ipc"
    # between machines
    "nats/error nats/message nats/options"
    "nats/detail/status nats/detail/travel"
    "nats/detail/client"
    "nats/detail/client_calls"
    "nats/detail/inbox nats/detail/intake"
    "nats/detail/endpoint"
    "nats/call nats/detail/asking nats/detail/jetstream nats/detail/receiving nats/detail/sending"
    "nats/detail/confirmed nats/detail/ticket"
    "nats/delivery"
    "nats/detail/pulling"
    "nats/stream"
    "nats/connection"
    "nats"
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
    file(READ ${checkout}/include/sluice/${header} text)
    string(REGEX MATCHALL "\n" lines "${text}")
    list(LENGTH lines count)
    if(count GREATER 450)
        message(SEND_ERROR "sluice/${header} has ${count} lines, and 450 are the limit: give one of its reasons a file of its own")
    endif()
    if(NOT name MATCHES "^((ipc|nats)(/|$)|(boost_)?asio$)" AND text MATCHES "#include <chrono>")
        message(SEND_ERROR "sluice/${header} includes <chrono>, which takes a tenth of a second to compile: <condition_variable> "
                           "has durations, clocks and literals; see detail/sync.hpp"
        )
    endif()
    # What travels between processes is found out by builtins, which the compilers of systems with POSIX have.
    string(REGEX REPLACE "//[^\n]*" "" code "${text}")
    if(NOT name MATCHES "^(detail/compiler|ipc/detail/(plain|type_id))$"
       AND code MATCHES "\\[\\[gnu::|__attribute__|__builtin_|__PRETTY_FUNCTION__|[^a-z_]asm "
    )
        message(SEND_ERROR "sluice/${header} depends on a compiler: ${CMAKE_MATCH_0} belongs into detail/compiler.hpp, with a "
                           "plain alternative"
        )
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
