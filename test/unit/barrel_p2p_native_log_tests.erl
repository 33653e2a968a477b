%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_native_log_tests).
-moduledoc """
The NIFs of logs; what a log keeps is tested in native/store.
""".

-include_lib("eunit/include/eunit.hrl").

-define(NIF, barrel_p2p_nif).

dir() ->
    ok = barrel_p2p_native:load(),
    list_to_binary(filename:join(["_build", "test", "logs_of_records", integer_to_list(erlang:unique_integer([positive])) ++ "-" ++ os:getpid()])).

told(Log, Message) ->
    receive {barrel_p2p_log, Log, Message} -> ok after 5_000 -> error({not_told, Message}) end.

synced(Log, Seq) ->
    receive {barrel_p2p_log, Log, {synced, Up}} when Up >= Seq -> ok after 5_000 -> error(not_synced) end.

records_come_back_in_order_test() ->
    Dir = dir(),
    {ok, Log, []} = ?NIF:log_open(Dir, <<"l">>, self()),
    ?assertMatch({error, {in_use, _}}, ?NIF:log_open(Dir, <<"l">>, self())),
    {ok, 1} = ?NIF:log_append(Log, <<"one">>),
    {ok, 2} = ?NIF:log_append(Log, ["t", <<"w">>, $o]),
    synced(Log, 2),
    ok = ?NIF:log_close(Log),
    ok = ?NIF:log_close(Log),
    ?assertEqual({error, closed}, ?NIF:log_append(Log, <<>>)),
    ?assertEqual({error, closed}, ?NIF:log_snapshot(Log, [])),
    {ok, Again, Records} = ?NIF:log_open(Dir, <<"l">>, self()),
    ?assertEqual([<<"one">>, <<"two">>], Records),
    ok = ?NIF:log_snapshot(Again, [<<"both">>]),
    told(Again, snapshot_done),
    ok = ?NIF:log_close(Again),
    ?assertMatch({ok, _, [<<"both">>]}, reopened(Dir)),
    ok = ?NIF:log_delete(Dir, <<"l">>),
    ?assertMatch({ok, _, []}, reopened(Dir)).

reopened(Dir) ->
    {ok, Log, _} = Opened = ?NIF:log_open(Dir, <<"l">>, self()),
    ok = ?NIF:log_close(Log),
    Opened.

%% Megabytes take longer than a process may have a scheduler for itself.
large_record_holds_up_no_scheduler_test_() ->
    {spawn, fun() ->
        {ok, Log, []} = ?NIF:log_open(dir(), <<"l">>, self()),
        Appender = spawn_link(fun() -> receive go -> {ok, 1} = ?NIF:log_append(Log, binary:copy(<<1>>, 8_000_000)) end end),
        1 = erlang:trace(Appender, true, [running, scheduler_id]),
        Appender ! go,
        %% Dirty schedulers have number 0.
        receive {trace, Appender, in, {?NIF, log_append, 2}, 0} -> ok after 2_000 -> error(not_dirty) end,
        synced(Log, 1),
        ok = ?NIF:log_close(Log)
    end}.

log_of_a_dead_owner_is_free_test() ->
    Dir = dir(),
    {Pid, Monitor} = spawn_monitor(fun() ->
        {ok, Log, []} = ?NIF:log_open(Dir, <<"l">>, self()),
        {ok, 1} = ?NIF:log_append(Log, <<"kept">>)
    end),
    receive {'DOWN', Monitor, process, Pid, normal} -> ok end,
    ?assertEqual([<<"kept">>], free(Dir, 100)).

free(Dir, Left) ->
    case ?NIF:log_open(Dir, <<"l">>, self()) of
        {ok, Log, Records} -> ok = ?NIF:log_close(Log), Records;
        {error, {in_use, _}} when Left > 0 -> receive after 20 -> free(Dir, Left - 1) end
    end.
