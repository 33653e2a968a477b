%% SPDX-License-Identifier: Apache-2.0
-module(membership_life_SUITE).
-moduledoc """
Membership where distribution comes and goes, contacts come late, and the processes that serve it crash.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([contacts_of_every_form_are_joined/1, contact_that_comes_late_is_joined/1, every_address_of_a_host_is_a_contact/1,
         node_that_is_its_own_contact_stays_calm/1, contacts_are_left_alone_after_leave/1, distribution_starts_and_stops_at_run_time/1,
         node_that_does_not_listen_is_no_member/1, crash_of_the_membership_process_is_survived/1, crash_of_the_event_server_is_survived/1]).

-import(barrel_p2p_test, [on/2, start/3, wait_until/3]).
-import(barrel_p2p_test_members, [member/3, alone/3, started/1, address/1, join/2, active/1, members/1, until_members/2, record/1,
                                  recorded/2, until_recorded/2]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [contacts_of_every_form_are_joined, contact_that_comes_late_is_joined, every_address_of_a_host_is_a_contact,
     node_that_is_its_own_contact_stays_calm, contacts_are_left_alone_after_leave, distribution_starts_and_stops_at_run_time,
     node_that_does_not_listen_is_no_member, crash_of_the_membership_process_is_survived, crash_of_the_event_server_is_survived].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

contacts_of_every_form_are_joined(Config) ->
    #{node := Seed} = First = member(cluster(Config), seed, #{}),
    Address = address(First),
    ByName = member(cluster(Config), by_name, #{config => [{contact_nodes, [Seed]}]}),
    Others = [alone(cluster(Config), Name, [{contact_nodes, [Contact]}])
              || {Name, Contact} <- [{by_both, {Seed, Address}}, {by_address, Address}, {by_tuple, {{127, 0, 0, 1}, element(2, Address)}}]],
    All = [First, ByName | Others],
    ok = until_members(All, All).

contact_that_comes_late_is_joined(Config) ->
    Port = barrel_p2p_test:free_port(),
    Keys = [{contact_nodes, [{"127.0.0.1", Port}]}, {contact_retry_ms, 300}],
    Early = [alone(cluster(Config), Name, Keys) || Name <- [alpha, beta]],
    ok = barrel_p2p_test:logged(hd(Early), "none of the 1 addresses of contact_nodes let this node in (refused)"),
    Seed = member(cluster(Config), seed, #{port => Port, config => [{discovery_backends, []} | Keys]}),
    All = [Seed | Early],
    ok = until_members(All, All).

%% localhost has several addresses, and one host of the list does not exist: whoever answers is enough.
every_address_of_a_host_is_a_contact(Config) ->
    Seed = alone(cluster(Config), seed, []),
    {_, Port} = address(Seed),
    Node = alone(cluster(Config), alpha, [{contact_nodes, [{"no.such.host.invalid", Port}, {"localhost", Port}]}]),
    ok = until_members([Seed, Node], [Seed, Node]).

node_that_is_its_own_contact_stays_calm(Config) ->
    Port = barrel_p2p_test:free_port(),
    Contacts = {contact_nodes, ['alpha@127.0.0.1', {'alpha@127.0.0.1', {"127.0.0.1", Port}}]},
    #{node := Node} = A = member(cluster(Config), alpha, #{port => Port, config => [Contacts, {contact_retry_ms, 100}]}),
    ok = record(A),
    receive after 1_000 -> ok end,
    {[], [Node], []} = {active(A), members(A), recorded(A, view)}.

contacts_are_left_alone_after_leave(Config) ->
    Seed = alone(cluster(Config), seed, []),
    A = alone(cluster(Config), alpha, [{contact_nodes, [address(Seed)]}, {contact_retry_ms, 100}]),
    ok = until_members([A, Seed], [A, Seed]),
    ok = on(A, fun barrel_p2p:leave/0),
    ok = until_members([Seed], [Seed]),
    receive after 1_000 -> [] = active(A) end,
    ok = join(A, Seed),
    ok = until_members([A, Seed], [A, Seed]).

%% The application runs all the time; distribution starts, stops, and starts again.
distribution_starts_and_stops_at_run_time(Config) ->
    #{node := Seed} = First = alone(cluster(Config), seed, []),
    ok = record(First),
    Late = 'late@127.0.0.1',
    P = started(start(cluster(Config), none, #{data => "late", config => [{discovery_backends, []}, {contact_nodes, [address(First)]},
                                                                          {contact_retry_ms, 200}]})),
    ok = record(P),
    {error, not_distributed} = on(P, fun() -> barrel_p2p:join(Seed) end),
    _ = [begin
             {ok, _} = on(P, fun() -> net_kernel:start(Late, #{name_domain => longnames}) end),
             Member = P#{node := Late},
             ok = until_members([Member, First], [Member, First]),
             ok = on(P, fun net_kernel:stop/0),
             ok = wait_until(alone_again, fun() -> {active(P), members(P)} =:= {[], [nonode@nohost]} end, 5_000),
             ok = until_members([First], [First])
         end || _ <- [1, 2, 3]],
    Turn = [joined, {peer_up, Seed}, {peer_down, Seed, nodedown}],
    true = lists:sort(lists:append(lists:duplicate(3, Turn))) =:= lists:sort(recorded(P, view)).

%% Nobody could dial it, so nobody could find out that it lives.
node_that_does_not_listen_is_no_member(Config) ->
    #{node := Seed} = First = member(cluster(Config), seed, #{}),
    P = member(cluster(Config), mute, #{args => ["-dist_listen", "false"]}),
    {error, not_distributed} = on(P, fun() -> barrel_p2p:join(Seed) end),
    ok = barrel_p2p_test:connect(P, First),
    [Seed] = members(First).

%% Its engine ends with it; the successor says so, and goes back.
crash_of_the_membership_process_is_survived(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = [alone(cluster(Config), Name, []) || Name <- [alpha, beta]],
    _ = [ok = record(P) || P <- [A, B]],
    ok = join(A, B),
    ok = until_recorded(B, {peer_up, NodeA}),
    Crash = fun() -> exit(whereis(barrel_p2p_membership), kill) end,
    true = on(A, Crash),
    ok = wait_until(told, fun() -> [E || {peer_up, _} = E <- recorded(A, view)] =:= [{peer_up, NodeB}, {peer_up, NodeB}] end, 10_000),
    [{peer_down, NodeB, nodedown}] = [E || {peer_down, _, _} = E <- recorded(A, view)],
    ok = wait_until(together, fun() -> {active(A), active(B)} =:= {[NodeB], [NodeA]} end, 8_000),
    ok = until_members([A, B], [A, B]),
    ok = on(B, fun() -> barrel_p2p_plumtree:broadcast(tag, still_here) end),
    ok = until_recorded(A, {broadcast, {tag, still_here}}).

crash_of_the_event_server_is_survived(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = [alone(cluster(Config), Name, []) || Name <- [alpha, beta]],
    _ = [ok = record(P) || P <- [A, B]],
    true = on(A, fun() -> exit(whereis(barrel_p2p_events), kill) end),
    ok = join(A, B),
    ok = until_recorded(A, {peer_up, NodeB}),
    ok = until_recorded(B, {peer_up, NodeA}).
