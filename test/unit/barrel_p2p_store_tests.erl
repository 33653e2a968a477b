%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_store_tests).
-moduledoc """
The least of stores that every owner builds on, without a cluster; `store_SUITE` has the cluster.
""".

-include_lib("eunit/include/eunit.hrl").

-define(S, barrel_p2p_store).
-define(TTL, #{tombstone_ttl_ms => ?TTL_MS}).
-define(TTL_MS, 3_600_000).

%% Each store in a process of its own, closed at the end.
with_store(Test) ->
    with_store(?TTL, Test).

with_store(Options, Test) ->
    {ok, Store} = ?S:open(name(), Options),
    try Test(Store)
    after ok = ?S:close(Store)
    end.

name() ->
    list_to_atom("store" ++ integer_to_list(erlang:unique_integer([positive]))).

stamp(Ago) -> {timestamp, erlang:system_time(millisecond) - Ago, 0}.

staged(Store) ->
    receive {barrel_p2p_store, Store, staged} -> ok after 1_000 -> error(not_told) end.

synced(Store, Seq) ->
    receive {barrel_p2p_store, Store, {synced, Up}} when Up >= Seq -> ok after 5_000 -> error(not_synced) end.

nothing() ->
    receive {barrel_p2p_store, _, _} = Any -> error({told, Any}) after 0 -> ok end.

dir() ->
    filename:join(["_build", "test", "stores", integer_to_list(erlang:unique_integer([positive])) ++ "-" ++ os:getpid()]).

%% The bytes that every release has to make of these terms: they are names in the whole cluster.
keys_are_the_same_on_every_release_test() ->
    [?assertEqual(Bytes, ?S:key(Term))
     || {Term, Bytes} <- [{a, <<131, 119, 1, $a>>},
                          {'\x{e9}', <<131, 119, 2, 16#c3, 16#a9>>},
                          {1, <<131, 97, 1>>},
                          {1.0, <<131, 70, 1.0/float>>},
                          {"ab", <<131, 107, 0, 2, $a, $b>>},
                          {{x, <<"y">>}, <<131, 104, 2, 119, 1, $x, 109, 0, 0, 0, 1, $y>>},
                          {#{b => 1, a => 2}, <<131, 116, 0, 0, 0, 2, 119, 1, $a, 97, 2, 119, 1, $b, 97, 1>>},
                          {#{1.0 => b, 1 => a}, <<131, 116, 0, 0, 0, 2, 97, 1, 119, 1, $a, 70, 1.0/float, 119, 1, $b>>}]],
    %% Larger maps are another thing inside OTP.
    ?assertEqual(117003488, erlang:phash2(?S:key(maps:from_list([{{k, N}, N} || N <- lists:seq(1, 40)])))).

put_get_remove_test() ->
    with_store(fun(Store) ->
        Key = ?S:key({k, 1}),
        ?assertEqual(none, ?S:get(Store, Key)),
        ?assertEqual({ok, 0}, ?S:put(Store, Key, ?S:value([v]))),
        ?assertEqual({value, [v], node()}, ?S:get(Store, Key)),
        ?assertEqual({ok, 0}, ?S:remove(Store, Key)),
        ?assertEqual(removed, ?S:get(Store, Key)),
        ?assertMatch(#{values := 0, tombstones := 1, writes := 2, open := true, persistent := false}, ?S:info(Store)),
        nothing()
    end).

what_is_too_large_is_refused_and_changes_nothing_test() ->
    with_store(fun(Store) ->
        ?assertEqual({error, too_large}, ?S:put(Store, <<0:(65_536 * 8)>>, <<>>)),
        ?assertEqual({error, too_large}, ?S:remove(Store, <<0:(65_536 * 8)>>)),
        ?assertEqual({error, too_large}, ?S:put(Store, <<"k">>, <<0:((512 * 1024 + 1) * 8)>>)),
        ?assertEqual({ok, 0}, ?S:put(Store, ?S:key(k), ?S:value(binary:copy(<<0>>, 512 * 1024 - 6)))),
        ?assertMatch(#{values := 1, tombstones := 0}, ?S:info(Store))
    end).

staged_entries_wait_for_the_commit_test() ->
    with_store(fun(Store) ->
        ok = ?S:stage_ormap(Store, #{a => {value, 1, #{{n@h, stamp(10)} => true, {m@h, stamp(20)} => true}}, b => {tombstone, stamp(5)}}),
        staged(Store),
        ok = ?S:stage_ormap(Store, #{c => {value, 3, #{{n@h, stamp(1)} => true}}}),
        nothing(),
        {Changes, [], last} = ?S:pull(Store),
        ?assertEqual([{a, {value, 1, n@h}}, {b, removed}, {c, {value, 3, n@h}}], lists:sort([{Key, Content} || {_, Key, Content} <- Changes])),
        ?assertEqual(none, ?S:get(Store, ?S:key(a))),
        {Again, [], last} = ?S:pull(Store),
        ?assertEqual(lists:sort(Changes), lists:sort(Again)),
        {ok, 0} = ?S:commit(Store, [?S:key(c)]),
        ?assertEqual({[], [], last}, ?S:pull(Store)),
        ?assertMatch(#{a := {value, 1, _}, b := {tombstone, _}}, ?S:to_ormap(Store)),
        ?assertEqual(2, map_size(?S:to_ormap(Store))),
        ?assertMatch(#{merged := 2, rejected := 1}, ?S:info(Store))
    end).

rejected_version_is_not_offered_again_test() ->
    with_store(fun(Store) ->
        Unwanted = #{k => {value, bad, #{{n@h, stamp(10)} => true}}},
        ok = ?S:stage_ormap(Store, Unwanted),
        staged(Store),
        {[_], [], last} = ?S:pull(Store),
        {ok, 0} = ?S:commit(Store, [?S:key(k)]),
        ok = ?S:stage_ormap(Store, Unwanted),
        nothing(),
        ok = ?S:stage_ormap(Store, #{k => {value, good, #{{n@h, stamp(9)} => true}}}),
        staged(Store),
        ?assertMatch({[{_, k, {value, good, n@h}}], [], last}, ?S:pull(Store))
    end).

own_later_write_beats_what_is_staged_test() ->
    with_store(fun(Store) ->
        ok = ?S:stage_ormap(Store, #{k => {value, theirs, #{{n@h, stamp(10)} => true}}}),
        staged(Store),
        {ok, 0} = ?S:put(Store, ?S:key(k), ?S:value(ours)),
        ?assertEqual({[], [], last}, ?S:pull(Store)),
        {ok, 0} = ?S:commit(Store, []),
        ?assertEqual({value, ours, node()}, ?S:get(Store, ?S:key(k)))
    end).

stamp_from_the_far_future_is_dropped_test() ->
    with_store(fun(Store) ->
        ok = ?S:stage_ormap(Store, #{k => {tombstone, stamp(-3_600_000)}, l => {tombstone, {timestamp, 1 bsl 70, 0}},
                                     m => {tombstone, {timestamp, a, b}}}),
        nothing(),
        ?assertEqual({[], [], last}, ?S:pull(Store))
    end).

%% The shape is right, what is in it is not: the others of the same call are taken.
entry_that_no_store_holds_is_dropped_and_counted_test() ->
    with_store(fun(Store) ->
        Large = binary:copy(<<1>>, 70_000),
        ok = ?S:stage_ormap(Store, #{no_host => {value, v, #{{foo, stamp(1)} => true}}, empty => {value, v, #{{'', stamp(1)} => true}},
                                     none => {value, v, #{{undefined, stamp(1)} => true}}, Large => {tombstone, stamp(1)},
                                     value => {value, binary:copy(Large, 8), #{{n@h, stamp(1)} => true}},
                                     good => {value, v, #{{n@h, stamp(1)} => true}}}),
        staged(Store),
        ?assertMatch({[{_, good, {value, v, n@h}}], [], last}, ?S:pull(Store)),
        ?assertMatch(#{rejected := 5}, ?S:info(Store))
    end).

large_entries_are_staged_a_few_at_a_time_test() ->
    with_store(fun(Store) ->
        Value = binary:copy(<<1>>, 40_000),
        OrMap = maps:from_list([{N, {value, Value, #{{n@h, stamp(1)} => true}}} || N <- lists:seq(1, 20)]),
        Caller = spawn_link(fun() -> receive go -> ok = ?S:stage_ormap(Store, OrMap) end end),
        1 = erlang:trace(Caller, true, [call]),
        1 = erlang:trace_pattern({barrel_p2p_nif, store_stage, 2}, true, []),
        Caller ! go,
        try ?assertEqual(lists:duplicate(10, 2), given(Caller, 20))
        after erlang:trace_pattern({barrel_p2p_nif, store_stage, 2}, false, [])
        end,
        staged(Store)
    end).

given(_Caller, 0) -> [];
given(Caller, Left) ->
    receive {trace, Caller, call, {_, _, [_, Entries]}} -> [length(Entries) | given(Caller, Left - length(Entries))] end.

%% Encodings that key/1 and value/1 do not make: garbage, compressed terms, surplus bytes, a second encoding of the same term.
malformed_bytes_are_named_and_nothing_else_test() ->
    with_store(fun(Store) ->
        {timestamp, Wall, _} = stamp(10),
        Good = ?S:key(good),
        Bad = [<<>>, <<"garbage">>, <<131>>, <<131, 100, 0, 1, $a>>, <<131, 119, 1, $a, 0>>,
               term_to_binary(lists:duplicate(1000, $a), [compressed])],
        Value = ?S:value(v),
        BadValue = ?S:key(bad_value),
        Zip = ?S:key(zip),
        Entries = [{Key, Value, n@h, {Wall, 0}} || Key <- [Good | Bad]]
                  ++ [{BadValue, <<"x">>, n@h, {Wall, 0}}, {Zip, term_to_binary(lists:duplicate(1000, $a), [compressed]), n@h, {Wall, 0}}],
        ok = barrel_p2p_nif:store_stage(Store, Entries),
        staged(Store),
        {Changes, Malformed, last} = ?S:pull(Store),
        ?assertEqual([{Good, good, {value, v, n@h}}], Changes),
        ?assertEqual(lists:sort([BadValue, Zip | Bad]), lists:sort(Malformed)),
        {ok, 0} = ?S:commit(Store, Malformed),
        ?assertEqual([good], maps:keys(?S:to_ormap(Store)))
    end).

scan_shows_everything_in_bounded_parts_test() ->
    with_store(fun(Store) ->
        _ = [{ok, 0} = ?S:put(Store, ?S:key(N), ?S:value(N)) || N <- lists:seq(1, 1_000)],
        Parts = parts(Store, start),
        ?assert(length(Parts) >= 4),
        ?assert(lists:all(fun(Part) -> length(Part) =< 256 end, Parts)),
        ?assertEqual(lists:seq(1, 1_000), lists:sort([N || Part <- Parts, {_, N, {value, N, _}} <- Part]))
    end).

parts(_Store, done) -> [];
parts(Store, Cursor) ->
    {Part, Next} = ?S:scan(Store, Cursor),
    [Part | parts(Store, Next)].

prune_removes_what_one_node_wrote_before_a_time_test() ->
    with_store(fun(Store) ->
        ok = ?S:stage_ormap(Store, #{old => {value, 1, #{{gone@h, stamp(1_000)} => true}}, new => {value, 2, #{{gone@h, stamp(10)} => true}},
                                     other => {value, 3, #{{n@h, stamp(1_000)} => true}}}),
        staged(Store),
        {_, [], last} = ?S:pull(Store),
        {ok, 0} = ?S:commit(Store, []),
        {timestamp, Before, _} = stamp(500),
        ?assertEqual({ok, 0, [?S:key(old)]}, ?S:prune(Store, gone@h, Before)),
        ?assertEqual(removed, ?S:get(Store, ?S:key(old))),
        ?assertMatch({ok, 0, [_]}, ?S:prune(Store, gone@h, infinity)),
        ?assertEqual({value, 3, n@h}, ?S:get(Store, ?S:key(other)))
    end).

%% The owner shows what it was not told to be removed.
prune_that_the_disk_stops_tells_what_it_has_removed_test() ->
    Dir = dir(),
    with_store(#{tombstone_ttl_ms => ?TTL_MS, persist => Dir}, fun(Store) ->
        [Log] = filelib:wildcard(filename:join(Dir, "*")),
        ok = file:del_dir_r(Log),
        _ = [{ok, _} = ?S:put(Store, ?S:key({N, lists:duplicate(200, x)}), ?S:value(v)) || N <- lists:seq(1, 1_000)],
        ok = filled(Store, 1),
        {ok, _, Removed} = ?S:prune(Store, node(), infinity),
        Left = 1_000 - length(Removed),
        ?assert(Left > 0 andalso Left < 1_000),
        ?assertMatch(#{values := Left}, ?S:info(Store)),
        ?assertEqual({error, busy}, ?S:prune(Store, node(), infinity)),
        ok = file:make_dir(Log),
        receive {barrel_p2p_store, Store, {synced, _}} -> ok after 5_000 -> error(not_synced) end,
        {ok, Last, Others} = ?S:prune(Store, node(), infinity),
        synced(Store, Last),
        ?assertEqual(1_000, length(lists:usort(Removed ++ Others)))
    end).

filled(Store, N) ->
    case ?S:remove(Store, <<N:(60_000 * 8)>>) of
        {ok, _} -> filled(Store, N + 1);
        {error, busy} -> ok
    end.

store_of_a_dead_owner_is_taken_over_test() ->
    Name = name(),
    Self = self(),
    Key = ?S:key(k),
    {Pid, Monitor} = spawn_monitor(fun() ->
        {ok, Store} = ?S:open(Name, ?TTL),
        {ok, 0} = ?S:put(Store, Key, ?S:value(v)),
        ok = ?S:stage_ormap(Store, #{l => {tombstone, stamp(1)}}),
        Self ! Store
    end),
    Old = receive Store when is_reference(Store) -> Store end,
    receive {'DOWN', Monitor, process, Pid, _} -> ok end,
    {ok, New} = ?S:open(Name, ?TTL),
    ?assertEqual({value, v, node()}, ?S:get(New, Key)),
    staged(New),
    ?assertEqual({error, closed}, ?S:put(Old, Key, ?S:value(w))),
    ?assertEqual({[], [], last}, ?S:pull(Old)),
    ok = ?S:close(Old),
    ?assertMatch({ok, 0}, ?S:put(New, Key, ?S:value(w))),
    ok = ?S:close(New).

closed_store_takes_and_has_nothing_test() ->
    {ok, Store} = ?S:open(name(), ?TTL),
    Key = ?S:key(k),
    {ok, 0} = ?S:put(Store, Key, ?S:value(v)),
    ok = ?S:close(Store),
    ok = ?S:close(Store),
    ?assertEqual([{error, closed}, {error, closed}, {error, closed}, {error, closed}, closed, none, {[], done}, {[], [], last}],
                 [?S:put(Store, Key, Key), ?S:remove(Store, Key), ?S:commit(Store, []), ?S:prune(Store, node(), infinity),
                  ?S:stage_ormap(Store, #{a => {tombstone, stamp(1)}}), ?S:get(Store, Key), ?S:scan(Store, start), ?S:pull(Store)]),
    ?assertMatch(#{open := false}, ?S:info(Store)),
    ok = ?S:delete(Store).

written_store_is_read_again_test() ->
    Dir = dir(),
    {Name, Options} = {name(), #{tombstone_ttl_ms => ?TTL_MS, persist => Dir}},
    {ok, First} = ?S:open(Name, Options),
    {ok, 1} = ?S:put(First, ?S:key(k), ?S:value(v)),
    {ok, Seq} = ?S:remove(First, ?S:key(l)),
    synced(First, Seq),
    ok = ?S:stage_ormap(First, #{m => {value, theirs, #{{n@h, stamp(5)} => true}}}),
    staged(First),
    {[_], [], last} = ?S:pull(First),
    {ok, Merged} = ?S:commit(First, []),
    synced(First, Merged),
    OrMap = ?S:to_ormap(First),
    ok = ?S:close(First),
    {ok, Second} = ?S:open(Name, Options),
    ?assertEqual(OrMap, ?S:to_ormap(Second)),
    ?assertMatch({error, {already_open, _}}, ?S:open(Name, ?TTL)),
    ok = ?S:delete(Second),
    {ok, Third} = ?S:open(Name, Options),
    ?assertEqual(#{}, ?S:to_ormap(Third)),
    ok = ?S:delete(Third),
    ?assertEqual({ok, []}, file:list_dir(Dir)).

places_that_cannot_be_are_named_test() ->
    ?assertMatch({error, {invalid_name, _}}, ?S:open('', ?TTL)),
    ?assertMatch({error, {invalid_name, _}}, ?S:open(list_to_atom(lists:duplicate(200, 16#e9)), ?TTL)),
    File = filename:join(dir(), "file"),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, <<>>),
    ?assertMatch({error, {Code, Detail}} when is_atom(Code) andalso is_binary(Detail),
                 ?S:open(name(), #{tombstone_ttl_ms => ?TTL_MS, persist => File})).

%% No term whatever does more than raise an error.
no_argument_brings_it_down_test_() ->
    {timeout, 60, fun() ->
        with_store(fun(Store) ->
            Terms = [a, 'n@h', 1, -1, 1 bsl 70, 1.5, <<>>, <<1, 2, 3>>, <<1:3>>, "text", [], [<<>>], [a | b], {}, {a, b}, #{}, self(), make_ref(),
                     Store, fun() -> ok end, [{<<>>, removed, undefined, {0, 0}}], [{<<>>, <<>>, 'n@h', {-1, 0}}],
                     [{<<>>, <<>>, 'no name', {0, 0}}], #{tombstone_ttl_ms => a, persist => none}, #{tombstone_ttl_ms => 1, persist => {}}],
            Calls = [Call || {Name, _} = Call <- barrel_p2p_nif:module_info(exports), is_about_stores(atom_to_list(Name))],
            _ = [attempt(Name, [First | Rest]) || {Name, Arity} <- Calls, First <- Terms, is_harmless(Name, First, Store),
                                                  Rest <- some(Arity - 1, Terms)],
            ?assertMatch(#{open := true}, ?S:info(Store))
        end)
    end}.

is_about_stores("store_" ++ _) -> true;
is_about_stores("log_" ++ _) -> true;
is_about_stores(_) -> false.

%% Neither ends the store that the others are tried with, nor makes a directory somewhere.
is_harmless(Name, Store, Store) -> Name =/= store_close andalso Name =/= store_delete;
is_harmless(log_open, Path, _) -> not is_binary(Path);
is_harmless(_, _, _) -> true.

some(0, _) -> [[]];
some(1, Terms) -> [[Term] || Term <- Terms];
some(Count, Terms) -> [[lists:nth(rand:uniform(length(Terms)), Terms) || _ <- lists:seq(1, Count)] || _ <- lists:seq(1, 100)].

attempt(Name, Arguments) ->
    try apply(barrel_p2p_nif, Name, Arguments)
    catch error:Reason when Reason =:= badarg; is_binary(Reason) -> ok
    end.
