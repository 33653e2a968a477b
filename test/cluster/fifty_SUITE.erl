%% SPDX-License-Identifier: Apache-2.0
-module(fifty_SUITE).
-moduledoc """
Fifty small virtual machines on one machine: how soon they are one cluster, how soon all of them know a service, how soon the death of five and the
end of their services is known to all, and that the number of dist channels is what the application opened.
""".

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1]).
-export([fifty_nodes_form_a_cluster/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [formed/2, active/1, members/1, nodes_of/1, symmetric/1, recorded_at/1,
                                  until_recorded/3, false_deaths/1]).

-include("barrel_p2p.hrl").

-define(COUNT, 50).
-define(DEAD, 5).
-define(FORMED_MS, 30_000).
-define(DEATHS_SEEN_MS, 8_000).
-define(REGISTRATIONS, 200).
%% The time between two registrations: this measures how long one takes, not how many there can be.
-define(PACE_MS, 25).
%% It takes a twentieth of that on a quiet machine.
-define(REGISTRATION_SEEN_MS, 1_000).
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
    ok = registrations_reach_all(All),
    {Victims, Survivors} = lists:split(?DEAD, shuffled(All)),
    ok = deaths_are_seen(Victims, Survivors),
    ok = services_of_the_dead_are_gone(Victims, Survivors),
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

%% One at a time, each on another node. All nodes read the same clock.
registrations_reach_all(All) ->
    Names = [{propagated, N} || N <- lists:seq(1, ?REGISTRATIONS)],
    Watches = [{P, on(P, fun() -> watch(length(Names)) end)} || P <- All],
    Sources = lists:sublist(lists:append(lists:duplicate(1 + ?REGISTRATIONS div ?COUNT, All)), ?REGISTRATIONS),
    Began = [on(P, fun() -> registered(Name) end) || {P, Name} <- lists:zip(Sources, Names)],
    Seen = [Times || {P, Watch} <- Watches, Times <- [on(P, fun() -> seen(Watch) end)]],
    ToAll = lists:sort([lists:max([maps:get(Name, Times) || Times <- Seen]) - At || {Name, At} <- lists:zip(Names, Began)]),
    ToOne = lists:sort([maps:get(Name, Times) - At || {Name, At} <- lists:zip(Names, Began), Times <- Seen]),
    ct:pal("a registration is known to all ~b nodes after p50 ~.1f ms, p99 ~.1f ms, at most ~.1f ms; to one of them after p50 ~.1f ms, p99 ~.1f ms",
           [?COUNT | [Microseconds / 1000 || Microseconds <- [quantile(50, ToAll), quantile(99, ToAll), lists:last(ToAll),
                                                             quantile(50, ToOne), quantile(99, ToOne)]]]),
    true = quantile(99, ToAll) =< 1000 * ?REGISTRATION_SEEN_MS,
    ok.

quantile(Percent, Sorted) ->
    lists:nth(max(1, length(Sorted) * Percent div 100), Sorted).

registered(Name) ->
    {ok, Pid} = gen_server:start(registry_echo, [], []),
    At = os:system_time(microsecond),
    ok = barrel_p2p:register_service(Name, Pid, #{}),
    receive after ?PACE_MS -> At end.

%% Remembers when it is told of so many services.
watch(Count) ->
    Self = self(),
    Watch = spawn(fun() ->
                      ok = barrel_p2p:subscribe_services(),
                      Self ! {self(), ready},
                      Times = watched(Count, #{}),
                      receive {seen, From} -> From ! {self(), Times} end
                  end),
    receive {Watch, ready} -> Watch end.

watched(0, Times) ->
    Times;
watched(Left, Times) ->
    receive {barrel_p2p_service_event, {service_registered, Name, _}} -> watched(Left - 1, Times#{Name => os:system_time(microsecond)}) end.

seen(Watch) ->
    Watch ! {seen, self()},
    receive {Watch, Times} -> Times after 20_000 -> error(not_told_of_all) end.

services_of_the_dead_are_gone(Victims, Survivors) ->
    Dead = nodes_of(Victims),
    Left = fun(P) -> on(P, fun() -> [Node || Name <- barrel_p2p:list_services(), {ok, Entries} <- [barrel_p2p:lookup(Name)],
                                             #service_entry{node = Node} <- Entries, lists:member(Node, Dead)] end) end,
    ok = wait_until(services_gone, fun() -> lists:all(fun(P) -> Left(P) =:= [] end, Survivors) end, ?DEATHS_SEEN_MS),
    Expected = ?REGISTRATIONS - ?DEAD * (?REGISTRATIONS div ?COUNT),
    [] = [{Node, Known} || #{node := Node} = P <- Survivors, Known <- [length(on(P, fun barrel_p2p:list_services/0))], Known =/= Expected],
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
