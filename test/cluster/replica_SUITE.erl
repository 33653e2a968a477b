%% SPDX-License-Identifier: Apache-2.0
-module(replica_SUITE).
-moduledoc """
A state that merges in its own way is the same on all nodes: whoever starts late, is cut off, or fails for a while.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([changes_reach_everybody_and_do_not_come_back/1, custom_payloads_reach_everybody/1, late_instance_gets_the_state/1,
         deletions_travel_although_nothing_else_is_left/1, snapshot_of_any_size_travels_in_pieces/1, slow_snapshot_does_not_kill_the_replica/1,
         anti_entropy_repairs_what_was_not_heard/1, halves_of_a_partition_come_together/1, dead_node_is_told_once_and_a_dropped_neighbour_is_not/1,
         restart_of_its_sources_is_survived/1, failing_callbacks_are_contained/1, malformed_payloads_are_counted_and_ignored/1,
         application_may_start_later_than_the_replica/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [alone/3, join/2, until_members/2]).

-define(NAME, shared).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [changes_reach_everybody_and_do_not_come_back, custom_payloads_reach_everybody, late_instance_gets_the_state,
     deletions_travel_although_nothing_else_is_left, snapshot_of_any_size_travels_in_pieces, slow_snapshot_does_not_kill_the_replica,
     anti_entropy_repairs_what_was_not_heard, halves_of_a_partition_come_together, dead_node_is_told_once_and_a_dropped_neighbour_is_not,
     restart_of_its_sources_is_survived, failing_callbacks_are_contained, malformed_payloads_are_counted_and_ignored,
     application_may_start_later_than_the_replica].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

%% A cluster of so many nodes; the instance runs on none yet.
bare(Config, Count) ->
    bare(Config, Count, []).

bare(Config, Count, Keys) ->
    Cluster = proplists:get_value(cluster, Config),
    [First | Rest] = All = [alone(Cluster, list_to_atom("n" ++ integer_to_list(N)), Keys) || N <- lists:seq(1, Count)],
    _ = [ok = join(P, First) || P <- Rest],
    ok = until_members(All, All),
    All.

running(Config, Count) ->
    All = bare(Config, Count),
    _ = [start(P) || P <- All],
    All.

start(Peer) ->
    on(Peer, fun() -> replica_owner:start(?NAME) end).

map(Peer) ->
    on(Peer, fun() -> replica_owner:map(?NAME) end).

add(Peer, Key, Value) ->
    on(Peer, fun() -> replica_owner:add(?NAME, Key, Value) end).

live(Peer) ->
    lists:sort(barrel_p2p_ormap:to_list(map(Peer))).

until_live(Peers, Expected) ->
    until_live(Peers, Expected, 10_000).

until_live(Peers, Expected, Milliseconds) ->
    wait_until({live, Expected}, fun() -> lists:all(fun(P) -> live(P) =:= lists:sort(Expected) end, Peers) end, Milliseconds).

info(Peer) ->
    on(Peer, fun() -> barrel_p2p_replica:info(?NAME) end).

changes_reach_everybody_and_do_not_come_back(Config) ->
    [A, B, C] = All = running(Config, 3),
    ok = add(A, {tuple, 1}, one),
    ok = add(B, <<"two">>, 2),
    ok = until_live(All, [{{tuple, 1}, one}, {<<"two">>, 2}]),
    ok = on(C, fun() -> replica_owner:remove(?NAME, <<"two">>) end),
    ok = until_live(All, [{{tuple, 1}, one}]),
    %% Two changes of others each, none of its own.
    [2, 2, 2] = [maps:get(deltas, info(P)) || P <- All].

custom_payloads_reach_everybody(Config) ->
    [#{node := NodeA} = A, B, C] = running(Config, 3),
    ok = on(A, fun() -> barrel_p2p_replica:broadcast_custom(?NAME, {fence, node(), 7}) end),
    Customs = fun(P) -> on(P, fun() -> replica_owner:customs(?NAME) end) end,
    ok = wait_until(told, fun() -> [Customs(P) || P <- [B, C]] =:= [[{fence, NodeA, 7}], [{fence, NodeA, 7}]] end, 5_000),
    [] = Customs(A).

late_instance_gets_the_state(Config) ->
    [A, B, C] = bare(Config, 3),
    _ = [start(P) || P <- [A, B]],
    ok = add(A, a, 1),
    ok = until_live([A, B], [{a, 1}]),
    _ = start(C),
    ok = until_live([C], [{a, 1}]).

%% C12.
deletions_travel_although_nothing_else_is_left(Config) ->
    [A, B] = bare(Config, 2),
    _ = [start(P) || P <- [A, B]],
    ok = add(A, gone, 1),
    ok = until_live([A, B], [{gone, 1}]),
    %% B does not hear of the removal, and then asks A, who has nothing but tombstones.
    Kept = map(B),
    ok = on(B, fun() -> replica_owner:stop(?NAME) end),
    ok = on(A, fun() -> replica_owner:remove(?NAME, gone) end),
    [] = live(A),
    _ = on(B, fun() ->
                  Started = replica_owner:start(?NAME),
                  ok = replica_owner:replica_apply_full_sync(?NAME, Kept),
                  Started
              end),
    ok = until_live([B], []),
    #{gone := {tombstone, _}} = map(B).

%% C12. Far above what one message may hold.
snapshot_of_any_size_travels_in_pieces(Config) ->
    [A, B] = bare(Config, 2),
    _ = start(A),
    ok = on(A, fun() ->
                   Entry = fun(N) -> {value, {N, crypto:strong_rand_bytes(100_000)}, #{{node(), {timestamp, N, 0}} => true}} end,
                   replica_owner:replica_apply_full_sync(?NAME, maps:from_list([{N, Entry(N)} || N <- lists:seq(1, 150)]))
               end),
    150 = map_size(map(A)),
    _ = start(B),
    ok = wait_until(copied, fun() -> map_size(map(B)) =:= 150 end, 30_000),
    true = map(A) =:= map(B),
    %% A round of anti-entropy may have come in between.
    #{snapshots_taken := Taken, malformed := 0} = info(B),
    true = Taken >= 1.

%% C12. Longer than any gen_server call waits.
slow_snapshot_does_not_kill_the_replica(Config) ->
    [A, B] = bare(Config, 2),
    {_, ReplicaA} = start(A),
    ok = add(A, a, 1),
    ok = on(A, fun() -> replica_owner:misbehave(?NAME, {dawdle, 7_000}) end),
    {_, ReplicaB} = start(B),
    %% Both go on meanwhile.
    ok = add(B, b, 2),
    ok = wait_until(heard, fun() -> lists:member({b, 2}, live(A)) end, 3_000),
    ok = until_live([A, B], [{a, 1}, {b, 2}], 20_000),
    [ReplicaA, ReplicaB] = [on(P, fun() -> whereis(?NAME) end) || P <- [A, B]].

anti_entropy_repairs_what_was_not_heard(Config) ->
    [A, B] = All = bare(Config, 2, [{replica_anti_entropy_ms, 500}]),
    _ = [start(P) || P <- All],
    ok = wait_until(started, fun() -> lists:all(fun(P) -> maps:get(snapshots_taken, info(P)) > 0 end, All) end, 10_000),
    %% Not broadcast.
    ok = on(A, fun() -> replica_owner:replica_apply_full_sync(?NAME, barrel_p2p_ormap:add(unheard, 1, #{})) end),
    ok = until_live([B], [{unheard, 1}]).

halves_of_a_partition_come_together(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = All = running(Config, 2),
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB]) end),
    ok = on(B, fun() -> barrel_p2p_hyparview:block_peers([NodeA]) end),
    ok = wait_until(apart, fun() -> [barrel_p2p_test_members:active(P) || P <- All] =:= [[], []] end, 5_000),
    ok = add(A, a, 1),
    ok = add(B, b, 2),
    _ = [ok = on(P, fun barrel_p2p_hyparview:unblock_peers/0) || P <- All],
    ok = join(A, B),
    ok = until_live(All, [{a, 1}, {b, 2}]).

%% C7.
dead_node_is_told_once_and_a_dropped_neighbour_is_not(Config) ->
    [A, #{node := NodeB} = B, #{node := NodeC} = C] = running(Config, 3),
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB]) end),
    ok = wait_until(no_neighbour, fun() -> not lists:member(NodeB, barrel_p2p_test_members:active(A)) end, 5_000),
    ok = kill(C),
    Removed = fun(P) -> on(P, fun() -> replica_owner:removed_nodes(?NAME) end) end,
    ok = wait_until(told, fun() -> lists:all(fun(P) -> lists:member(NodeC, Removed(P)) end, [A, B]) end, 20_000),
    [[NodeC], [NodeC]] = [Removed(P) || P <- [A, B]].

restart_of_its_sources_is_survived(Config) ->
    [A, B] = All = running(Config, 2),
    _ = [true = on(A, fun() -> exit(whereis(Source), kill) end) || Source <- [barrel_p2p_events, barrel_p2p_membership]],
    ok = wait_until(neighbours, fun() -> [length(barrel_p2p_test_members:active(P)) || P <- All] =:= [1, 1] end, 10_000),
    ok = add(B, b, 2),
    ok = until_live(All, [{b, 2}]),
    %% With the application goes the table of subscriptions.
    ok = on(A, fun() -> application:stop(barrel_p2p) end),
    ok = add(B, b, 3),
    _ = barrel_p2p_test_members:started(A),
    ok = join(A, B),
    ok = until_live(All, [{b, 3}]),
    ok = add(B, c, 4),
    ok = until_live(All, [{b, 3}, {c, 4}]).

failing_callbacks_are_contained(Config) ->
    [A, B, C] = All = running(Config, 3),
    Before = on(B, fun() -> whereis(?NAME) end),
    ok = on(B, fun() -> replica_owner:misbehave(?NAME, crash) end),
    ok = add(A, a, 1),
    ok = on(A, fun() -> barrel_p2p_replica:broadcast_custom(?NAME, custom) end),
    ok = until_live([C], [{a, 1}]),
    ok = wait_until(counted, fun() -> maps:get(callback_failures, info(B)) >= 2 end, 5_000),
    ok = barrel_p2p_test:logged(B, "replica_owner:replica_"),
    %% One who asks such a node is told that there is nothing to get, and asks the next.
    ok = on(C, fun() -> replica_owner:stop(?NAME) end),
    _ = start(C),
    ok = until_live([C], [{a, 1}], 20_000),
    ok = on(B, fun() -> replica_owner:misbehave(?NAME, well) end),
    ok = add(A, b, 2),
    ok = wait_until(heard, fun() -> lists:member({b, 2}, live(B)) end, 5_000),
    Before = on(B, fun() -> whereis(?NAME) end),
    ok = until_live(All -- [B], [{a, 1}, {b, 2}]).

malformed_payloads_are_counted_and_ignored(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = All = running(Config, 2),
    Before = on(B, fun() -> whereis(?NAME) end),
    ok = on(A, fun() ->
                   Entry = {value, 1, #{{node(), {timestamp, 1, 0}} => true}},
                   Broadcasts = [garbage, {delta, node()}, {delta, "n1", #{}}, {delta, node(), garbage}, {delta, node(), #{k => bad}}, {custom, 1, x},
                                 {delta, 'x@h', #{good => Entry, bad => {value, 1, #{}}}}],
                   %% Under another name, since what comes under the own one is taken for an echo.
                   _ = [ok = barrel_p2p_plumtree:broadcast(?NAME, renamed(Broadcast)) || Broadcast <- Broadcasts],
                   Directs = [garbage, {pull, 1, 0}, {pull, make_ref(), -1}, {piece, make_ref()}, {piece, no_ref, 0, 0, <<>>}, {done, 1}],
                   _ = [ok = barrel_p2p_direct:send(NodeB, {barrel_p2p_replica, ?NAME}, Direct) || Direct <- Directs],
                   ok
               end),
    ok = wait_until(counted, fun() -> maps:get(malformed, info(B)) =:= 13 end, 5_000),
    ok = until_live([B], [{good, 1}]),
    ok = add(A, sound, 1),
    ok = wait_until(heard, fun() -> lists:member({sound, 1}, live(B)) end, 5_000),
    Before = on(B, fun() -> whereis(?NAME) end),
    true = lists:member(NodeA, barrel_p2p_test_members:active(B)),
    2 = length(All).

renamed(Broadcast) when element(2, Broadcast) =:= node() -> setelement(2, Broadcast, 'x@h');
renamed(Broadcast) -> Broadcast.

application_may_start_later_than_the_replica(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Options = (barrel_p2p_test_members:small())#{config => [{discovery_backends, []}]},
    A = barrel_p2p_test:start(Cluster, a, Options),
    B = barrel_p2p_test_members:member(Cluster, b, Options),
    _ = [start(P) || P <- [A, B]],
    ok = add(B, b, 2),
    _ = barrel_p2p_test_members:started(A),
    ok = join(A, B),
    ok = until_live([A, B], [{b, 2}]).
