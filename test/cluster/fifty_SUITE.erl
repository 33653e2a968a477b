%% SPDX-License-Identifier: Apache-2.0
-module(fifty_SUITE).
-moduledoc """
Fifty small virtual machines on one machine: how soon they are one cluster, how soon the death of five is known to all, and that the number of
dist channels is what the application opened.
""".

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([fifty_nodes_form_a_cluster/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [formed/2, active/1, members/1, nodes_of/1, symmetric/1, recorded_at/1,
                                  until_recorded/3, false_deaths/1]).

-define(COUNT, 50).
-define(DEAD, 5).
-define(FORMED_MS, 30_000).
-define(DEATHS_SEEN_MS, 8_000).
%% Each of the machines takes about 50 MB.
-define(MEMORY_BYTES, 4_000_000_000).

suite() ->
    [{timetrap, {minutes, 5}}].

all() ->
    [fifty_nodes_form_a_cluster].

init_per_suite(Config) ->
    case {barrel_p2p_test:only_over(barrel_p2p), memory()} of
        {run, Bytes} when Bytes < ?MEMORY_BYTES -> {skip, lists:concat(["needs 4 GB of memory, there are ", Bytes div 1_000_000, " MB"])};
        {run, _} -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        {Skip, _} -> Skip
    end.

end_per_suite(Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

%% What Linux says is available; enough where it says nothing.
memory() ->
    case file:read_file("/proc/meminfo") of
        {ok, Text} ->
            {match, [Kilobytes]} = re:run(Text, "MemAvailable: +([0-9]+) kB", [{capture, all_but_first, binary}]),
            binary_to_integer(Kilobytes) * 1024;
        {error, _} ->
            ?MEMORY_BYTES
    end.

%% One case, since forming the cluster is what costs.
fifty_nodes_form_a_cluster(Config) ->
    {All, Milliseconds} = formed(proplists:get_value(cluster, Config), ?COUNT),
    ct:pal("~b nodes formed a cluster in ~b ms", [?COUNT, Milliseconds]),
    true = Milliseconds =< ?FORMED_MS,
    ok = symmetric(All),
    [] = [{Node, View} || #{node := Node} = P <- All, View <- [active(P)], View =:= [] orelse length(View) > 5],
    ok = channels_are_those_opened(All),
    {Victims, Survivors} = lists:split(?DEAD, shuffled(All)),
    ok = deaths_are_seen(Victims, Survivors),
    ok = broadcast_reaches_all(Survivors),
    [] = false_deaths(Survivors),
    ok.

shuffled(List) ->
    _ = barrel_p2p_test:seed(),
    [Element || {_, Element} <- lists:sort([{rand:uniform(), Element} || Element <- List])].

%% None at first; then one for each pair that the application has talk to each other.
channels_are_those_opened(All) ->
    [] = lists:append([on(P, fun() -> nodes(connected) end) || P <- All]),
    {Speakers, _} = lists:split(10, All),
    Pairs = lists:zip(Speakers, tl(Speakers) ++ [hd(Speakers)]),
    _ = [Node = on(From, fun() -> erpc:call(Node, erlang, node, []) end) || {From, #{node := Node}} <- Pairs],
    Counts = [length(on(P, fun() -> nodes(connected) end)) || P <- All],
    Expected = lists:duplicate(10, 2) ++ lists:duplicate(?COUNT - 10, 0),
    Expected = Counts,
    ok.

deaths_are_seen(Victims, Survivors) ->
    {Alive, Dead} = {nodes_of(Survivors), nodes_of(Victims)},
    Killed = os:system_time(millisecond),
    _ = [ok = kill(P) || P <- Victims],
    ok = wait_until(deaths_seen, fun() -> lists:all(fun(P) -> members(P) =:= Alive end, Survivors) end, 4 * ?DEATHS_SEEN_MS),
    Latest = lists:max([At - Killed || P <- Survivors, {At, {member, Node, down}} <- recorded_at(P), lists:member(Node, Dead)]),
    ct:pal("the death of ~b was seen by all after ~b ms", [?DEAD, Latest]),
    true = Latest =< ?DEATHS_SEEN_MS,
    ok.

broadcast_reaches_all([First | _] = Survivors) ->
    ok = on(First, fun() -> barrel_p2p_plumtree:broadcast(tag, hello) end),
    _ = [ok = until_recorded(P, {broadcast, {tag, hello}}, 5_000) || P <- Survivors],
    ok.
