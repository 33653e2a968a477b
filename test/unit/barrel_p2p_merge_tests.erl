%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_merge_tests).
-moduledoc """
The OR-map and the native store are two writings of one merge: given the same maps in any order they come to the same content.

`BARREL_P2P_SEED` repeats a run; the seed stands in the failure.
""".
-include_lib("eunit/include/eunit.hrl").

-define(ROUNDS, 500).

merge_test_() ->
    {setup, fun() -> ok = barrel_p2p_native:load() end,
     [{timeout, 120, fun native_merge_of_any_maps_is_that_of_the_or_map/0}, {timeout, 120, fun native_merge_of_histories_is_that_of_the_or_map/0},
      fun local_writes_of_a_store_win_over_what_it_knows/0]}.

native_merge_of_any_maps_is_that_of_the_or_map() ->
    Seed = ormap_histories:seed(),
    [same([ormap_histories:any_map() || _ <- lists:seq(1, rand:uniform(6))], Seed) || _ <- lists:seq(1, ?ROUNDS)].

native_merge_of_histories_is_that_of_the_or_map() ->
    Seed = ormap_histories:seed(),
    [same(ormap_histories:play(3, 30), Seed) || _ <- lists:seq(1, ?ROUNDS div 5)].

same(Maps, Seed) ->
    Erlang = lists:foldl(fun barrel_p2p_ormap:merge/2, barrel_p2p_ormap:new(), Maps),
    Native = with_store(fun(Store) ->
                            %% Some of them together, some one by one.
                            lists:foreach(fun(Map) -> staged(Store, Map), rand:uniform(2) =:= 1 andalso committed(Store) end, Maps),
                            committed(Store),
                            barrel_p2p_store:to_ormap(Store)
                        end),
    ?assertEqual({Erlang, seed, Seed, Maps}, {Native, seed, Seed, Maps}).

local_writes_of_a_store_win_over_what_it_knows() ->
    {timestamp, Wall, _} = barrel_p2p_hlc:now(),
    Ahead = {timestamp, Wall + 100, 5},
    Key = barrel_p2p_store:key(a),
    Content = with_store(fun(Store) ->
                             staged(Store, #{a => {value, theirs, #{{'a@h', Ahead} => true}}}),
                             committed(Store),
                             {ok, 0} = barrel_p2p_store:put(Store, Key, barrel_p2p_store:value(ours)),
                             barrel_p2p_store:to_ormap(Store)
                         end),
    ?assertMatch(#{a := {value, ours, _}}, Content),
    ?assertEqual(Content, barrel_p2p_ormap:merge(Content, #{a => {value, theirs, #{{'a@h', Ahead} => true}}})).

with_store(Use) ->
    {ok, Store} = barrel_p2p_store:open(?MODULE, #{tombstone_ttl_ms => 3_600_000}),
    try Use(Store)
    after ok = barrel_p2p_store:close(Store), forget(Store)
    end.

staged(Store, Map) ->
    ok = barrel_p2p_store:stage_ormap(Store, Map).

committed(Store) ->
    {Changes, [], Rest} = barrel_p2p_store:pull(Store),
    {ok, 0} = barrel_p2p_store:commit(Store, []),
    _ = [true = is_binary(KeyBytes) || {KeyBytes, _, _} <- Changes],
    Rest =:= last orelse committed(Store).

forget(Store) ->
    receive {barrel_p2p_store, Store, _} -> forget(Store)
    after 0 -> ok
    end.
