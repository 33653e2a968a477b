%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_tests).
-moduledoc """
A replicated map on one node: what the functions answer, who is told what, and what a crash leaves. What several nodes make of it is in map_SUITE.
""".
-include_lib("eunit/include/eunit.hrl").

-export([is_even/1]).

-define(STEP_MS, 5_000).

map_test_() ->
    {foreach, fun started/0, fun stopped/1,
     [fun opening_is_idempotent/0, fun names_and_options_are_checked/0, fun written_is_read/0, fun one_and_one_point_zero_are_two_keys/0,
      fun map_that_is_not_open_is_empty/0, fun deleted_map_is_gone_and_a_new_one_is_empty/0, fun subscribers_are_told_every_local_write/0,
      fun validator_decides/0, fun too_large_is_refused/0, fun changes_of_others_are_told_when_they_can_be_seen/0,
      fun older_change_of_another_does_not_show/0, fun change_of_another_is_validated/0,
      fun values_that_come_before_the_validator_can_work_are_not_lost/0, fun validator_that_always_fails_rejects_in_the_end/0,
      fun nonsense_is_ignored/0,
      fun content_has_the_documented_shape/0, fun map_of_tombstones_only_has_a_snapshot/0, fun many_changes_leave_the_owner_responsive/0,
      fun crash_of_the_owner_loses_nothing/0, fun map_can_be_read_and_written_while_its_owner_starts/0, fun crash_of_the_supervisor_loses_no_map/0,
      fun persistent_map_is_there_after_a_restart/0, fun deleted_persistent_map_does_not_come_back/0, fun disk_that_refuses_is_told/0,
      fun values_of_a_node_that_is_not_there_are_hidden/0,
      fun removal_of_more_than_the_log_has_room_for_is_completed/0]}.

configured_maps_are_opened_and_invalid_ones_are_not_fatal_test() ->
    Maps = [{good, #{}}, plain, {"bad", #{}}, {bad_options, #{scan_ms => 0}}, 17, {other, #{tombstone_ttl_ms => 0}}],
    ok = config_fixture:load([{replicated_maps, Maps}]),
    ok = logger:add_handler_filter(default, quiet, {fun(_, _) -> stop end, none}),
    try
        {ok, _} = application:ensure_all_started(barrel_p2p),
        ?assertEqual([good, other, plain], lists:sort(barrel_p2p_map_sup:which_maps())),
        ok = barrel_p2p:map_put(good, a, 1)
    after
        ok = application:stop(barrel_p2p),
        ok = logger:remove_handler_filter(default, quiet),
        ok = config_fixture:reset()
    end.

opening_is_idempotent() ->
    {ok, Pid} = barrel_p2p:new_map(m),
    ok = barrel_p2p:map_put(m, a, 1),
    ?assertEqual([{ok, Pid}, {ok, Pid}], [barrel_p2p:new_map(m), barrel_p2p:new_map(m, #{persist => true})]),
    ?assertEqual({ok, 1}, barrel_p2p:map_get(m, a)),
    ?assertEqual([m], barrel_p2p_map_sup:which_maps()).

names_and_options_are_checked() ->
    [?assertEqual({error, invalid_map_name}, barrel_p2p:new_map(Name)) || Name <- ["m", <<"m">>, {m}, 1, long_atom()]],
    ?assertEqual({error, invalid_map_name}, barrel_p2p:new_map(m, [])),
    [?assertEqual({error, {invalid_option, Key}}, barrel_p2p:new_map(m, #{Key => Value}))
     || {Key, Value} <- [{validator, 1}, {validator, fun() -> true end}, {validator, {"m", f}}, {tombstone_ttl_ms, -1}, {tombstone_ttl_ms, 1.0},
                         {scan_ms, 0}, {prune_on_peer_down, 1}, {persist, "dir"}]],
    ?assertEqual([], barrel_p2p_map_sup:which_maps()),
    {ok, _} = barrel_p2p:new_map(m, #{unknown => option}),
    {ok, _} = barrel_p2p:new_map('any /.. name é', #{persist => true}),
    ok = barrel_p2p:map_put('any /.. name é', a, 1),
    ok = barrel_p2p:delete_map('any /.. name é').

long_atom() ->
    list_to_atom(lists:duplicate(250, $m)).

written_is_read() ->
    {ok, _} = barrel_p2p:new_map(m),
    Terms = [a, "a", <<"a">>, {a, 1}, [], #{a => 1}, self(), make_ref(), 1 bsl 100, <<1:3>>, fun lists:map/2],
    [ok = barrel_p2p:map_put(m, Term, {value, Term}) || Term <- Terms],
    [?assertEqual({ok, {value, Term}}, barrel_p2p:map_get(m, Term)) || Term <- Terms],
    ?assertEqual({lists:sort(Terms), lists:sort([{Term, {value, Term}} || Term <- Terms])},
                 {lists:sort(barrel_p2p:map_keys(m)), lists:sort(barrel_p2p:map_to_list(m))}),
    [ok = barrel_p2p:map_remove(m, Term) || Term <- Terms],
    ?assertEqual({[], not_found}, {barrel_p2p:map_to_list(m), barrel_p2p:map_get(m, a)}).

one_and_one_point_zero_are_two_keys() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:map_put(m, 1, integer),
    ok = barrel_p2p:map_put(m, 1.0, float),
    ?assertEqual([{ok, integer}, {ok, float}], [barrel_p2p:map_get(m, Key) || Key <- [1, 1.0]]),
    ok = barrel_p2p:map_remove(m, 1.0),
    ?assertEqual([{ok, integer}, not_found], [barrel_p2p:map_get(m, Key) || Key <- [1, 1.0]]).

map_that_is_not_open_is_empty() ->
    ?assertEqual({not_found, [], []}, {barrel_p2p:map_get(m, a), barrel_p2p:map_keys(m), barrel_p2p:map_to_list(m)}),
    ?assertEqual(lists:duplicate(6, {error, no_such_map}),
                 [barrel_p2p:map_put(m, a, 1), barrel_p2p:map_remove(m, a), barrel_p2p:subscribe_map(m), barrel_p2p:subscribe_map(m, self()),
                  barrel_p2p:unsubscribe_map(m), barrel_p2p:unsubscribe_map(m, self())]),
    ?assertEqual(ok, barrel_p2p:delete_map(m)).

deleted_map_is_gone_and_a_new_one_is_empty() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:subscribe_map(m),
    ok = barrel_p2p:map_put(m, a, 1),
    ok = barrel_p2p:delete_map(m),
    ?assertEqual({not_found, {error, no_such_map}}, {barrel_p2p:map_get(m, a), barrel_p2p:map_put(m, a, 1)}),
    {ok, _} = barrel_p2p:new_map(m),
    ?assertEqual([], barrel_p2p:map_to_list(m)),
    ok = barrel_p2p:map_put(m, b, 1),
    ?assertEqual([{put, a, 1}], told(m)).

subscribers_are_told_every_local_write() ->
    {ok, _} = barrel_p2p:new_map(m),
    [ok = barrel_p2p:subscribe_map(m) || _ <- [1, 2]],
    [ok = barrel_p2p:map_put(m, a, 1) || _ <- [1, 2]],
    ok = barrel_p2p:map_remove(m, never_there),
    ?assertEqual([{put, a, 1}, {put, a, 1}, {remove, never_there}], told(m)),
    ok = barrel_p2p:unsubscribe_map(m),
    ok = barrel_p2p:map_put(m, a, 2),
    ?assertEqual([], told(m)).

validator_decides() ->
    [begin
         {ok, _} = barrel_p2p:new_map(m, #{validator => Validator}),
         ?assertEqual([ok, {error, invalid_value}, {error, invalid_value}], [barrel_p2p:map_put(m, a, Value) || Value <- [2, 3, not_a_number]]),
         ?assertEqual([{a, 2}], barrel_p2p:map_to_list(m)),
         ok = barrel_p2p:delete_map(m)
     end || Validator <- [fun is_even/1, {?MODULE, is_even}, fun(2) -> true; (3) -> yes end]].

%% A value that is no number makes it fail.
is_even(Number) ->
    Number rem 2 =:= 0.

too_large_is_refused() ->
    {ok, _} = barrel_p2p:new_map(m),
    ?assertEqual([{error, too_large}, {error, too_large}, {error, too_large}, ok],
                 [barrel_p2p:map_put(m, binary:copy(<<0>>, 70_000), 1), barrel_p2p:map_put(m, a, binary:copy(<<0>>, 600_000)),
                  barrel_p2p:map_remove(m, binary:copy(<<0>>, 70_000)), barrel_p2p:map_put(m, a, binary:copy(<<0>>, 500_000))]),
    ?assertMatch([{a, _}], barrel_p2p:map_to_list(m)).

%% Changes of others, given as the documented shape.

changes_of_others_are_told_when_they_can_be_seen() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:subscribe_map(m),
    Sent = fun(Entries) -> ok = barrel_p2p_map:replica_merge_delta(m, maps:from_list(Entries)) end,
    ok = Sent([{a, value(1, stamp(1))}, {gone, {tombstone, stamp(1)}}]),
    ok = until(fun() -> barrel_p2p:map_get(m, a) =:= {ok, 1} end),
    %% The same again, the same value written anew, a removal of what is not there.
    ok = Sent([{a, value(1, stamp(1))}]),
    ok = Sent([{a, value(1, stamp(2))}, {never_there, {tombstone, stamp(2)}}]),
    ok = Sent([{a, {tombstone, stamp(3)}}]),
    ok = until(fun() -> barrel_p2p:map_get(m, a) =:= not_found end),
    ?assertEqual([{put, a, 1}, {remove, a}], told(m)).

older_change_of_another_does_not_show() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:map_put(m, a, ours),
    ok = barrel_p2p:subscribe_map(m),
    ok = barrel_p2p_map:replica_merge_delta(m, #{a => value(theirs, stamp(-60_000)), b => value(1, stamp(0))}),
    ok = until(fun() -> barrel_p2p:map_get(m, b) =:= {ok, 1} end),
    ?assertEqual({{ok, ours}, [{put, b, 1}]}, {barrel_p2p:map_get(m, a), told(m)}).

change_of_another_is_validated() ->
    {ok, _} = barrel_p2p:new_map(m, #{validator => {?MODULE, is_even}}),
    ok = barrel_p2p_map:replica_merge_delta(m, #{odd => value(1, stamp(0)), bad => value(nan, stamp(0)), even => value(2, stamp(0))}),
    ok = until(fun() -> barrel_p2p:map_get(m, even) =:= {ok, 2} end),
    ?assertEqual([{even, 2}], barrel_p2p:map_to_list(m)),
    {sync, Content} = barrel_p2p_map:replica_full_sync_snapshot(m),
    ?assertEqual([even], maps:keys(Content)).

%% A map of the configuration is open before the application whose table its validator looks into.
values_that_come_before_the_validator_can_work_are_not_lost() ->
    {ok, _} = barrel_p2p:new_map(m, #{validator => fun(Value) -> ets:member(allowed_values, Value) end}),
    ok = barrel_p2p_map:replica_merge_delta(m, #{a => value(1, stamp(0)), b => value(2, stamp(0)), gone => {tombstone, stamp(0)}}),
    ?assertEqual({error, invalid_value}, barrel_p2p:map_put(m, c, 1)),
    ok = until(fun() -> is_failing(m) end),
    allowed_values = ets:new(allowed_values, [named_table, public]),
    true = ets:insert(allowed_values, {1}),
    ok = until(fun() -> barrel_p2p:map_to_list(m) =:= [{a, 1}] end),
    %% It works now, so that what it fails for is not waited for.
    true = ets:delete(allowed_values),
    ok = barrel_p2p_map:replica_merge_delta(m, #{d => value(1, stamp(0)), e => {tombstone, stamp(0)}}),
    ok = until(fun() -> {sync, Content} = barrel_p2p_map:replica_full_sync_snapshot(m), is_map_key(e, Content) end),
    ?assertEqual([{a, 1}], barrel_p2p:map_to_list(m)).

validator_that_always_fails_rejects_in_the_end() ->
    {ok, _} = barrel_p2p:new_map(m, #{validator => fun(_) -> error(always) end}),
    ok = barrel_p2p_map:replica_merge_delta(m, #{a => value(1, stamp(0)), gone => {tombstone, stamp(0)}}),
    ok = until(fun() -> is_failing(m) end),
    %% Half a minute is over.
    _ = sys:replace_state(barrel_p2p_map:owner_name(m),
                          fun(State) -> list_to_tuple([earlier(Field) || Field <- tuple_to_list(State)]) end),
    ok = until(fun() -> not is_failing(m) end),
    ?assertMatch({sync, #{gone := {tombstone, _}}}, barrel_p2p_map:replica_full_sync_snapshot(m)),
    ?assertEqual([], barrel_p2p:map_to_list(m)).

earlier({failing, Ms}) -> {failing, Ms - 60_000};
earlier(Field) -> Field.

is_failing(Map) ->
    lists:any(fun(E) -> is_tuple(E) andalso element(1, E) =:= failing end, tuple_to_list(sys:get_state(barrel_p2p_map:owner_name(Map)))).

nonsense_is_ignored() ->
    {ok, _} = barrel_p2p:new_map(m),
    Owner = whereis(barrel_p2p_map:owner_name(m)),
    [ok = barrel_p2p_map:replica_merge_delta(m, Delta) || Delta <- [garbage, #{a => garbage}, #{a => {value, 1, #{}}}, [a | b]]],
    [Owner ! Message || Message <- [garbage, {barrel_p2p_store, make_ref(), staged}, {barrel_p2p_member, 'x@h', up}]],
    ok = gen_server:cast(Owner, garbage),
    ok = barrel_p2p:map_put(m, a, 1),
    ?assertEqual(Owner, whereis(barrel_p2p_map:owner_name(m))).

content_has_the_documented_shape() ->
    {ok, _} = barrel_p2p:new_map(m),
    ?assertEqual(empty, barrel_p2p_map:replica_full_sync_snapshot(m)),
    ok = barrel_p2p:map_put(m, a, 1),
    ok = barrel_p2p:map_put(m, a, 2),
    {sync, #{a := {value, 2, Dots}} = Content} = barrel_p2p_map:replica_full_sync_snapshot(m),
    ?assertMatch([{{nonode@nohost, {timestamp, _, _}}, true}], maps:to_list(Dots)),
    {ok, _} = barrel_p2p:new_map(copy),
    ok = barrel_p2p_map:replica_apply_full_sync(copy, Content),
    ok = until(fun() -> barrel_p2p_map:replica_full_sync_snapshot(copy) =:= {sync, Content} end).

%% C12: deletions alone travel too.
map_of_tombstones_only_has_a_snapshot() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:map_remove(m, a),
    ?assertMatch({sync, #{a := {tombstone, _}}}, barrel_p2p_map:replica_full_sync_snapshot(m)).

many_changes_leave_the_owner_responsive() ->
    {ok, _} = barrel_p2p:new_map(m, #{validator => fun(_) -> receive after 1 -> true end end}),
    Keys = 2_000,
    _ = spawn(fun() -> barrel_p2p_map:replica_merge_delta(m, maps:from_list([{N, value(N, stamp(0))} || N <- lists:seq(1, Keys)])) end),
    ok = until(fun() -> barrel_p2p:map_keys(m) =/= [] end),
    {Micros, ok} = timer:tc(fun() -> barrel_p2p:map_remove(m, other) end),
    ?assert(length(barrel_p2p:map_keys(m)) < Keys),
    ?assert(Micros < 2_000_000).

%% Crashes.

crash_of_the_owner_loses_nothing() ->
    {ok, Pid} = barrel_p2p:new_map(m),
    ok = barrel_p2p:subscribe_map(m),
    [ok = barrel_p2p:map_put(m, N, N) || N <- lists:seq(1, 1_000)],
    ok = barrel_p2p:map_remove(m, 1),
    kill_owner(m),
    Content = [{N, N} || N <- lists:seq(2, 1_000)],
    ?assertEqual(Content, lists:sort(barrel_p2p:map_to_list(m))),
    ok = barrel_p2p:map_put(m, 1_001, 1_001),
    ?assertEqual(Content ++ [{1_001, 1_001}], lists:sort(barrel_p2p:map_to_list(m))),
    ?assertEqual([{put, N, N} || N <- lists:seq(1, 1_000)] ++ [{remove, 1}, {put, 1_001, 1_001}], told(m)),
    ?assertEqual({ok, Pid}, barrel_p2p:new_map(m)).

map_can_be_read_and_written_while_its_owner_starts() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:map_put(m, a, 1),
    Self = self(),
    Write = fun() -> [{barrel_p2p:map_put(m, {self(), N}, N), barrel_p2p:map_get(m, a)} || N <- lists:seq(1, 300)] end,
    Writers = [spawn_link(fun() -> Self ! {self(), Write()} end) || _ <- [1, 2, 3]],
    kill_owner(m),
    [receive {Writer, Results} -> ?assertEqual([], [Bad || Bad <- Results, Bad =/= {ok, {ok, 1}}]) end || Writer <- Writers],
    ?assertEqual(901, length(barrel_p2p:map_keys(m))).

crash_of_the_supervisor_loses_no_map() ->
    {ok, _} = barrel_p2p:new_map(m),
    ok = barrel_p2p:map_put(m, a, 1),
    end_it(whereis(barrel_p2p_map_sup)),
    ok = until(fun() -> is_pid(whereis(barrel_p2p_map_sup)) andalso barrel_p2p_map_sup:which_maps() =:= [m] end),
    ok = barrel_p2p:map_put(m, b, 2),
    ?assertEqual([{a, 1}, {b, 2}], lists:sort(barrel_p2p:map_to_list(m))).

%% Files.

persistent_map_is_there_after_a_restart() ->
    {ok, _} = barrel_p2p:new_map(m, #{persist => true}),
    [ok = barrel_p2p:map_put(m, N, {value, N}) || N <- lists:seq(1, 100)],
    [ok = barrel_p2p:map_remove(m, N) || N <- lists:seq(1, 50)],
    kill_owner(m),
    ok = barrel_p2p:map_put(m, 101, {value, 101}),
    ok = application:stop(barrel_p2p),
    {ok, _} = application:ensure_all_started(barrel_p2p),
    ?assertEqual([], barrel_p2p:map_to_list(m)),
    {ok, _} = barrel_p2p:new_map(m, #{persist => true}),
    ?assertEqual([{N, {value, N}} || N <- lists:seq(51, 101)], lists:sort(barrel_p2p:map_to_list(m))).

deleted_persistent_map_does_not_come_back() ->
    {ok, _} = barrel_p2p:new_map(m, #{persist => true}),
    ok = barrel_p2p:map_put(m, a, 1),
    ok = barrel_p2p:delete_map(m),
    ?assertEqual({ok, []}, file:list_dir(barrel_p2p_config:get(barrel_p2p_map_data_dir))),
    {ok, _} = barrel_p2p:new_map(m, #{persist => true}),
    ?assertEqual([], barrel_p2p:map_to_list(m)).

%% The answer that the log gives is sent by the test, before the one of the log.
disk_that_refuses_is_told() ->
    {ok, _} = barrel_p2p:new_map(m, #{persist => true}),
    ok = logger:add_handler_filter(default, quiet, {fun(_, _) -> stop end, none}),
    Owner = whereis(barrel_p2p_map:owner_name(m)),
    Store = barrel_p2p_map_owner:store(Owner),
    ok = sys:suspend(Owner),
    Self = self(),
    Writers = [spawn_link(fun() -> Self ! {self(), barrel_p2p:map_put(m, N, N)} end) || N <- [1, 2]],
    ok = until(fun() -> process_info(Owner, message_queue_len) =:= {message_queue_len, 2} end),
    Owner ! {barrel_p2p_store, Store, {failed, disk_full}},
    ok = sys:resume(Owner),
    ?assertEqual([{error, disk_full}, {error, disk_full}], [receive {Writer, Result} -> Result end || Writer <- Writers]),
    ok = logger:remove_handler_filter(default, quiet),
    ?assertEqual([ok, {ok, 1}], [barrel_p2p:map_put(m, 3, 3), barrel_p2p:map_get(m, 1)]).

%% C13: what comes back by way of others is hidden too.
values_of_a_node_that_is_not_there_are_hidden() ->
    {ok, _} = barrel_p2p:new_map(m, #{prune_on_peer_down => true}),
    ok = barrel_p2p:map_put(m, ours, 1),
    ok = barrel_p2p_map:replica_merge_delta(m, #{theirs => value(1, stamp(0)), ours => value(2, stamp(100))}),
    ok = until(fun() -> barrel_p2p:map_to_list(m) =:= [] end),
    ok = barrel_p2p:map_put(m, ours, 3),
    ?assertEqual([{ours, 3}], barrel_p2p:map_to_list(m)).

%% It stopped at the first step for which there was no room.
removal_of_more_than_the_log_has_room_for_is_completed() ->
    {ok, _} = barrel_p2p:new_map(m, #{persist => true, prune_on_peer_down => true}),
    Keys = [{N, binary:copy(<<0>>, 60_000)} || N <- lists:seq(1, 600)],
    ok = barrel_p2p_map:replica_merge_delta(m, maps:from_list([{Key, value(1, stamp(0))} || Key <- Keys])),
    Values = fun() ->
                 {sync, Content} = barrel_p2p_map:replica_full_sync_snapshot(m),
                 length([Key || {Key, {value, _, _}} <- maps:to_list(Content)])
             end,
    ok = barrel_p2p_test:wait_until(taken, fun() -> Values() =:= length(Keys) end, 20_000),
    whereis(barrel_p2p_map:owner_name(m)) ! {prune, 'other@h', os:system_time(millisecond) + 60_000},
    ok = barrel_p2p_test:wait_until(removed, fun() -> Values() =:= 0 end, 20_000).

%% Helpers.

started() ->
    Dir = filename:join("/tmp", "barrel_p2p_map_tests-" ++ os:getpid()),
    ok = config_fixture:load([{barrel_p2p_map_data_dir, Dir}]),
    {ok, _} = application:ensure_all_started(barrel_p2p),
    Dir.

stopped(Dir) ->
    [ok = barrel_p2p:delete_map(Map) || Map <- barrel_p2p_map_sup:which_maps()],
    ok = application:stop(barrel_p2p),
    ok = config_fixture:reset(),
    _ = file:del_dir_r(Dir),
    _ = told(m),
    ok.

value(Value, Stamp) ->
    {value, Value, #{{'other@h', Stamp} => true}}.

%% So many milliseconds from now.
stamp(Ms) ->
    {timestamp, Wall, _} = barrel_p2p_hlc:now(),
    {timestamp, Wall + Ms, 0}.

kill_owner(Map) ->
    end_it(whereis(barrel_p2p_map:owner_name(Map))).

end_it(Pid) ->
    Monitor = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Monitor, process, Pid, _} -> ok end.

told(Map) ->
    receive
        {barrel_p2p_map, Map, What} -> [What | told(Map)]
    after 0 -> []
    end.

until(Condition) ->
    barrel_p2p_test:wait_until(Condition, ?STEP_MS).
