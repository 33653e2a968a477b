%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_ormap_tests).
-moduledoc """
What the OR-map promises: each operation, and the laws of merging over generated maps full of equal timestamps.

`BARREL_P2P_SEED` repeats a run; the seed stands in the failure.
""".
-include_lib("eunit/include/eunit.hrl").

-import(barrel_p2p_ormap, [new/0, add/3, remove/2, get/2, keys/1, to_list/1, merge/2, is_empty/1, get_entry/2, absorb_clock/1, gc_tombstones/2]).

-define(ROUNDS, 2_000).

ormap_test_() ->
    {setup, fun() -> ok = barrel_p2p_native:load() end,
     [fun last_write_is_read/0, fun removed_is_not_read_and_leaves_a_tombstone/0, fun one_and_one_point_zero_are_two_keys/0,
      fun entry_has_one_dot_however_often_it_is_written/0, fun local_write_wins_over_an_entry_from_ahead/0,
      fun full_logical_part_carries/0, fun clock_passes_what_it_absorbs/0, fun old_tombstones_go_and_values_stay/0,
      fun value_wins_over_a_tombstone_of_the_same_time/0, fun greater_node_wins_at_the_same_time/0,
      fun merge_takes_the_winning_dot_of_several/0,
      {timeout, 60, fun merging_is_commutative_associative_and_idempotent/0},
      {timeout, 60, fun replicas_that_have_exchanged_everything_are_equal/0}]}.

last_write_is_read() ->
    Map = add(key, 2, add(key, 1, new())),
    ?assertEqual({{ok, 2}, [key], [{key, 2}], false}, {get(key, Map), keys(Map), to_list(Map), is_empty(Map)}).

removed_is_not_read_and_leaves_a_tombstone() ->
    Map = remove(never_there, remove(key, add(key, 1, new()))),
    ?assertEqual({not_found, [], true}, {get(key, Map), to_list(Map), is_empty(Map)}),
    ?assertMatch([{ok, {tombstone, {timestamp, _, _}}}, {ok, {tombstone, _}}, not_found],
                 [get_entry(Key, Map) || Key <- [key, never_there, other]]).

one_and_one_point_zero_are_two_keys() ->
    Map = add(1.0, float, add(1, integer, new())),
    ?assertEqual([{ok, integer}, {ok, float}], [get(Key, Map) || Key <- [1, 1.0]]).

entry_has_one_dot_however_often_it_is_written() ->
    Map = lists:foldl(fun(N, M) -> merge(add(key, N, M), add(key, N, new())) end, new(), lists:seq(1, 100)),
    {ok, {value, 100, Dots}} = get_entry(key, Map),
    ?assertEqual(1, map_size(Dots)).

local_write_wins_over_an_entry_from_ahead() ->
    {timestamp, Wall, _} = barrel_p2p_hlc:now(),
    Ahead = #{key => value(theirs, 'a@h', {timestamp, Wall + 1_000_000, 7})},
    Written = add(key, ours, Ahead),
    ?assertEqual({ok, ours}, get(key, merge(Ahead, Written))),
    ?assertEqual({ok, {tombstone, {timestamp, Wall + 1_000_000, 8}}}, get_entry(key, remove(key, Ahead))).

full_logical_part_carries() ->
    Full = #{key => {tombstone, {timestamp, 16#fffffffff00, 16#fffff}}},
    ?assertMatch({ok, {tombstone, {timestamp, 16#fffffffff01, 0}}}, get_entry(key, remove(key, Full))).

clock_passes_what_it_absorbs() ->
    {timestamp, Wall, _} = barrel_p2p_hlc:now(),
    [Near, Far] = [{timestamp, Wall + Ms, 5} || Ms <- [100, 1_000_000_000]],
    ok = absorb_clock(#{a => {tombstone, Near}, b => value(1, 'a@h', Far)}),
    Now = barrel_p2p_hlc:now(),
    ?assert(Now > Near),
    ?assert(Now < Far).

old_tombstones_go_and_values_stay() ->
    Map = #{old => {tombstone, {timestamp, 99, 0}}, young => {tombstone, {timestamp, 100, 0}}, value => value(1, 'a@h', {timestamp, 1, 0})},
    ?assertEqual([value, young], lists:sort(maps:keys(gc_tombstones(Map, 100)))).

value_wins_over_a_tombstone_of_the_same_time() ->
    Value = #{key => value(1, 'a@h', {timestamp, 5, 5})},
    ?assertEqual(Value, merge(Value, #{key => {tombstone, {timestamp, 5, 5}}})),
    Later = #{key => {tombstone, {timestamp, 5, 6}}},
    ?assertEqual(Later, merge(Value, Later)).

greater_node_wins_at_the_same_time() ->
    [A, B] = [#{key => value(Node, Node, {timestamp, 5, 5})} || Node <- ['a@h', 'b@h']],
    ?assertEqual([B, B], [merge(A, B), merge(B, A)]).

merge_takes_the_winning_dot_of_several() ->
    [Old, Middle, New] = [{timestamp, Wall, 0} || Wall <- [1, 2, 3]],
    Several = #{key => {value, theirs, #{{'z@h', Old} => true, {'a@h', New} => true}}},
    ?assertEqual({ok, theirs}, get(key, merge(Several, #{key => value(ours, 'z@h', Middle)}))),
    ?assertEqual(value(theirs, 'a@h', New), barrel_p2p_ormap:single(maps:get(key, Several))).

%% Laws.

merging_is_commutative_associative_and_idempotent() ->
    Seed = ormap_histories:seed(),
    [begin
         [A, B, C] = [ormap_histories:any_map() || _ <- [1, 2, 3]],
         Whole = {seed, Seed, A, B, C},
         ?assertEqual({merge(A, B), Whole}, {merge(B, A), Whole}),
         ?assertEqual({merge(A, merge(B, C)), Whole}, {merge(merge(A, B), C), Whole}),
         ?assertEqual({A, Whole}, {merge(A, A), Whole}),
         ?assertEqual({merge(A, B), Whole}, {merge(merge(A, B), B), Whole})
     end || _ <- lists:seq(1, ?ROUNDS)].

replicas_that_have_exchanged_everything_are_equal() ->
    Seed = ormap_histories:seed(),
    [begin
         [A, B, C] = Replicas = ormap_histories:play(3, 30),
         [First | Others] = [lists:foldl(fun barrel_p2p_ormap:merge/2, new(), Order)
                             || Order <- [[A, B, C], [A, C, B], [B, A, C], [B, C, A], [C, A, B], [C, B, A]]],
         ?assertEqual({[], seed, Seed, Replicas}, {[Other || Other <- Others, Other =/= First], seed, Seed, Replicas})
     end || _ <- lists:seq(1, ?ROUNDS div 10)].

value(Value, Node, Stamp) ->
    {value, Value, #{{Node, Stamp} => true}}.
