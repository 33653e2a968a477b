%% SPDX-License-Identifier: Apache-2.0
-module(map_SUITE).
-moduledoc """
A replicated map is the same on every node that has opened it, whatever happens to nodes, owners and connections in between.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([write_on_any_node_is_read_on_all/1, subscribers_on_other_nodes_are_told_once/1, node_that_opens_late_gets_everything/1,
         writes_on_both_sides_of_a_partition_meet/1, deletion_in_a_partition_is_not_undone/1, only_tombstones_travel_too/1,
         bad_value_of_another_node_is_not_shown/1, entries_of_a_view_eviction_stay/1, pruned_entries_do_not_come_back/1,
         frozen_node_gets_its_entries_shown_again/1, restarted_node_keeps_only_what_it_writes_anew/1,
         values_of_a_node_survive_a_restart_of_its_distribution/1, later_write_stands_when_a_distribution_comes_back/1,
         values_in_memory_of_a_node_that_was_away_for_long_return/1, values_on_the_disk_of_a_restarted_node_are_not_removed/1,
         later_write_stands_when_a_disk_comes_back/1, persistent_map_survives_kill/1,
         crash_of_an_owner_among_writers_loses_nothing/1, maps_of_the_configuration_are_open/1, deleted_map_is_deleted_here_only/1,
         many_entries_arrive_while_the_node_works/1, new_node_loads_in_steps_that_block_no_scheduler/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [address/1, alone/3, member/3, started/1, join/2, until_members/2, until_members/3, active/1]).

%% The name of a node whose distribution is started by hand.
-define(LATE, 'late@127.0.0.1').

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [write_on_any_node_is_read_on_all, subscribers_on_other_nodes_are_told_once, node_that_opens_late_gets_everything,
     writes_on_both_sides_of_a_partition_meet, deletion_in_a_partition_is_not_undone, only_tombstones_travel_too,
     bad_value_of_another_node_is_not_shown, entries_of_a_view_eviction_stay, pruned_entries_do_not_come_back,
     frozen_node_gets_its_entries_shown_again, restarted_node_keeps_only_what_it_writes_anew,
     values_of_a_node_survive_a_restart_of_its_distribution, later_write_stands_when_a_distribution_comes_back,
     values_in_memory_of_a_node_that_was_away_for_long_return, values_on_the_disk_of_a_restarted_node_are_not_removed,
     later_write_stands_when_a_disk_comes_back, persistent_map_survives_kill,
     crash_of_an_owner_among_writers_loses_nothing, maps_of_the_configuration_are_open, deleted_map_is_deleted_here_only,
     many_entries_arrive_while_the_node_works, new_node_loads_in_steps_that_block_no_scheduler].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

bare(Config, Count) ->
    bare(Config, Count, []).

bare(Config, Count, Keys) ->
    Cluster = proplists:get_value(cluster, Config),
    [First | Rest] = All = [alone(Cluster, list_to_atom("n" ++ integer_to_list(N)), Keys) || N <- lists:seq(1, Count)],
    _ = [ok = join(P, First) || P <- Rest],
    ok = until_members(All, All),
    All.

%% A cluster of so many nodes that have all opened the map.
open(Config, Count, Options) ->
    All = bare(Config, Count),
    _ = [open(P, Options) || P <- All],
    All.

open(Peer, Options) ->
    {ok, _} = on(Peer, fun() -> barrel_p2p:new_map(m, Options) end),
    ok.

put(Peer, Key, Value) -> on(Peer, fun() -> barrel_p2p:map_put(m, Key, Value) end).
remove(Peer, Key) -> on(Peer, fun() -> barrel_p2p:map_remove(m, Key) end).
content(Peer) -> on(Peer, fun() -> lists:sort(barrel_p2p:map_to_list(m)) end).

until(Peers, Content) ->
    until(Peers, Content, 15_000).

until(Peers, Content, Milliseconds) ->
    try wait_until(content, fun() -> lists:all(fun(P) -> content(P) =:= lists:sort(Content) end, Peers) end, Milliseconds)
    catch error:{not_within_ms, _, _} -> error({expected, Content, after_ms, Milliseconds, [content(P) || P <- Peers]})
    end.

%% From now on what subscribers on the peer are told is kept there.
record(Peer) ->
    on(Peer, fun() ->
                 Self = self(),
                 Recorder = spawn(fun() ->
                                      ok = barrel_p2p:subscribe_map(m),
                                      true = register(map_recorder, self()),
                                      Self ! {self(), ready},
                                      keep([])
                                  end),
                 receive {Recorder, ready} -> ok end
             end).

keep(Told) ->
    receive
        {barrel_p2p_map, m, What} -> keep([What | Told]);
        {told, From} -> From ! {map_recorder, lists:reverse(Told)}, keep(Told)
    end.

told(Peer) ->
    on(Peer, fun() -> map_recorder ! {told, self()}, receive {map_recorder, Told} -> Told end end).

block(#{node := NodeA} = A, #{node := NodeB} = B) ->
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB]) end),
    ok = on(B, fun() -> barrel_p2p_hyparview:block_peers([NodeA]) end),
    wait_until(apart, fun() -> {active(A), active(B)} =:= {[], []} end, 10_000).

%% From the other one, and from a node that is not there yet.
cut_off(#{node := NodeA} = A, #{node := NodeB} = B, Absent) ->
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB, Absent]) end),
    ok = on(B, fun() -> barrel_p2p_hyparview:block_peers([NodeA]) end),
    wait_until(apart, fun() -> {active(A), active(B)} =:= {[], []} end, 10_000).

unblock(A, B) ->
    _ = [ok = on(P, fun barrel_p2p_hyparview:unblock_peers/0) || P <- [A, B]],
    join(A, B).

write_on_any_node_is_read_on_all(Config) ->
    All = open(Config, 4, #{}),
    Written = [{{key, Node, N}, #{n => N}} || #{node := Node} = P <- All, N <- lists:seq(1, 50), ok =:= put(P, {key, Node, N}, #{n => N})],
    ok = put(hd(All), 1, integer),
    ok = put(lists:last(All), 1.0, float),
    ok = until(All, [{1, integer}, {1.0, float} | Written]),
    _ = [ok = remove(P, Key) || {P, {Key, _}} <- lists:zip(lists:append(lists:duplicate(50, All)), Written)],
    ok = until(All, [{1, integer}, {1.0, float}]).

subscribers_on_other_nodes_are_told_once(Config) ->
    [A, B, C] = All = open(Config, 3, #{}),
    _ = [ok = record(P) || P <- All],
    ok = put(A, a, 1),
    ok = until(All, [{a, 1}]),
    ok = put(B, a, 1),
    ok = put(B, b, 2),
    ok = until(All, [{a, 1}, {b, 2}]),
    ok = remove(C, never_there),
    ok = remove(C, a),
    ok = until(All, [{b, 2}]),
    %% The last one shows that nothing is on its way.
    ok = put(A, done, 1),
    ok = until(All, [{b, 2}, {done, 1}]),
    [{put, a, 1}, {put, b, 2}, {remove, a}, {put, done, 1}] = told(A),
    [{put, a, 1}, {put, a, 1}, {put, b, 2}, {remove, a}, {put, done, 1}] = told(B),
    [{put, a, 1}, {put, b, 2}, {remove, never_there}, {remove, a}, {put, done, 1}] = told(C).

node_that_opens_late_gets_everything(Config) ->
    [A, B, C] = bare(Config, 3),
    _ = [open(P, #{}) || P <- [A, B]],
    Content = [{N, N} || N <- lists:seq(1, 500)],
    _ = [ok = put(P, N, N) || {P, {N, _}} <- lists:zip(lists:append(lists:duplicate(250, [A, B])), Content)],
    ok = remove(A, gone),
    ok = open(C, #{}),
    ok = until([A, B, C], Content).

writes_on_both_sides_of_a_partition_meet(Config) ->
    [A, B] = All = open(Config, 2, #{}),
    ok = put(A, both, 0),
    ok = until(All, [{both, 0}]),
    ok = block(A, B),
    ok = put(A, a, 1),
    ok = put(A, both, from_a),
    ok = put(B, b, 2),
    ok = put(B, both, from_b),
    [{a, 1}, {both, from_a}] = content(A),
    ok = unblock(A, B),
    ok = until(All, [{a, 1}, {b, 2}, {both, from_b}]).

deletion_in_a_partition_is_not_undone(Config) ->
    [A, B] = All = open(Config, 2, #{}),
    ok = put(A, gone, 1),
    ok = put(A, kept, 1),
    ok = until(All, [{gone, 1}, {kept, 1}]),
    ok = block(A, B),
    ok = remove(A, gone),
    ok = put(B, kept, 2),
    ok = unblock(A, B),
    ok = until(All, [{kept, 2}]).

%% C12.
only_tombstones_travel_too(Config) ->
    [A, B] = All = open(Config, 2, #{}),
    ok = put(A, only, 1),
    ok = until(All, [{only, 1}]),
    ok = block(A, B),
    ok = remove(A, only),
    ok = unblock(A, B),
    ok = until(All, []).

bad_value_of_another_node_is_not_shown(Config) ->
    [A, B] = bare(Config, 2),
    ok = open(A, #{}),
    ok = open(B, #{validator => {erlang, is_integer}}),
    ok = record(B),
    ok = put(A, bad, not_an_integer),
    ok = put(A, good, 1),
    ok = until([B], [{good, 1}]),
    {error, invalid_value} = put(B, bad, not_an_integer),
    ok = put(A, bad, 2),
    ok = until([A, B], [{bad, 2}, {good, 1}]),
    [{put, good, 1}, {put, bad, 2}] = told(B).

%% C7: no neighbour any more is not gone.
entries_of_a_view_eviction_stay(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B, C] = All = open(Config, 3, #{prune_on_peer_down => true}),
    ok = put(A, a, 1),
    ok = until(All, [{a, 1}]),
    _ = [ok = record(P) || P <- [B, C]],
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB]) end),
    ok = wait_until(evicted, fun() -> not lists:member(NodeA, active(B)) end, 10_000),
    ok = put(C, after_that, 1),
    ok = until(All, [{a, 1}, {after_that, 1}]),
    [[{put, after_that, 1}], [{put, after_that, 1}]] = [told(P) || P <- [B, C]].

%% C13: neither the other nodes nor one that comes later bring them back.
pruned_entries_do_not_come_back(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Keys = [{tombstone_max_age_ms, 6_000}],
    Options = #{prune_on_peer_down => true, tombstone_ttl_ms => 3_000, scan_ms => 200},
    [A, B, C] = All = bare(Config, 3, Keys),
    _ = [open(P, Options) || P <- All],
    ok = put(A, a, 1),
    ok = put(C, c, 3),
    ok = put(B, both, 2),
    ok = until(All, [{a, 1}, {both, 2}, {c, 3}]),
    ok = put(C, both, 3),
    ok = until(All, [{a, 1}, {both, 3}, {c, 3}]),
    ok = record(A),
    ok = kill(C),
    ok = until([A, B], [{a, 1}], 20_000),
    [{remove, both}, {remove, c}] = lists:sort(told(A)),
    D = alone(Cluster, n4, Keys),
    ok = join(D, A),
    ok = open(D, Options),
    ok = put(D, d, 4),
    ok = until([A, B, D], [{a, 1}, {d, 4}]),
    Removed = fun(P) ->
                  {sync, Map} = on(P, fun() -> barrel_p2p_map:replica_full_sync_snapshot(m) end),
                  barrel_p2p_ormap:get(c, Map) =:= not_found
              end,
    %% Hidden as yet; later they are gone for good.
    false = Removed(A),
    ok = wait_until(removed, fun() -> lists:all(Removed, [A, B, D]) end, 15_000),
    ok = until([A, B, D], [{a, 1}, {d, 4}]).

frozen_node_gets_its_entries_shown_again(Config) ->
    [A, B, C] = All = open(Config, 3, #{prune_on_peer_down => true}),
    ok = put(A, a, 1),
    ok = put(C, c, 3),
    ok = until(All, [{a, 1}, {c, 3}]),
    ok = record(A),
    ok = barrel_p2p_test:freeze(C),
    ok = until([A, B], [{a, 1}], 20_000),
    ok = barrel_p2p_test:thaw(C),
    ok = until(All, [{a, 1}, {c, 3}], 40_000),
    ok = until_members(All, All, 40_000),
    [{remove, c}, {put, c, 3}] = told(A),
    ok = put(C, c, 4),
    ok = until(All, [{a, 1}, {c, 4}]).

restarted_node_keeps_only_what_it_writes_anew(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    [A, B, C] = All = open(Config, 3, #{prune_on_peer_down => true}),
    ok = put(A, a, 1),
    ok = put(C, old, 3),
    ok = until(All, [{a, 1}, {old, 3}]),
    ok = kill(C),
    Again = alone(Cluster, n3, []),
    ok = join(Again, A),
    ok = open(Again, #{prune_on_peer_down => true}),
    ok = put(Again, new, 4),
    ok = until([A, B, Again], [{a, 1}, {new, 4}], 30_000).

%% The same VM, with all that it has in memory, in another life for the others.
values_of_a_node_survive_a_restart_of_its_distribution(Config) ->
    [A, C] = bare(Config, 2, [often()]),
    _ = [open(P, #{prune_on_peer_down => true}) || P <- [A, C]],
    B = late(Config, A),
    ok = put(A, a, 1),
    Own = [{{b, N}, N} || N <- lists:seq(1, 500), ok =:= put(B, {b, N}, N)],
    _ = [ok = put(B, Key, 2) || Key <- [removed, replaced]],
    ok = until([A, B, C], [{a, 1}, {removed, 2}, {replaced, 2} | Own]),
    ok = on(B, fun net_kernel:stop/0),
    ok = until([A, C], [{a, 1}], 20_000),
    %% What others do meanwhile stands.
    ok = remove(A, removed),
    ok = put(C, replaced, 3),
    ok = distributed(B),
    ok = until([A, B, C], [{a, 1}, {replaced, 3} | Own], 30_000).

%% The node that the returning one meets first has not heard of it.
later_write_stands_when_a_distribution_comes_back(Config) ->
    [A, C] = bare(Config, 2, [often()]),
    _ = [open(P, #{prune_on_peer_down => true}) || P <- [A, C]],
    B = late(Config, A),
    _ = [ok = put(B, Key, 2) || Key <- [removed, replaced]],
    ok = until([A, B, C], [{removed, 2}, {replaced, 2}]),
    ok = on(B, fun net_kernel:stop/0),
    ok = until([A, C], [], 20_000),
    ok = cut_off(C, A, ?LATE),
    ok = remove(C, removed),
    ok = put(C, replaced, 3),
    ok = distributed(B),
    ok = until([A, B], [{removed, 2}, {replaced, 2}], 20_000),
    [{replaced, 3}] = content(C),
    ok = unblock(A, C),
    ok = until([A, B, C], [{replaced, 3}], 30_000).

%% The others have removed them for good.
values_in_memory_of_a_node_that_was_away_for_long_return(Config) ->
    [A] = bare(Config, 1, [often(), {tombstone_max_age_ms, 4_000}]),
    ok = open(A, #{prune_on_peer_down => true, tombstone_ttl_ms => 2_000, scan_ms => 200}),
    B = late(Config, A),
    ok = put(B, b, 2),
    ok = until([A, B], [{b, 2}]),
    ok = on(B, fun net_kernel:stop/0),
    Removed = fun() ->
                  {sync, Map} = on(A, fun() -> barrel_p2p_map:replica_full_sync_snapshot(m) end),
                  barrel_p2p_ormap:get(b, Map) =:= not_found
              end,
    ok = wait_until(removed, Removed, 20_000),
    ok = distributed(B),
    ok = until([A, B], [{b, 2}], 20_000).

often() ->
    {replica_anti_entropy_ms, 1_000}.

%% A member whose distribution is started by hand, with the map open.
late(Config, Contact) ->
    Late = [often(), {discovery_backends, []}, {contact_nodes, [address(Contact)]}, {contact_retry_ms, 200}],
    Peer = started(barrel_p2p_test:start(proplists:get_value(cluster, Config), none, #{data => "late", config => Late})),
    ok = distributed(Peer),
    ok = open(Peer, #{prune_on_peer_down => true}),
    Peer.

distributed(Peer) ->
    {ok, _} = on(Peer, fun() -> net_kernel:start(?LATE, #{name_domain => longnames}) end),
    ok.

%% The others keep nothing on the disk, so for them the node has lost what it had.
values_on_the_disk_of_a_restarted_node_are_not_removed(Config) ->
    [A, B] = All = bare(Config, 2, [often()]),
    _ = [open(P, #{prune_on_peer_down => true}) || P <- All],
    C = lasting(Config, ?FUNCTION_NAME),
    ok = join(C, A),
    ok = put(C, c, 3),
    ok = until([A, B, C], [{c, 3}]),
    ok = kill(C),
    ok = until(All, [], 20_000),
    Again = lasting(Config, ?FUNCTION_NAME),
    ok = join(Again, A),
    ok = put(Again, new, 4),
    ok = until([A, B, Again], [{c, 3}, {new, 4}], 30_000).

%% The others hold the map in memory, so they take a node that has started anew to have lost what it wrote. The one that it meets first has not heard
%% of what was written while it was away.
later_write_stands_when_a_disk_comes_back(Config) ->
    [A, C] = All = bare(Config, 2, [often()]),
    _ = [open(P, #{prune_on_peer_down => true}) || P <- All],
    #{node := NodeB} = B = lasting(Config, ?FUNCTION_NAME),
    ok = join(B, A),
    _ = [ok = put(B, Key, 2) || Key <- [removed, replaced, untouched]],
    ok = until([A, B, C], [{removed, 2}, {replaced, 2}, {untouched, 2}]),
    ok = kill(B),
    ok = until(All, [], 20_000),
    ok = cut_off(C, A, NodeB),
    ok = remove(C, removed),
    ok = put(C, replaced, 3),
    Again = lasting(Config, ?FUNCTION_NAME),
    ok = join(Again, A),
    ok = until([A, Again], [{removed, 2}, {replaced, 2}, {untouched, 2}], 20_000),
    [{replaced, 3}] = content(C),
    ok = unblock(A, C),
    ok = until([A, Again, C], [{replaced, 3}, {untouched, 2}], 30_000).

%% A node whose map is on its disk. It has not joined.
lasting(Config, Case) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), Case),
    Peer = alone(proplists:get_value(cluster, Config), lasting, [often(), {barrel_p2p_map_data_dir, Dir}]),
    ok = open(Peer, #{persist => true, prune_on_peer_down => true}),
    Peer.

persistent_map_survives_kill(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Dir = filename:join(proplists:get_value(priv_dir, Config), "persistent_map_survives_kill"),
    Start = fun() ->
                Peer = member(Cluster, lasting, #{config => [{discovery_backends, []}, {barrel_p2p_map_data_dir, Dir}]}),
                ok = open(Peer, #{persist => true}),
                Peer
            end,
    A = Start(),
    Self = self(),
    Writer = spawn_link(fun() -> Self ! {acknowledged, self(), last_write(A, 0)} end),
    ok = wait_until(some, fun() -> length(content(A)) > 300 end, 20_000),
    ok = kill(A),
    Acknowledged = receive {acknowledged, Writer, N} -> N after 10_000 -> error(no_word_of_the_writer) end,
    B = Start(),
    Content = content(B),
    [] = [N || N <- lists:seq(1, Acknowledged), not lists:member({N, N}, Content)],
    ok = put(B, more, 1),
    ok = on(B, fun() -> application:stop(barrel_p2p) end).

%% Writes one after the other until the node dies, and gives the last one that was acknowledged.
last_write(Peer, Last) ->
    try put(Peer, Last + 1, Last + 1) of
        ok -> last_write(Peer, Last + 1)
    catch
        exit:_ -> Last
    end.

crash_of_an_owner_among_writers_loses_nothing(Config) ->
    [A, B] = All = open(Config, 2, #{}),
    Write = fun(Peer, Tag) -> barrel_p2p_test:async(Peer, fun() -> [ok = barrel_p2p:map_put(m, {Tag, N}, N) || N <- lists:seq(1, 3_000)], ok end) end,
    Writing = [Write(A, a), Write(B, b)],
    ok = wait_until(some, fun() -> length(content(A)) > 100 end, 10_000),
    _ = [true = on(P, fun() -> exit(whereis(barrel_p2p_map:owner_name(m)), kill) end) || P <- All],
    _ = [ok = barrel_p2p_test:await(W, 30_000) || W <- Writing],
    ok = until(All, [{{Tag, N}, N} || Tag <- [a, b], N <- lists:seq(1, 3_000)], 30_000).

maps_of_the_configuration_are_open(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    Keys = [{replicated_maps, [{m, #{}}, {"no name", #{}}, {other, #{validator => {erlang, is_atom}}}]}],
    [A, B] = All = [alone(Cluster, Name, Keys) || Name <- [a, b]],
    ok = join(A, B),
    ok = put(A, a, 1),
    ok = until(All, [{a, 1}]),
    {error, invalid_value} = on(B, fun() -> barrel_p2p:map_put(other, a, 1) end),
    ok = barrel_p2p_test:logged(A, "an entry of replicated_maps is not started").

deleted_map_is_deleted_here_only(Config) ->
    [A, B] = All = open(Config, 2, #{}),
    ok = put(A, a, 1),
    ok = until(All, [{a, 1}]),
    ok = on(A, fun() -> barrel_p2p:delete_map(m) end),
    {error, no_such_map} = put(A, a, 2),
    ok = put(B, b, 2),
    [{a, 1}, {b, 2}] = content(B),
    %% And back.
    ok = open(A, #{}),
    ok = until(All, [{a, 1}, {b, 2}]).

%% A newcomer takes the content at the pace of its owner, which meanwhile serves everybody else.
many_entries_arrive_while_the_node_works(Config) ->
    [A, B] = bare(Config, 2),
    ok = open(A, #{}),
    Count = 50_000,
    ok = on(A, fun() -> [ok = barrel_p2p:map_put(m, N, {value, N}) || N <- lists:seq(1, Count)], ok end),
    ok = open(B, #{}),
    {Micros, {Slowest, Size}} = timer:tc(fun() -> on(B, fun() -> worst_put(0, Count, erlang:monotonic_time(millisecond) + 30_000) end) end),
    ct:pal("~b entries in ~b ms, slowest put beside that ~b us", [Count, Micros div 1_000, Slowest]),
    true = Size >= Count,
    true = Slowest < 500_000.

worst_put(Slowest, Count, Deadline) ->
    {Micros, ok} = timer:tc(fun() -> barrel_p2p:map_put(m, own, Slowest) end),
    Size = ets:info(barrel_p2p_map:tab_name(m), size),
    case Size > Count orelse erlang:monotonic_time(millisecond) > Deadline of
        true -> {max(Slowest, Micros), Size - 1};
        false -> worst_put(max(Slowest, Micros), Count, Deadline)
    end.

%% How long a call holds a scheduler depends on the machine and on what else it does, so that is only shown. How much a call deals with does not: the
%% native tests assert the bound for every call and for large values, and here the owner is seen to make those calls.
new_node_loads_in_steps_that_block_no_scheduler(Config) ->
    [A, B] = bare(Config, 2),
    ok = open(A, #{}),
    Count = 100_000,
    ok = on(A, fun() -> [ok = barrel_p2p:map_put(m, N, N) || N <- lists:seq(1, Count)], ok end),
    {Milliseconds, Calls, Held} = on(B, fun() -> traced_load(Count) end),
    Longest = lists:max([Microseconds || {_, _, Microseconds} <- Calls]),
    ct:pal("~b entries in ~b ms, ~b native calls, the longest took ~b us; schedulers went on for 1 ms or more ~b times, at most ~b ms",
           [Count, Milliseconds, length(Calls), Longest, length(Held), lists:max([0 | Held])]),
    Pulled = [length(Entries) || {store_pull, {Entries, _}, _} <- Calls],
    true = lists:sum(Pulled) >= Count,
    true = lists:max(Pulled) =< 256.

%% Opens the map. What its owner, whom this call starts, asks of the native store.
traced_load(Count) ->
    Functions = [{barrel_p2p_nif, store_pull, 1}, {barrel_p2p_nif, store_commit, 2}],
    _ = [1 = erlang:trace_pattern(Function, [{'_', [], [{return_trace}]}], [local]) || Function <- Functions],
    _ = erlang:trace(new, true, [call, monotonic_timestamp]),
    _ = erlang:system_monitor(self(), [{long_schedule, 1}]),
    {Microseconds, ok} = timer:tc(fun() ->
                                      {ok, _} = barrel_p2p:new_map(m, #{}),
                                      wait_until(loaded, fun() -> ets:info(barrel_p2p_map:tab_name(m), size) >= Count end, 60_000)
                                  end),
    _ = erlang:trace(new, false, [call]),
    _ = erlang:trace_pattern({barrel_p2p_nif, '_', '_'}, false, [local]),
    _ = erlang:system_monitor(undefined),
    {Microseconds div 1_000, native_calls(), held()}.

native_calls() ->
    receive
        {trace_ts, Owner, call, {_, Name, Arguments}, Before} ->
            Arity = length(Arguments),
            receive {trace_ts, Owner, return_from, {_, Name, Arity}, Result, After} ->
                [{Name, Result, erlang:convert_time_unit(After - Before, native, microsecond)} | native_calls()]
            end
    after 0 ->
        []
    end.

held() ->
    receive {monitor, _, long_schedule, Info} -> [proplists:get_value(timeout, Info) | held()] after 0 -> [] end.
