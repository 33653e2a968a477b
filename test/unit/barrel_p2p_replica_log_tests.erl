%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_replica_log_tests).
-moduledoc """
What was appended is there again, once each key, after whatever end. How the files stand damage is tested where they are made, in Rust.
""".
-include_lib("eunit/include/eunit.hrl").

-import(barrel_p2p_replica_log, [open/2, append/2, sync/1, snapshot/2, close/1, delete/2]).

log_test_() ->
    {foreach, fun directory/0, fun(Dir) -> _ = file:del_dir_r(Dir) end,
     [fun(Dir) -> {atom_to_list(Name), fun() -> Test(Dir) end} end
      || {Name, Test} <- [{appended_is_there_again, fun appended_is_there_again/1}, {later_delta_wins, fun later_delta_wins/1},
                          {snapshot_takes_the_place_of_what_was_before, fun snapshot_takes_the_place_of_what_was_before/1},
                          {log_closes_with_its_opener, fun log_closes_with_its_opener/1},
                          {open_log_is_not_opened_twice, fun open_log_is_not_opened_twice/1},
                          {deleted_log_is_empty, fun deleted_log_is_empty/1}, {many_share_a_sync, fun many_share_a_sync/1},
                          {closed_log_answers, fun closed_log_answers/1}, {disk_that_refuses_is_told, fun disk_that_refuses_is_told/1}]]}.

handle_may_be_undefined_test() ->
    ?assertEqual([ok, ok, ok, ok], [append(undefined, #{}), sync(undefined), snapshot(undefined, #{}), close(undefined)]).

appended_is_there_again(Dir) ->
    {ok, Log, Empty} = open(log, Dir),
    ?assertEqual(#{}, Empty),
    Map = maps:from_list([{{key, N}, entry(N)} || N <- lists:seq(1, 100)]),
    [ok = append(Log, #{Key => Entry}) || {Key, Entry} <- maps:to_list(Map)],
    ok = sync(Log),
    ok = close(Log),
    {ok, Again, Recovered} = open(<<"log">>, unicode:characters_to_binary(Dir)),
    ?assertEqual(Map, Recovered),
    ok = close(Again).

later_delta_wins(Dir) ->
    {ok, Log, _} = open(log, Dir),
    [ok = append(Log, #{a => entry(N)}) || N <- [2, 3, 1]],
    ok = append(Log, #{b => entry(1), c => garbage}),
    ok = close(Log),
    {ok, Again, Map} = open(log, Dir),
    ?assertEqual(#{a => entry(3), b => entry(1)}, Map),
    ok = close(Again).

snapshot_takes_the_place_of_what_was_before(Dir) ->
    {ok, Log, _} = open(log, Dir),
    [ok = append(Log, #{a => entry(N), gone => entry(N)}) || N <- lists:seq(1, 100)],
    ok = snapshot(Log, #{a => entry(100)}),
    ok = append(Log, #{b => entry(1)}),
    ok = close(Log),
    {ok, Again, Map} = open(log, Dir),
    ?assertEqual(#{a => entry(100), b => entry(1)}, Map),
    ok = close(Again).

log_closes_with_its_opener(Dir) ->
    {_, Monitor} = spawn_monitor(fun() -> {ok, Log, _} = open(log, Dir), ok = append(Log, #{a => entry(1)}), exit(kill) end),
    receive {'DOWN', Monitor, process, _, kill} -> ok end,
    {Log, Map} = barrel_p2p_test:wait_until(closed, fun() ->
                                                        case open(log, Dir) of
                                                            {ok, Log, Map} -> {true, {Log, Map}};
                                                            {error, _} -> false
                                                        end
                                                    end, 5_000),
    ?assertEqual(#{a => entry(1)}, Map),
    ok = close(Log).

open_log_is_not_opened_twice(Dir) ->
    {ok, Log, _} = open(log, Dir),
    ?assertMatch({error, {in_use, _}}, open(log, Dir)),
    ok = append(Log, #{a => entry(1)}),
    ok = close(Log).

deleted_log_is_empty(Dir) ->
    {ok, Log, _} = open(log, Dir),
    ok = append(Log, #{a => entry(1)}),
    ok = close(Log),
    ok = delete(log, Dir),
    {ok, Again, Map} = open(log, Dir),
    ?assertEqual(#{}, Map),
    ok = close(Again).

many_share_a_sync(Dir) ->
    {ok, Log, _} = open(log, Dir),
    Self = self(),
    Write = fun(N) -> ok = append(Log, #{N => entry(N)}), Self ! {self(), sync(Log)} end,
    Writers = [spawn_link(fun() -> Write(N) end) || N <- lists:seq(1, 200)],
    [receive {Writer, Result} -> ?assertEqual(ok, Result) end || Writer <- Writers],
    ok = close(Log),
    {ok, Again, Map} = open(log, Dir),
    ?assertEqual(lists:seq(1, 200), lists:sort(maps:keys(Map))),
    ok = close(Again).

closed_log_answers(Dir) ->
    {ok, Log, _} = open(log, Dir),
    ok = close(Log),
    ?assertEqual([ok, {error, closed}, {error, closed}, {error, closed}], [close(Log), append(Log, #{}), sync(Log), snapshot(Log, #{})]).

disk_that_refuses_is_told(Dir) ->
    File = filename:join(Dir, "file"),
    ok = file:write_file(File, <<>>),
    {error, {Code, _}} = open(log, filename:join(File, "below")),
    ?assertEqual([Code], [Known || Known <- barrel_p2p_reason:codes(), Known =:= Code]).

entry(N) ->
    {value, {value, N}, #{{'a@h', {timestamp, N, 0}} => true}}.

directory() ->
    ok = barrel_p2p_native:load(),
    Dir = filename:join("/tmp", "barrel_p2p_replica_log_tests-" ++ os:getpid() ++ "-" ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = filelib:ensure_path(Dir),
    Dir.
