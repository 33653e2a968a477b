%% SPDX-License-Identifier: Apache-2.0
-module(death_SUITE).
-moduledoc """
The death of a peer is noticed in time however busy the survivor is, a busy peer is never taken for dead, and a node that comes back
is let in at once.
""".

-export([all/0, init_per_testcase/2, end_per_testcase/2, suite/0]).
-export([kill_is_seen_within_five_seconds_by_a_busy_survivor/1, busy_nodes_are_never_declared_dead/1, frozen_peer_is_declared_dead/1,
         hung_peer_is_declared_dead_by_missing_ticks/1, frozen_peer_learns_it_and_comes_back/1,
         halt_is_seen_within_a_second/1, orderly_stop_is_seen_within_a_second/1,
         termination_signal_is_seen_as_a_stop/1, restarted_node_is_let_in_at_once/1, survivors_heal_after_a_nemesis/1]).

-import(barrel_p2p_test, [on/2, await/2, connect/2, connected/2, kill/1, start/2, start/3, wait_until/3, watch_down/2]).

%% OTP itself spends the first second of a stop: user_sup:terminate/2 sleeps before the distribution processes are ended (OTP 25 and 27).
-define(USER_SUP_MS, 1_000).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [kill_is_seen_within_five_seconds_by_a_busy_survivor, busy_nodes_are_never_declared_dead, frozen_peer_is_declared_dead,
     hung_peer_is_declared_dead_by_missing_ticks, frozen_peer_learns_it_and_comes_back,
     halt_is_seen_within_a_second, orderly_stop_is_seen_within_a_second,
     termination_signal_is_seen_as_a_stop, restarted_node_is_let_in_at_once, survivors_heal_after_a_nemesis].

%% OTP's own carrier needs net_ticktime, a minute, for what only a live link can tell.
init_per_testcase(Case, Config) when Case =:= frozen_peer_is_declared_dead; Case =:= frozen_peer_learns_it_and_comes_back;
                                     Case =:= survivors_heal_after_a_nemesis ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> with_cluster(Config);
        Skip -> Skip
    end;
init_per_testcase(_Case, Config) ->
    with_cluster(Config).

with_cluster(Config) ->
    [{cluster, barrel_p2p_test:cluster(Config)} | Config].

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

pair(Config) ->
    A = start(cluster(Config), alpha),
    B = start(cluster(Config), beta),
    ok = connect(A, B),
    {A, B}.

kill_is_seen_within_five_seconds_by_a_busy_survivor(Config) ->
    {A, B} = pair(Config),
    Watch = watch_down(A, B),
    ok = on(A, fun() -> spin(normal, 20_000) end),
    {Killed, {Seen, Reason}} = {os:system_time(millisecond), begin ok = kill(B), await(Watch, 15_000) end},
    ct:pal("kill -9 seen after ~b ms as ~p", [Seen - Killed, Reason]),
    true = Seen - Killed =< 5_000.

%% One node whose schedulers are shared with busy processes, and one where nothing else gets to run at all: their native side lives.
busy_nodes_are_never_declared_dead(Config) ->
    A = start(cluster(Config), alpha),
    Busy = start(cluster(Config), busy),
    Stuck = start(cluster(Config), stuck),
    [ok = connect(A, P) || P <- [Busy, Stuck]],
    ok = on(A, fun() ->
                   spawn(fun() -> true = register(obituaries, self()), ok = net_kernel:monitor_nodes(true), obituaries([]) end),
                   ok
               end),
    Milliseconds = barrel_p2p_test:rounds(30) * 1_000,
    ok = on(Busy, fun() -> spin(normal, Milliseconds) end),
    ok = on(Stuck, fun() -> spin(high, Milliseconds) end),
    receive after Milliseconds -> ok end,
    [] = on(A, fun() -> obituaries ! {read, self()}, receive {obituaries, Dead} -> Dead end end),
    [begin
         true = connected(A, P),
         Node = on(A, fun() -> erpc:call(Node, erlang, node, []) end)
     end || #{node := Node} = P <- [Busy, Stuck]],
    ok.

obituaries(Dead) ->
    receive
        {nodedown, Node} -> obituaries([Node | Dead]);
        {read, Reader} -> Reader ! {obituaries, Dead}
    end.

%% Four processes on every scheduler that never wait for anything, for a while.
spin(Priority, Milliseconds) ->
    Deadline = erlang:monotonic_time(millisecond) + Milliseconds,
    _ = [spawn_opt(fun() -> spin_until(Deadline) end, [{priority, Priority}]) || _ <- lists:seq(1, 4 * erlang:system_info(schedulers))],
    ok.

spin_until(Deadline) ->
    _ = lists:sum(lists:seq(1, 1_000)),
    erlang:monotonic_time(millisecond) < Deadline andalso spin_until(Deadline).

frozen_peer_is_declared_dead(Config) ->
    {A, B} = pair(Config),
    Watch = watch_down(A, B),
    Frozen = os:system_time(millisecond),
    ok = barrel_p2p_test:freeze(B),
    {Seen, Reason} = await(Watch, 15_000),
    ct:pal("SIGSTOP seen after ~b ms as ~p", [Seen - Frozen, Reason]),
    true = Seen - Frozen =< 5_000.

frozen_peer_learns_it_and_comes_back(Config) ->
    {A, B} = pair(Config),
    [WatchA, WatchB] = [watch_down(A, B), watch_down(B, A)],
    ok = barrel_p2p_test:freeze(B),
    {_, _} = await(WatchA, 15_000),
    Thawed = os:system_time(millisecond),
    ok = barrel_p2p_test:thaw(B),
    {Seen, Reason} = await(WatchB, 15_000),
    ct:pal("the thawed node knows after ~b ms: ~p", [Seen - Thawed, Reason]),
    true = Seen - Thawed =< 6_000,
    ok = connect(B, A).

%% The native side of the peer lives and keeps the link alive, but its net_kernel sends no ticks: that is for net_ticktime to notice.
hung_peer_is_declared_dead_by_missing_ticks(Config) ->
    [A, B] = [start(cluster(Config), Name, #{args => ["-kernel", "net_ticktime", "4"]}) || Name <- [alpha, beta]],
    ok = connect(A, B),
    Watch = watch_down(A, B),
    Hung = os:system_time(millisecond),
    _ = on(B, fun() -> spawn(fun() -> true = erlang:suspend_process(whereis(net_kernel)), receive never -> ok end end) end),
    {Seen, net_tick_timeout} = await(Watch, 15_000),
    ct:pal("missing ticks seen after ~b ms", [Seen - Hung]),
    true = Seen - Hung =< 6_000.

halt_is_seen_within_a_second(Config) ->
    Ended = fun(B) -> barrel_p2p_test:async(B, fun erlang:halt/0) end,
    true = seen_after(Config, Ended) =< 1_000.


orderly_stop_is_seen_within_a_second(Config) ->
    Ended = fun(B) -> ok = on(B, fun init:stop/0) end,
    true = seen_after(Config, Ended) =< ?USER_SUP_MS + 1_000.

termination_signal_is_seen_as_a_stop(Config) ->
    Ended = fun(#{os_pid := OsPid}) -> [] = os:cmd("kill -TERM " ++ OsPid) end,
    true = seen_after(Config, Ended) =< ?USER_SUP_MS + 1_000.

seen_after(Config, End) ->
    {A, B} = pair(Config),
    Watch = watch_down(A, B),
    Ended = os:system_time(millisecond),
    _ = End(B),
    {Seen, Reason} = await(Watch, 15_000),
    ct:pal("the end was seen after ~b ms as ~p", [Seen - Ended, Reason]),
    Seen - Ended.

%% The old link still looks alive to the survivor when the node dials again: the newer incarnation wins without waiting for a timeout.
restarted_node_is_let_in_at_once(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    Creation = on(A, fun() -> erpc:call(Node, erlang, system_info, [creation]) end),
    Watch = watch_down(A, B),
    ok = kill(B),
    Again = start(cluster(Config), beta),
    Dialled = os:system_time(millisecond),
    ok = connect(Again, A),
    true = os:system_time(millisecond) - Dialled =< 1_000,
    {_, Reason} = await(Watch, 5_000),
    ct:pal("the ghost went down as ~p", [Reason]),
    New = on(A, fun() -> erpc:call(Node, erlang, system_info, [creation]) end),
    true = New =/= Creation.

%% Three nodes, and a seeded enemy that kills and restarts, freezes and thaws, and cuts. After each blow the three find together again.
survivors_heal_after_a_nemesis(Config) ->
    _ = barrel_p2p_test:seed(),
    Names = [alpha, beta, gamma],
    Nodes = maps:from_list([{Name, start(cluster(Config), Name)} || Name <- Names]),
    ok = together(Nodes),
    Blows = [{lists:nth(rand:uniform(4), [restart, freeze_long, freeze_short, cut]), lists:nth(rand:uniform(3), Names)}
             || _ <- lists:seq(1, barrel_p2p_test:rounds(8))],
    ct:pal("~p", [Blows]),
    _ = lists:foldl(fun(Blow, Now) ->
                        After = strike(Config, Blow, Now),
                        ok = together(After),
                        After
                    end, Nodes, Blows),
    ok.

strike(Config, {restart, Name}, Nodes) ->
    ok = kill(map_get(Name, Nodes)),
    Nodes#{Name := start(cluster(Config), Name)};
strike(_Config, {freeze_short, Name}, Nodes) ->
    frozen_for(2_000, map_get(Name, Nodes), Nodes);
strike(_Config, {freeze_long, Name}, Nodes) ->
    frozen_for(6_000, map_get(Name, Nodes), Nodes);
strike(_Config, {cut, Name}, Nodes) ->
    _ = on(map_get(Name, Nodes), fun() -> [erlang:disconnect_node(N) || N <- nodes()] end),
    Nodes.

frozen_for(Milliseconds, Peer, Nodes) ->
    ok = barrel_p2p_test:freeze(Peer),
    receive after Milliseconds -> ok = barrel_p2p_test:thaw(Peer) end,
    Nodes.

%% Everyone can call everyone, with distribution dialling by itself.
together(Peers) ->
    Nodes = [Node || #{node := Node} <- maps:values(Peers)],
    Everyone = [{ok, Node} || Node <- Nodes],
    Answers = fun() -> [on(P, fun() -> erpc:multicall(Nodes, erlang, node, [], 3_000) end) || P <- maps:values(Peers)] end,
    wait_until({together, Nodes}, fun() -> lists:usort(Answers()) =:= [Everyone] end, 12_000).
