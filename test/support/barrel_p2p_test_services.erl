%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test_services).
-moduledoc """
Services on peers: processes that hold a registration, and what a peer knows and was told about names.
""".

-export([cluster_of/2, cluster_of/3, hold/2, hold/3, found/2, where/2, until_found/3, until_found/4, record_services/1, told/2, until_told/3]).

-import(barrel_p2p_test, [on/2, wait_until/3]).

-include("barrel_p2p.hrl").

-type peer() :: barrel_p2p_test:peer().

-define(SEEN_BY_ALL_MS, 12_000).
-define(FORMED_MS, 30_000).

%% So many nodes that know each other, started one after the other and told who to join. They record what they are told about services.
-spec cluster_of(ct_suite:ct_config(), pos_integer()) -> [peer()].
cluster_of(Config, Count) ->
    cluster_of(Config, Count, []).

-spec cluster_of(ct_suite:ct_config(), pos_integer(), [{atom(), term()}]) -> [peer()].
cluster_of(Config, Count, Keys) ->
    Cluster = proplists:get_value(cluster, Config),
    [First | Rest] = All = [barrel_p2p_test_members:alone(Cluster, list_to_atom("n" ++ integer_to_list(N)), Keys) || N <- lists:seq(1, Count)],
    _ = [ok = barrel_p2p_test_members:join(P, First) || P <- Rest],
    ok = barrel_p2p_test_members:until_members(All, All, ?FORMED_MS),
    _ = [ok = record_services(P) || P <- All],
    All.

%% A process on the peer that holds the name.
-spec hold(peer(), term()) -> pid().
hold(Peer, Name) ->
    hold(Peer, Name, #{}).

-spec hold(peer(), term(), map()) -> pid().
hold(Peer, Name, Meta) ->
    on(Peer, fun() ->
                 {ok, Pid} = gen_server:start(registry_echo, [], []),
                 ok = barrel_p2p:register_service(Name, Pid, Meta),
                 Pid
             end).

%% The nodes of the registrations that the peer knows, in the order of lookup/1.
-spec found(peer(), term()) -> [node()].
found(Peer, Name) ->
    on(Peer, fun() ->
                 case barrel_p2p:lookup(Name) of
                     {ok, Entries} -> [Node || #service_entry{name = Same, node = Node} <- Entries, Same =:= Name];
                     {error, not_found} -> []
                 end
             end).

%% One look, without retries.
-spec where(peer(), term()) -> term().
where(Peer, Name) ->
    on(Peer, fun() -> barrel_p2p:whereis_service(Name, #{retries => 0}) end).

%% Returns when each of the peers knows exactly these registrations.
-spec until_found([peer()], term(), [node()]) -> ok.
until_found(Peers, Name, Nodes) ->
    until_found(Peers, Name, Nodes, ?SEEN_BY_ALL_MS).

-spec until_found([peer()], term(), [node()], pos_integer()) -> ok.
until_found(Peers, Name, Nodes, Milliseconds) ->
    Expected = lists:sort(Nodes),
    Wrong = fun() -> [{Node, Found} || #{node := Node} = P <- Peers, Found <- [found(P, Name)], lists:sort(Found) =/= Expected] end,
    try wait_until({found, Name}, fun() -> Wrong() =:= [] end, Milliseconds)
    catch error:{not_within_ms, _, _} -> error({Name, should_be_at, Expected, after_ms, Milliseconds, Wrong()})
    end.

%% From here on everything that the peer is told about services is remembered.
-spec record_services(peer()) -> ok.
record_services(Peer) ->
    on(Peer, fun() ->
                 Self = self(),
                 Recorder = spawn(fun() ->
                                      ok = barrel_p2p:subscribe_services(),
                                      true = register(service_recorder, self()),
                                      Self ! {self(), ready},
                                      remember([])
                                  end),
                 receive {Recorder, ready} -> ok end
             end).

remember(Told) ->
    receive
        {told, From} -> From ! {service_recorder, lists:reverse(Told)}, remember(Told);
        {barrel_p2p_service_event, Event} -> remember([Event | Told])
    end.

%% What the peer was told about one name, oldest first.
-spec told(peer(), term()) -> [barrel_p2p_service_events:event()].
told(Peer, Name) ->
    All = on(Peer, fun() -> service_recorder ! {told, self()}, receive {service_recorder, Told} -> Told end end),
    [Event || Event <- All, element(2, Event) =:= Name].

%% Returns when each of the peers was told this about the name, no more and no less.
-spec until_told([peer()], term(), [barrel_p2p_service_events:event()]) -> ok.
until_told(Peers, Name, Events) ->
    Wrong = fun() -> [{Node, Told} || #{node := Node} = P <- Peers, Told <- [told(P, Name)], Told =/= Events] end,
    try wait_until({told, Name}, fun() -> Wrong() =:= [] end, ?SEEN_BY_ALL_MS)
    catch error:{not_within_ms, _, _} -> error({Name, should_be_told, Events, Wrong()})
    end.
