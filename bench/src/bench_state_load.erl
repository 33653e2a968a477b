%% SPDX-License-Identifier: Apache-2.0
-module(bench_state_load).
-moduledoc """
The workloads on maps, registry and clock, and beside each the same job done with what OTP has. Runs on the first VM of a pair.
""".
-behaviour(gen_server).

-export([prepare/1, measure/2]).
-export([init/1, handle_call/3, handle_cast/2]).

-define(CALLERS, 16).
-define(WRITERS, 64).
-define(MANY_KEYS, 1_000_000).
-define(FEW_KEYS, 10).
%% Iterations of what takes nanoseconds.
-define(FAST, 1_000_000).
-define(STARTS, 500).
-define(TIMEOUT_MS, 30_000).
-define(FSYNC_FILE, "bench_fsync").

%% Joins the two VMs and lets both host what is measured, so that every write has somebody to go to; but for maps that only this one hosts: what
%% the other one does with a write takes time of the same processors.
-spec prepare(node()) -> ok.
prepare(Other) ->
    ok = host(),
    ok = erpc:call(Other, fun() -> {ok, _} = application:ensure_all_started(barrel_p2p), ok end),
    ok = barrel_p2p:join(Other, #{timeout => ?TIMEOUT_MS}),
    ok = erpc:call(Other, fun host_maps/0),
    ok = erpc:call(Other, fun remote_service/0),
    {ok, Other, _} = barrel_p2p:whereis_service(bench_remote, #{retries => 10}),
    ok = start_mnesia(Other),
    {ok, _} = pg:start(bench),
    ok.

host() ->
    {ok, _} = application:ensure_all_started(barrel_p2p),
    {ok, _} = barrel_p2p:new_map(bench_own_few),
    {ok, _} = barrel_p2p:new_map(bench_own_many),
    {ok, _} = barrel_p2p:new_map(bench_own_disk, #{persist => true}),
    host_maps().

host_maps() ->
    [{ok, _} = barrel_p2p:new_map(Name) || Name <- [bench_few, bench_many]],
    {ok, _} = barrel_p2p:new_map(bench_disk, #{persist => true}),
    ok.

%% Held by a process that outlives the call.
remote_service() ->
    {ok, _} = barrel_p2p:start_service_holder(bench_remote),
    ok.

start_mnesia(Other) ->
    {ok, _} = application:ensure_all_started(mnesia),
    ok = erpc:call(Other, mnesia, start, []),
    {ok, [Other]} = mnesia:change_config(extra_db_nodes, [Other]),
    {atomic, ok} = mnesia:create_table(bench_table, [{ram_copies, [node(), Other]}]),
    ok = mnesia:wait_for_tables([bench_table], ?TIMEOUT_MS).

%% One value of every row and of what stands beside it.
-spec measure(node(), pos_integer()) -> bench_state_row:values().
measure(Other, Ms) ->
    Own10 = put_few(bench_own_few, Ms),
    Put10 = put_few(bench_few, Ms),
    {Server, Insert} = inserter(),
    [ok = barrel_p2p:map_put(Map, Key, 0) || Map <- [bench_own_many, bench_many], Key <- lists:seq(1, ?MANY_KEYS)],
    Values = #{
        own_10_ns => Own10,
        own_1m_ns => put_many(bench_own_many, Ms),
        put_10_ns => Put10,
        server_insert_ns => per_operation(Insert, Ms),
        put_1m_ns => put_many(bench_many, Ms),
        put_16_per_s => rate(?CALLERS, fun(Caller, N) -> ok = barrel_p2p:map_put(bench_few, {Caller, N rem 1000}, N) end, Ms),
        mnesia_per_s => rate(?CALLERS, fun(Caller, N) -> mnesia:async_dirty(fun mnesia:write/1, [{bench_table, {Caller, N rem 1000}, N}]) end, Ms),
        get_ns => fast(fun() -> {ok, _} = barrel_p2p:map_get(bench_few, 1) end),
        ets_lookup_ns => lookup_in_ets(),
        own_disk_64_per_s => put_durably(bench_own_disk, Ms),
        persistent_64_per_s => put_durably(bench_disk, Ms),
        fsync_64_per_s => with_file(fun(File) -> rate(?WRITERS, fun(_, N) -> ok = gen_server:call(File, {write, N}, ?TIMEOUT_MS) end, Ms) end),
        whereis_local_ns => with_service(fun() -> {ok, _} = barrel_p2p:whereis_service(bench_local) end),
        global_whereis_ns => with_global(fun() -> true = is_pid(global:whereis_name(bench_global)) end),
        whereis_remote_ns => fast(fun() -> {ok, Other, _} = barrel_p2p:whereis_service(bench_remote) end),
        register_16_per_s => rate(?CALLERS, fun register_and_unregister/2, Ms),
        pg_16_per_s => rate(?CALLERS, fun join_and_leave/2, Ms),
        via_start_us => starts(barrel_p2p),
        global_start_us => starts(global),
        hlc_now_ns => fast(fun() -> {timestamp, _, _} = barrel_p2p_hlc:now() end),
        system_time_ns => fast(fun() -> true = is_integer(erlang:system_time(millisecond)) end)},
    ok = gen_server:stop(Server),
    Values.

put_few(Map, Ms) ->
    per_operation(fun(N) -> ok = barrel_p2p:map_put(Map, N rem ?FEW_KEYS, N) end, Ms).

put_many(Map, Ms) ->
    per_operation(fun(N) -> ok = barrel_p2p:map_put(Map, 1 + N rem ?MANY_KEYS, N) end, Ms).

put_durably(Map, Ms) ->
    rate(?WRITERS, fun(Caller, N) -> ok = barrel_p2p:map_put(Map, {Caller, N rem 100}, N) end, Ms).

inserter() ->
    {ok, Server} = gen_server:start(?MODULE, table, []),
    {Server, fun(N) -> ok = gen_server:call(Server, {insert, N rem ?FEW_KEYS, N}) end}.

lookup_in_ets() ->
    Table = ets:new(bench, [set, protected, {read_concurrency, true}]),
    true = ets:insert(Table, {1, 1}),
    fast(fun() -> [{1, 1}] = ets:lookup(Table, 1) end).

with_file(Fun) ->
    {ok, Server} = gen_server:start(?MODULE, file, []),
    try Fun(Server)
    after
        ok = gen_server:stop(Server),
        ok = file:delete(?FSYNC_FILE)
    end.

with_service(Fun) ->
    ok = barrel_p2p:register_service(bench_local),
    try fast(Fun) after barrel_p2p:unregister_service(bench_local) end.

with_global(Fun) ->
    yes = global:register_name(bench_global, self()),
    try fast(Fun) after global:unregister_name(bench_global) end.

register_and_unregister(Caller, N) ->
    ok = barrel_p2p:register_service({Caller, N}),
    ok = barrel_p2p:unregister_service({Caller, N}).

join_and_leave(Caller, _N) ->
    ok = pg:join(bench, Caller, self()),
    ok = pg:leave(bench, Caller, self()).

%% Microseconds, the median: one start that meets a garbage collection is not the rule.
starts(Via) ->
    bench_statistics:median([start({via, Via, {bench, Via, N}}) || N <- lists:seq(1, ?STARTS)]).

start(Name) ->
    Before = erlang:monotonic_time(nanosecond),
    {ok, Pid} = gen_server:start(Name, ?MODULE, table, []),
    Took = erlang:monotonic_time(nanosecond) - Before,
    ok = gen_server:stop(Pid),
    Took / 1_000.

%% Nanoseconds of one call, by one caller, warmed up by as long again.
per_operation(Fun, Ms) ->
    1.0e9 / rate(1, fun(_, N) -> Fun(N) end, Ms).

%% Nanoseconds of what takes too little to look at the clock each time.
fast(Fun) ->
    _ = repeat(Fun, ?FAST div 10),
    repeat(Fun, ?FAST) / ?FAST.

repeat(Fun, Times) ->
    Before = erlang:monotonic_time(nanosecond),
    ok = times(Fun, Times),
    erlang:monotonic_time(nanosecond) - Before.

times(_Fun, 0) -> ok;
times(Fun, Left) -> Fun(), times(Fun, Left - 1).

%% Operations per second of so many callers, each with one at a time. Runs twice, the second time counts.
rate(Callers, Fun, Ms) ->
    _ = burst(Callers, Fun, Ms),
    burst(Callers, Fun, Ms).

burst(Callers, Fun, Ms) ->
    Before = erlang:monotonic_time(nanosecond),
    Until = Before + Ms * 1_000_000,
    Processes = [spawn_monitor(fun() -> exit({done, until(Until, Fun, Caller, 0)}) end) || Caller <- lists:seq(1, Callers)],
    Done = lists:sum([receive {'DOWN', Ref, process, Pid, {done, Count}} -> Count end || {Pid, Ref} <- Processes]),
    Done * 1.0e9 / (erlang:monotonic_time(nanosecond) - Before).

until(Until, Fun, Caller, N) ->
    case erlang:monotonic_time(nanosecond) >= Until of
        true -> N;
        false -> Fun(Caller, N), until(Until, Fun, Caller, N + 1)
    end.

%% The floor of a write through an owner process: a table, or a file that is flushed for each write.
init(table) ->
    {ok, ets:new(bench, [set, protected])};
init(file) ->
    {ok, File} = file:open(?FSYNC_FILE, [write, raw, binary]),
    {ok, File}.

handle_call({insert, Key, Value}, _From, Table) ->
    true = ets:insert(Table, {Key, Value}),
    {reply, ok, Table};
handle_call({write, N}, _From, File) ->
    ok = file:write(File, <<N:256>>),
    ok = file:datasync(File),
    {reply, ok, File}.

handle_cast(_Message, State) ->
    {noreply, State}.
