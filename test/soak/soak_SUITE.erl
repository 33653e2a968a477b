%% SPDX-License-Identifier: Apache-2.0
-module(soak_SUITE).
-moduledoc """
Fifty nodes on a machine that has far too much to do, for BARREL_P2P_SOAK_MINUTES (10): they broadcast and call each other all the time, and
nobody who lives is ever reported down. Passive views stay full, however long ago
somebody in them was a neighbour.

Not part of `make test`, `make soak` runs it.
""".

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([nobody_alive_is_reported_down/1]).

-import(barrel_p2p_test, [on/2, start/3, wait_until/3]).
-import(barrel_p2p_test_members, [formed/2, members/1, passive/1, nodes_of/1, recorded/1, false_deaths/1]).

-define(COUNT, 50).
%% Busy programs for each processor, beside the fifty.
-define(BUSY_PER_PROCESSOR, 2).
%% Each node does one of each in so much time.
-define(BROADCAST_EVERY_MS, 10_000).
-define(CALL_EVERY_MS, 2_000).
%% Half of a full passive view. Who ages too fast, or is forgotten when a place is wanted, is missed here.
-define(FEWEST_PASSIVE, 15).

suite() ->
    [{timetrap, {minutes, minutes() + 10}}].

all() ->
    [nobody_alive_is_reported_down].

init_per_suite(Config) ->
    [{cluster, barrel_p2p_test:cluster(Config)} | Config].

end_per_suite(Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

minutes() ->
    list_to_integer(os:getenv("BARREL_P2P_SOAK_MINUTES", "10")).

nobody_alive_is_reported_down(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    {All, Milliseconds} = formed(Cluster, ?COUNT),
    ct:pal("~b nodes formed a cluster in ~b ms", [?COUNT, Milliseconds]),
    _ = [busy(Cluster, N) || N <- lists:seq(1, ?BUSY_PER_PROCESSOR * erlang:system_info(logical_processors))],
    _ = [on(P, fun start_work/0) || P <- All],
    ok = watch(All, minutes()),
    Results = [{Node, on(P, fun stop_work/0)} || #{node := Node} = P <- All],
    ct:pal("calls made: ~b", [lists:sum([Calls || {_, #{calls := Calls}} <- Results])]),
    [] = false_deaths(All),
    Passive = [{Node, length(passive(P))} || #{node := Node} = P <- All],
    ct:pal("contacts in passive views: ~w", [lists:sort([Count || {_, Count} <- Passive])]),
    [] = [Few || {_, Count} = Few <- Passive, Count < ?FEWEST_PASSIVE],
    [] = [{Node, Failed} || {Node, #{failed := Failed}} <- Results, Failed =/= []],
    ok = everything_was_heard(All, lists:sum([Sent || {_, #{broadcasts := Sent}} <- Results])).

%% A virtual machine that does nothing but keep a processor busy.
busy(Cluster, N) ->
    P = start(Cluster, none, #{data => "busy" ++ integer_to_list(N), args => ["+S", "1"]}),
    on(P, fun() -> spawn(fun Spin() -> Spin() end) end).

watch(_All, 0) ->
    ok;
watch(All, Minutes) ->
    receive after 60_000 -> ok end,
    ct:pal("~b minutes to go, load ~s, members seen ~w, false deaths ~0p",
           [Minutes - 1, string:trim(os:cmd("cat /proc/loadavg")), lists:usort([length(members(P)) || P <- All]), false_deaths(All)]),
    watch(All, Minutes - 1).

%% Runs on each node.
start_work() ->
    spawn(fun() ->
              true = register(worker, self()),
              {ok, _} = timer:send_interval(?BROADCAST_EVERY_MS, broadcast),
              {ok, _} = timer:send_interval(?CALL_EVERY_MS, call),
              work(#{broadcasts => 0, calls => 0, failed => []})
          end).

stop_work() ->
    worker ! {stop, self()},
    receive {worker, Result} -> Result end.

work(#{broadcasts := Broadcasts, calls := Calls, failed := Failed} = Done) ->
    receive
        broadcast ->
            ok = barrel_p2p_plumtree:broadcast(soak, {node(), Broadcasts}),
            work(Done#{broadcasts := Broadcasts + 1});
        call ->
            Members = barrel_p2p:members(),
            Node = lists:nth(rand:uniform(length(Members)), Members),
            try erpc:call(Node, erlang, node, [], 60_000) of
                Node -> work(Done#{calls := Calls + 1})
            catch
                Class:Reason -> work(Done#{failed := [{Node, Class, Reason, barrel_p2p:last_error(Node)} | Failed]})
            end;
        {stop, From} ->
            From ! {worker, Done}
    end.

%% By everybody, once.
everything_was_heard(All, Sent) ->
    Heard = fun() -> [{Node, length(B), length(lists:usort(B))} || #{node := Node} = P <- All, B <- [[B || {broadcast, B} <- recorded(P)]]] end,
    Expected = [{Node, Sent, Sent} || #{node := Node} <- All],
    ?COUNT = length(nodes_of(All)),
    try wait_until(heard, fun() -> Heard() =:= Expected end, 60_000)
    catch error:{not_within_ms, _, _} -> error({heard, Heard() -- Expected, expected, Sent})
    end.
