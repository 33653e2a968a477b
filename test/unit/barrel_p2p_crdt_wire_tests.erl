%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_crdt_wire_tests).
-moduledoc """
Nothing that another node may send gets past the gate in a wrong shape, and nothing makes the gate fail.
""".
-include_lib("eunit/include/eunit.hrl").

-import(barrel_p2p_crdt_wire, [valid_entry/1, valid_entry/2, accept/2, ingest/3]).

-define(STAMP, {timestamp, 1_000, 3}).
-define(ROUNDS, 2_000).

wire_test_() ->
    {setup, fun() -> ok = barrel_p2p_native:load() end,
     [fun entries_of_both_kinds_are_valid/0, fun every_other_shape_is_not/0, fun leaf_decides_about_values/0, fun only_valid_entries_are_accepted/0,
      fun what_is_no_map_is_empty/0, fun accepted_entries_have_one_dot/0, fun ingested_is_merged_and_told/0,
      fun entry_from_the_far_future_is_refused/0, fun clock_passes_what_is_ingested/0, {timeout, 60, fun any_term_may_be_given/0}]}.

entries_of_both_kinds_are_valid() ->
    ?assert(valid_entry({tombstone, ?STAMP})),
    ?assert(valid_entry({value, anything, #{{'a@h', ?STAMP} => true}})),
    ?assert(valid_entry({value, anything, #{{'a@h', ?STAMP} => true, {'b@h', {timestamp, 0, 0}} => true}})).

every_other_shape_is_not() ->
    Dots = [no_map, [], #{}, #{{'a@h', ?STAMP} => false}, #{{"a@h", ?STAMP} => true}, #{{'a@h', 1} => true}, #{'a@h' => true},
            #{{'a@h', ?STAMP} => true, {'b@h', bad} => true}, #{{'a@h', ?STAMP, more} => true}],
    Stamps = [none, {timestamp, 1}, {timestamp, 1, 2, 3}, {other, 1, 2}, {timestamp, -1, 0}, {timestamp, 1, -1}, {timestamp, 1.0, 0},
              {timestamp, 1, 1.0}, {timestamp, a, b}, {timestamp, 1 bsl 44, 0}, {timestamp, 1, 1 bsl 20}, {timestamp, 1 bsl 200, 0}],
    Entries = [{value, 1, D} || D <- Dots] ++ [{tombstone, S} || S <- Stamps] ++ [{value, 1, #{{'a@h', S} => true}} || S <- Stamps]
        ++ [value, {value}, {value, 1}, {tombstone}, {tombstone, ?STAMP, 1}, {other, ?STAMP}, [], #{}, 1, <<>>],
    ?assertEqual([], [Entry || Entry <- Entries, valid_entry(Entry)]).

leaf_decides_about_values() ->
    Entry = fun(Value) -> {value, Value, #{{'a@h', ?STAMP} => true}} end,
    ?assertEqual([true, false, false, false, false],
                 [valid_entry(Entry(Value), fun(V) -> case V of yes -> true; no -> false; other -> perhaps; V -> error(V) end end)
                  || Value <- [yes, no, other, 1, {}]]),
    ?assert(valid_entry({tombstone, ?STAMP}, fun(_) -> false end)).

only_valid_entries_are_accepted() ->
    Good = #{a => {tombstone, ?STAMP}, {b, 1} => {value, 1, #{{'a@h', ?STAMP} => true}}},
    ?assertEqual(Good, accept(Good#{c => {tombstone, bad}, d => {value, 2, #{}}, e => bad}, fun(_) -> true end)).

what_is_no_map_is_empty() ->
    [?assertEqual(#{}, accept(Payload, fun(_) -> true end)) || Payload <- [garbage, [], [a | b], {delta, 'a@h', garbage}, 1, <<"map">>]],
    Local = #{a => {tombstone, ?STAMP}},
    ?assertEqual({Local, #{}}, ingest(Local, garbage, fun(_) -> true end)).

accepted_entries_have_one_dot() ->
    Several = #{{'a@h', {timestamp, 1, 0}} => true, {'b@h', ?STAMP} => true, {'c@h', {timestamp, 1_000, 2}} => true},
    ?assertEqual(#{key => {value, 1, #{{'b@h', ?STAMP} => true}}}, accept(#{key => {value, 1, Several}}, fun(_) -> true end)).

ingested_is_merged_and_told() ->
    Local = #{a => {tombstone, ?STAMP}, b => {tombstone, ?STAMP}},
    Older = {value, 1, #{{'a@h', {timestamp, 1, 0}} => true}},
    Newer = {value, 2, #{{'a@h', {timestamp, 2_000, 0}} => true}},
    Incoming = #{a => Older, b => Newer, c => Newer, d => {value, wrong, #{{'a@h', ?STAMP} => true}}},
    {Merged, Accepted} = ingest(Local, Incoming, fun is_integer/1),
    ?assertEqual(#{a => {tombstone, ?STAMP}, b => Newer, c => Newer}, Merged),
    ?assertEqual(maps:remove(d, Incoming), Accepted).

%% It would win over everything that is written from then on.
entry_from_the_far_future_is_refused() ->
    {timestamp, Wall, _} = barrel_p2p_hlc:now(),
    Far = {tombstone, {timestamp, Wall + 86_400_000, 0}},
    ?assertEqual({#{}, #{}}, ingest(#{}, #{key => Far}, fun(_) -> true end)).

clock_passes_what_is_ingested() ->
    {timestamp, Wall, _} = barrel_p2p_hlc:now(),
    Stamp = {timestamp, Wall + 100, 9},
    {_, #{key := _}} = ingest(#{}, #{key => {tombstone, Stamp}}, fun(_) -> true end),
    ?assert(barrel_p2p_hlc:now() > Stamp).

%% Shapes that are almost right are the likeliest to hurt.
any_term_may_be_given() ->
    Seed = ormap_histories:seed(),
    [begin
         Payload = #{any_term(2) => any_entry(), any_term(1) => any_entry()},
         try
             {Merged, Accepted} = ingest(ormap_histories:any_map(), Payload, fun(V) -> V =/= V + 0 orelse true end),
             _ = [true = valid_entry(Entry) || Entry <- maps:values(Merged) ++ maps:values(Accepted)],
             _ = accept(any_term(3), fun(_) -> true end)
         catch
             Class:Reason:Stack -> ?assertEqual(no_failure, {Class, Reason, Stack, {seed, Seed}, Payload})
         end
     end || _ <- lists:seq(1, ?ROUNDS)].

any_entry() ->
    case rand:uniform(4) of
        1 -> {tombstone, any_stamp()};
        2 -> {value, any_term(2), #{{any_node(), any_stamp()} => true, {any_node(), any_stamp()} => one_of([true, true, any_term(0)])}};
        3 -> {value, any_term(1), any_term(2)};
        4 -> any_term(3)
    end.

any_stamp() ->
    one_of([?STAMP, {timestamp, any_term(0), any_term(0)}, {timestamp, rand:uniform(1_000), any_term(0)}, any_term(1)]).

any_node() ->
    one_of(['a@h', 'b@h', any_term(0)]).

any_term(0) ->
    one_of([0, -1, 1.5, 1 bsl 70, a, <<>>, <<1:3>>, "text", [], {}, #{}, self(), make_ref(), fun() -> ok end]);
any_term(Depth) ->
    Sub = fun() -> any_term(Depth - 1) end,
    one_of([any_term(0), [Sub(), Sub()], [Sub() | Sub()], {Sub(), Sub(), Sub()}, #{Sub() => Sub()}, {value, Sub(), Sub()},
            {timestamp, Sub(), Sub()}]).

one_of(List) ->
    lists:nth(rand:uniform(length(List)), List).
