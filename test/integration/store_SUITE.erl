%% SPDX-License-Identifier: Apache-2.0
-module(store_SUITE).
-moduledoc """
Replicated stores on real nodes: what one owner writes all owners see, whoever opens late, leaves, dies or is cut off in between; and what a
persistent store has acknowledged is there after a kill.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([changes_reach_all_owners/1, late_opener_loads_everything/1, tombstones_travel/1, latest_write_wins_after_a_partition/1,
         owner_is_told_once_for_a_flood/1, killed_owner_comes_back/1, slow_owner_holds_up_nobody/1, node_without_distribution/1,
         distribution_starts_later/1, gossip_restarts/1, pruned_everywhere_alike/1, acknowledged_writes_survive_kill/1,
         full_disk_is_an_error_and_no_loss/1, closed_store_is_gone/1, rejected_entry_is_offered_once/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3, async/2, await/2]).
-import(barrel_p2p_test_members, [alone/3, join/2, until_members/2]).

-define(STORE, barrel_p2p_test_store).
-define(TTL, #{tombstone_ttl_ms => ?TTL_MS}).
-define(TTL_MS, 3_600_000).
-define(KILLS, 10).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [changes_reach_all_owners, late_opener_loads_everything, tombstones_travel, latest_write_wins_after_a_partition,
     owner_is_told_once_for_a_flood, killed_owner_comes_back, slow_owner_holds_up_nobody, node_without_distribution,
     distribution_starts_later, gossip_restarts, pruned_everywhere_alike, acknowledged_writes_survive_kill,
     full_disk_is_an_error_and_no_loss, closed_store_is_gone, rejected_entry_is_offered_once].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

nodes_of(Config, Names) ->
    nodes_of(Config, Names, []).

nodes_of(Config, Names, Settings) ->
    Cluster = proplists:get_value(cluster, Config),
    [First | Rest] = All = [alone(Cluster, Name, Settings) || Name <- Names],
    _ = [ok = join(Peer, First) || Peer <- Rest],
    ok = until_members(All, All),
    All.

open(Peer, Name) -> open(Peer, Name, ?TTL).
open(Peer, Name, Options) -> on(Peer, fun() -> ?STORE:start(Name, Options) end).
put(Peer, Name, Key, Value) -> on(Peer, fun() -> ?STORE:put(Name, Key, Value) end).
remove(Peer, Name, Key) -> on(Peer, fun() -> ?STORE:remove(Name, Key) end).
content(Peer, Name) -> on(Peer, fun() -> ?STORE:content(Name) end).
ormap(Peer, Name) -> on(Peer, fun() -> ?STORE:ormap(Name) end).
put_all(Peer, Name, Pairs) -> on(Peer, fun() -> lists:foreach(fun({K, V}) -> ok = ?STORE:put(Name, K, V) end, Pairs) end).

until_content(Peers, Name, Expected) ->
    try wait_until({content, Name}, fun() -> lists:all(fun(Peer) -> content(Peer, Name) =:= Expected end, Peers) end, 15_000)
    catch error:{not_within_ms, _, _} ->
        error([{maps:get(node, Peer), differences(content(Peer, Name), Expected)} || Peer <- Peers])
    end.

%% What is there and should not be, and the other way round.
differences(Content, Expected) ->
    {maps:to_list(Content) -- maps:to_list(Expected), maps:to_list(Expected) -- maps:to_list(Content)}.

%% The projections and the stores behind them.
until_equal(Peers, Name) ->
    wait_until({equal, Name}, fun() -> length(lists:usort([{content(P, Name), ormap(P, Name)} || P <- Peers])) =:= 1 end, 15_000).

changes_reach_all_owners(Config) ->
    [A, B, C] = All = nodes_of(Config, [a, b, c]),
    _ = [ok = open(Peer, s) || Peer <- All],
    ok = put(A, s, {tuple, 1}, [a, list]),
    ok = put(B, s, 1, one),
    ok = put(C, s, 1.0, float),
    ok = until_content(All, s, #{{tuple, 1} => [a, list], 1 => one, 1.0 => float}),
    ok = put(C, s, 1, other),
    ok = until_content(All, s, #{{tuple, 1} => [a, list], 1 => other, 1.0 => float}),
    ok = until_equal(All, s).

late_opener_loads_everything(Config) ->
    [A, B] = nodes_of(Config, [a, b]),
    ok = open(A, s),
    Pairs = [{N, {value, N}} || N <- lists:seq(1, 20_000)],
    ok = put_all(A, s, Pairs),
    ok = open(B, s),
    ok = until_content([A, B], s, maps:from_list(Pairs)),
    ok = until_equal([A, B], s).

tombstones_travel(Config) ->
    [A, B] = nodes_of(Config, [a, b]),
    ok = open(A, s),
    ok = put_all(A, s, [{N, N} || N <- lists:seq(1, 100)]),
    _ = [ok = remove(A, s, N) || N <- lists:seq(1, 100)],
    %% Nothing but tombstones: they are what a late one has to learn, too.
    ok = open(B, s),
    ok = wait_until(tombstones, fun() -> map_size(ormap(B, s)) =:= 100 end, 10_000),
    ok = until_equal([A, B], s),
    ok = put(B, s, 1, again),
    ok = until_content([A, B], s, #{1 => again}),
    ok = remove(B, s, 1),
    ok = until_content([A, B], s, #{}).

latest_write_wins_after_a_partition(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = All = nodes_of(Config, [a, b]),
    _ = [ok = open(Peer, s) || Peer <- All],
    ok = put_all(A, s, [{N, before} || N <- lists:seq(1, 10)]),
    ok = until_content(All, s, maps:from_list([{N, before} || N <- lists:seq(1, 10)])),
    ok = on(A, fun() -> barrel_p2p_gossip:command(fun(G) -> barrel_p2p_nif:gossip_block(G, [atom_to_binary(NodeB)]) end) end),
    ok = on(B, fun() -> barrel_p2p_gossip:command(fun(G) -> barrel_p2p_nif:gossip_block(G, [atom_to_binary(NodeA)]) end) end),
    ok = wait_until(cut, fun() -> on(A, fun barrel_p2p_gossip:active_view/0) =:= [] end, 5_000),
    ok = put_all(A, s, [{N, a} || N <- lists:seq(1, 5)]),
    ok = next_millisecond(),
    ok = remove(B, s, 1),
    ok = put_all(B, s, [{N, b} || N <- lists:seq(4, 10)]),
    ok = next_millisecond(),
    ok = put(A, s, 10, a),
    _ = [ok = on(Peer, fun() -> barrel_p2p_gossip:command(fun barrel_p2p_nif:gossip_unblock/1) end) || Peer <- All],
    ok = until_content(All, s, #{2 => a, 3 => a, 4 => b, 5 => b, 6 => b, 7 => b, 8 => b, 9 => b, 10 => a}),
    ok = until_equal(All, s).

%% Clocks of nodes that do not speak to each other order what is a millisecond apart.
next_millisecond() ->
    Now = erlang:system_time(millisecond),
    wait_until(next_millisecond, fun() -> erlang:system_time(millisecond) > Now + 1 end, 1_000).

%% The mailbox of an owner holds one message, however much comes.
owner_is_told_once_for_a_flood(Config) ->
    [A, B] = nodes_of(Config, [a, b]),
    _ = [ok = open(Peer, Name) || Peer <- [A, B], Name <- [s, other]],
    _ = held(B, s),
    Pairs = [{N, <<N:64>>} || N <- lists:seq(1, 5_000)],
    ok = put_all(A, s, Pairs),
    ok = wait_until(staged, fun() -> on(B, fun() -> length(element(2, process_info(whereis(s), messages))) end) > 0 end, 5_000),
    %% Another store shows when all of the flood has been there.
    ok = put(A, other, k, v),
    ok = until_content([B], other, #{k => v}),
    [{barrel_p2p_store, _, staged}] = on(B, fun() -> element(2, process_info(whereis(s), messages)) end),
    true = on(B, fun() -> exit(whereis(s), kill) end),
    ok = open_when_free(B, s),
    ok = until_content([A, B], s, maps:from_list(Pairs)).

%% The owner stands still as long as the answered process lives.
held(Peer, Name) ->
    on(Peer, fun() ->
                 {Holder, Monitor} = spawn_monitor(fun() -> erlang:suspend_process(whereis(Name)), receive go -> ok end end),
                 ok = wait_until(held, fun() -> process_info(whereis(Name), status) =:= {status, suspended} end, 5_000),
                 true = demonitor(Monitor),
                 Holder
             end).

open_when_free(Peer, Name) ->
    ok = wait_until(free, fun() -> on(Peer, fun() -> whereis(Name) end) =:= undefined end, 5_000),
    open(Peer, Name).

killed_owner_comes_back(Config) ->
    [A, B] = nodes_of(Config, [a, b]),
    ok = open(A, s),
    ok = open(B, s),
    ok = put_all(A, s, [{N, a} || N <- lists:seq(1, 100)]),
    ok = until_content([A, B], s, maps:from_list([{N, a} || N <- lists:seq(1, 100)])),
    ok = on(A, fun() -> ?STORE:kill(s) end),
    %% While nobody judges them, changes wait; nothing of what was there is lost.
    ok = put(B, s, while, away),
    ok = put(B, s, 1, b),
    ok = open(A, s),
    Expected = maps:from_list([{while, away}, {1, b} | [{N, a} || N <- lists:seq(2, 100)]]),
    ok = until_content([A, B], s, Expected),
    ok = put(A, s, back, again),
    ok = until_content([A, B], s, Expected#{back => again}).

%% One store's owner stands still; another store, and the other nodes, go on.
slow_owner_holds_up_nobody(Config) ->
    [A, B, C] = All = nodes_of(Config, [a, b, c]),
    _ = [ok = open(Peer, Name) || Peer <- All, Name <- [s, other]],
    Holder = held(B, s),
    Pairs = [{N, binary:copy(<<N:32>>, 100)} || N <- lists:seq(1, 20_000)],
    ok = put_all(A, s, Pairs),
    ok = put(B, other, k, v),
    ok = until_content(All, other, #{k => v}),
    ok = until_content([A, C], s, maps:from_list(Pairs)),
    true = on(B, fun() -> exit(Holder, kill) end),
    ok = until_content(All, s, maps:from_list(Pairs)).

node_without_distribution(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Alone = barrel_p2p_test:start(Cluster, none, #{data => "none"}),
    ok = open(Alone, s),
    ok = put(Alone, s, k, v),
    ok = put(Alone, s, l, w),
    ok = remove(Alone, s, l),
    #{k := v} = content(Alone, s),
    #{k := {value, v, Dots}} = ormap(Alone, s),
    [{nonode@nohost, _}] = maps:keys(Dots).

distribution_starts_later(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    A = alone(Cluster, a, []),
    ok = open(A, s),
    ok = put(A, s, from, a),
    Late = barrel_p2p_test:start(Cluster, none, #{data => "late", config => [{discovery_backends, []}]}),
    ok = open(Late, s),
    ok = put(Late, s, before, distribution),
    {ok, _} = on(Late, fun() -> net_kernel:start(['late@127.0.0.1', longnames]) end),
    true = on(Late, fun() -> erlang:set_cookie(node(), suite) end),
    {ok, _} = on(Late, fun() -> application:ensure_all_started(barrel_p2p) end),
    ok = join(Late, A),
    ok = until_content([A, Late], s, #{from => a, before => distribution}).

gossip_restarts(Config) ->
    [A, B] = nodes_of(Config, [a, b]),
    ok = open(A, s),
    ok = open(B, s),
    ok = put(A, s, 1, one),
    ok = until_content([A, B], s, #{1 => one}),
    ok = on(B, fun() -> application:stop(barrel_p2p) end),
    ok = put(B, s, 2, two),
    ok = put(A, s, 3, three),
    {ok, _} = on(B, fun() -> application:ensure_all_started(barrel_p2p) end),
    ok = join(B, A),
    ok = until_content([A, B], s, #{1 => one, 2 => two, 3 => three}).

pruned_everywhere_alike(Config) ->
    [A, B, #{node := NodeC} = C] = All = nodes_of(Config, [a, b, c]),
    _ = [ok = open(Peer, s) || Peer <- All],
    ok = put_all(A, s, [{{a, N}, N} || N <- lists:seq(1, 10)]),
    ok = put_all(C, s, [{{c, N}, N} || N <- lists:seq(1, 600)]),
    ok = wait_until(all, fun() -> maps:size(content(A, s)) =:= 610 andalso maps:size(content(B, s)) =:= 610 end, 10_000),
    ok = kill(C),
    Left = maps:from_list([{{a, N}, N} || N <- lists:seq(1, 10)]),
    600 = length(on(A, fun() -> ?STORE:prune(s, NodeC) end)),
    600 = length(on(B, fun() -> ?STORE:prune(s, NodeC) end)),
    ok = until_content([A, B], s, Left),
    ok = until_equal([A, B], s).

%% Eight callers write while the node is killed, again and again. Whoever was answered finds the write after the next start.
acknowledged_writes_survive_kill(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Dir = filename:join(proplists:get_value(priv_dir, Config), "killed"),
    Options = #{tombstone_ttl_ms => ?TTL_MS, persist => Dir},
    Rounds = barrel_p2p_test:rounds(?KILLS),
    ct:timetrap({seconds, 60 + 10 * Rounds}),
    Final = lists:foldl(
        fun(Round, Known) ->
            Peer = barrel_p2p_test:start(Cluster, none, #{data => "killed"}),
            ok = open(Peer, s, Options),
            Content = content(Peer, s),
            [] = [{Key, Value, maps:get(Key, Content, none)} || {Key, Value} <- maps:to_list(Known), maps:get(Key, Content, 0) < Value],
            Storm = async(Peer, fun() -> storm(Round * 1_000_000) end),
            timer:sleep(50 + rand:uniform(150)),
            Answered = on(Peer, fun() -> ets:tab2list(answered) end),
            ok = kill(Peer),
            try await(Storm, 5_000) catch error:_ -> ok end,
            maps:merge(Known, maps:from_list(Answered))
        end, #{}, lists:seq(1, Rounds)),
    true = map_size(Final) > 0.

storm(From) ->
    answered = ets:new(answered, [named_table, public]),
    _ = [spawn_link(fun() -> write(Key, From) end) || Key <- lists:seq(1, 8)],
    timer:sleep(infinity).

write(Key, Value) ->
    ok = ?STORE:put(s, Key, Value),
    ets:insert(answered, {Key, Value}),
    write(Key, Value + 1).

full_disk_is_an_error_and_no_loss(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Dir = filename:join(proplists:get_value(priv_dir, Config), "full"),
    ok = filelib:ensure_path(Dir),
    case os:cmd("mount -t tmpfs -o size=300k tmpfs '" ++ Dir ++ "'") of
        "" ->
            try full_disk(Cluster, Dir)
            after
                _ = os:cmd("umount -l '" ++ Dir ++ "'")
            end;
        Text ->
            {skip, "a small disk cannot be mounted: " ++ Text}
    end.

full_disk(Cluster, Dir) ->
    Options = #{tombstone_ttl_ms => ?TTL_MS, persist => filename:join(Dir, "stores")},
    Filler = filename:join(Dir, "filler"),
    Peer = barrel_p2p_test:start(Cluster, none, #{data => "full"}),
    ok = open(Peer, s, Options),
    ok = put(Peer, s, 0, safe),
    _ = file:write_file(Filler, binary:copy(<<0>>, 250_000)),
    {Written, disk_full} = until_refused(Peer, 1),
    {error, disk_full} = put(Peer, s, refused, maybe_later),
    ok = file:delete(Filler),
    ok = wait_until(again, fun() -> put(Peer, s, again, yes) =:= ok end, 10_000),
    ok = kill(Peer),
    Next = barrel_p2p_test:start(Cluster, none, #{data => "full"}),
    ok = open(Next, s, Options),
    Content = content(Next, s),
    [] = [N || N <- lists:seq(1, Written), not is_map_key(N, Content)],
    #{0 := safe, again := yes} = Content,
    ok = on(Next, fun() -> ?STORE:stop({close, s}) end),
    ok = kill(Next).

until_refused(Peer, N) ->
    case put(Peer, s, N, binary:copy(<<"x">>, 1000)) of
        ok when N < 1000 -> until_refused(Peer, N + 1);
        {error, Reason} -> {N - 1, Reason}
    end.

closed_store_is_gone(Config) ->
    [A, B] = nodes_of(Config, [a, b]),
    ok = open(A, s),
    ok = open(B, s),
    ok = put(A, s, k, v),
    ok = until_content([A, B], s, #{k => v}),
    ok = on(A, fun() -> ?STORE:stop({close, s}) end),
    ok = put(B, s, l, w),
    ok = open_when_free(A, s),
    ok = until_content([A, B], s, #{k => v, l => w}),
    ok = on(A, fun() -> ?STORE:stop({delete, s}) end).

%% What one owner should not have accepted is refused by the others, once each, however often the stores are compared.
rejected_entry_is_offered_once(Config) ->
    [A, B, C] = All = nodes_of(Config, [a, b, c], [{replica_anti_entropy_ms, 100}]),
    _ = [ok = open(Peer, s) || Peer <- All],
    ok = on(A, fun() -> ?STORE:put_bytes(s, <<"garbage">>, <<"more">>) end),
    ok = put(A, s, k, v),
    ok = until_content([B, C], s, #{k => v}),
    Counts = fun() -> [maps:get(rejected, on(Peer, fun() -> ?STORE:info(s) end)) || Peer <- [B, C]] end,
    ok = wait_until(rejected, fun() -> Counts() =:= [1, 1] end, 5_000),
    Compared = fun() -> lists:sum([maps:get(<<"barrel_p2p.store.reconcile.finished">>, on(P, fun barrel_p2p_gossip:stats/0)) || P <- All]) end,
    Before = Compared(),
    ok = wait_until(compared, fun() -> Compared() > Before + 20 end, 15_000),
    [1, 1] = Counts().
