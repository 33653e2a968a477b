%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test_members).
-moduledoc """
Peers that run the application, and what they say about their cluster.

A recorder on a peer subscribes to everything and remembers it in order, so that a test can compare all that was told with all that should
have been.
""".

-export([member/2, member/3, alone/3, formed/2, started/1, small/0, address/1, join/2]).
-export([active/1, passive/1, members/1, nodes_of/1]).
-export([until_members/2, until_members/3, until_neighbours/2, symmetric/1]).
-export([record/1, recorded/1, recorded/2, recorded_at/1, until_recorded/2, until_recorded/3, false_deaths/1]).

-import(barrel_p2p_test, [on/2, wait_until/3]).

-type peer() :: barrel_p2p_test:peer().

%% A suspicion takes two seconds, the loss of a link up to five.
-define(SEEN_BY_ALL_MS, 8_000).
-define(BOOTS_AT_ONCE, 8).

%% A peer with the application started.
-spec member(barrel_p2p_test:cluster(), atom()) -> peer().
member(Cluster, Name) ->
    member(Cluster, Name, #{}).

-spec member(barrel_p2p_test:cluster(), atom(), barrel_p2p_test:options()) -> peer().
member(Cluster, Name, Options) ->
    started(barrel_p2p_test:start(Cluster, Name, Options)).

%% The same, but it finds nobody unless it is told an address.
-spec alone(barrel_p2p_test:cluster(), atom(), [{atom(), term()}]) -> peer().
alone(Cluster, Name, Config) ->
    member(Cluster, Name, (small())#{config => [{discovery_backends, []} | Config]}).

-spec started(peer()) -> peer().
started(Peer) ->
    {ok, _} = on(Peer, fun() -> application:ensure_all_started(barrel_p2p) end),
    Peer.

%% So many small nodes that know one seed address and start their application at the same time. They record from the beginning. Also how long it took
%% from there until everyone knew everyone.
-spec formed(barrel_p2p_test:cluster(), pos_integer()) -> {[peer()], Milliseconds :: non_neg_integer()}.
formed(Cluster, Count) ->
    Port = barrel_p2p_test:free_port(),
    Options = (small())#{config => [{discovery_backends, []}, {contact_nodes, [{"127.0.0.1", Port}]}]},
    Seed = barrel_p2p_test:start(Cluster, n1, Options#{port => Port}),
    Peers = [Seed | in_parallel([fun() -> barrel_p2p_test:start(Cluster, list_to_atom("n" ++ integer_to_list(N)), Options) end
                                 || N <- lists:seq(2, Count)], ?BOOTS_AT_ONCE)],
    Began = erlang:monotonic_time(millisecond),
    _ = in_parallel([fun() -> started(Peer), record(Peer) end || Peer <- Peers], Count),
    ok = wait_until(formed, fun() -> lists:all(fun(Peer) -> length(members(Peer)) =:= Count end, Peers) end, 60_000),
    {Peers, erlang:monotonic_time(millisecond) - Began}.

%% The results in the order of the funs. A failure in one of them fails the caller.
in_parallel([], _AtOnce) ->
    [];
in_parallel(Funs, AtOnce) ->
    {Now, Later} = lists:split(min(AtOnce, length(Funs)), Funs),
    Running = [spawn_monitor(fun() -> exit({result, Fun()}) end) || Fun <- Now],
    [receive
         {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
         {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
     end || {Pid, Monitor} <- Running] ++ in_parallel(Later, AtOnce).

%% A virtual machine that needs little, for tests with many.
-spec small() -> barrel_p2p_test:options().
small() ->
    #{args => ["+S", "1", "+A", "1", "+SDio", "1", "+sbwt", "none"]}.

%% Where a peer can be joined.
-spec address(peer()) -> {string(), inet:port_number()}.
address(Peer) ->
    {ok, Port} = on(Peer, fun barrel_p2p_dist:listen_port/0),
    {"127.0.0.1", Port}.

%% The first joins the cluster of the second.
-spec join(peer(), peer()) -> ok.
join(Peer, Contact) ->
    Address = address(Contact),
    ok = on(Peer, fun() -> barrel_p2p:join(Address, #{timeout => 10_000}) end).

-spec active(peer()) -> [node()].
active(Peer) -> on(Peer, fun barrel_p2p:active_view/0).

-spec passive(peer()) -> [node()].
passive(Peer) -> on(Peer, fun barrel_p2p:passive_view/0).

-spec members(peer()) -> [node()].
members(Peer) -> on(Peer, fun barrel_p2p:members/0).

%% The names of peers, sorted.
-spec nodes_of([peer()]) -> [node()].
nodes_of(Peers) ->
    lists:sort([Node || #{node := Node} <- Peers]).

%% Returns when each of the peers says that exactly these are the members.
-spec until_members([peer()], [peer()]) -> ok.
until_members(Peers, Members) ->
    until_members(Peers, Members, ?SEEN_BY_ALL_MS).

-spec until_members([peer()], [peer()], pos_integer()) -> ok.
until_members(Peers, Members, Milliseconds) ->
    Nodes = nodes_of(Members),
    Others = fun() -> [{Node, Nodes -- Seen, Seen -- Nodes} || #{node := Node} = Peer <- Peers, Seen <- [members(Peer)], Seen =/= Nodes] end,
    until_none(members, Others, Milliseconds).

%% Returns when each of the peers has at least so many neighbours.
-spec until_neighbours([peer()], pos_integer()) -> ok.
until_neighbours(Peers, Count) ->
    until_none(neighbours, fun() -> [{Node, View} || #{node := Node} = Peer <- Peers, View <- [active(Peer)], length(View) < Count] end,
               ?SEEN_BY_ALL_MS).

%% Returns when whoever has a neighbour is one of it.
-spec symmetric([peer()]) -> ok.
symmetric(Peers) ->
    OneSided = fun() ->
                   Pairs = [{Node, Neighbour} || #{node := Node} = Peer <- Peers, Neighbour <- active(Peer)],
                   [Pair || {Node, Neighbour} = Pair <- Pairs, not lists:member({Neighbour, Node}, Pairs)]
               end,
    until_none(symmetric_views, OneSided, 15_000).

%% What is still wrong when the time is over goes into the error.
until_none(What, Wrong, Milliseconds) ->
    try wait_until(What, fun() -> Wrong() =:= [] end, Milliseconds)
    catch error:{not_within_ms, _, _} -> error({What, after_ms, Milliseconds, Wrong()})
    end.

%% From here on everything that the peer is told is remembered.
-spec record(peer()) -> ok.
record(Peer) ->
    on(Peer, fun() ->
                 Self = self(),
                 Recorder = spawn(fun() ->
                                      ok = barrel_p2p:subscribe(),
                                      ok = barrel_p2p_events:subscribe(members, self()),
                                      ok = barrel_p2p_plumtree:subscribe(self()),
                                      true = register(recorder, self()),
                                      Self ! {self(), ready},
                                      remember([])
                                  end),
                 receive {Recorder, ready} -> ok end
             end).

remember(Told) ->
    receive
        {recorded, From} -> From ! {recorder, lists:reverse(Told)}, remember(Told);
        {barrel_p2p_event, Event} -> remember(Event, Told);
        {barrel_p2p_member, Node, What} -> remember({member, Node, What}, Told);
        {plumtree_broadcast, Broadcast} -> remember({broadcast, Broadcast}, Told)
    end.

remember(Event, Told) ->
    remember([{os:system_time(millisecond), Event} | Told]).

%% Everything told so far, oldest first.
-spec recorded(peer()) -> [term()].
recorded(Peer) ->
    [Told || {_, Told} <- recorded_at(Peer)].

%% The same, each with the time at which it was told in os:system_time(millisecond).
-spec recorded_at(peer()) -> [{integer(), term()}].
recorded_at(Peer) ->
    on(Peer, fun() -> recorder ! {recorded, self()}, receive {recorder, Told} -> Told end end).

%% view: the documented events; members: about the directory; broadcast: payloads with their tags.
-spec recorded(peer(), view | members | broadcast) -> [term()].
recorded(Peer, What) ->
    [case Told of {broadcast, Broadcast} -> Broadcast; {member, Node, State} -> {Node, State}; Event -> Event end
     || Told <- recorded(Peer), kind(Told) =:= What].

kind({broadcast, _}) -> broadcast;
kind({member, _, _}) -> members;
kind(_) -> view.

-spec until_recorded(peer(), term()) -> ok.
until_recorded(Peer, Event) ->
    until_recorded(Peer, Event, ?SEEN_BY_ALL_MS).

-spec until_recorded(peer(), term(), pos_integer()) -> ok.
until_recorded(Peer, Event, Milliseconds) ->
    try wait_until({recorded, Event}, fun() -> lists:member(Event, recorded(Peer)) end, Milliseconds)
    catch error:{not_within_ms, _, _} -> error({not_told, Event, after_ms, Milliseconds, recorded(Peer)})
    end.

%% Who of these peers, all alive, was reported down, as a member or as a neighbour, by whom, and all that this one was told about the other.
-spec false_deaths([peer()]) -> [{Reported :: node(), {by, node()}, [{Time :: integer(), Event :: term()}]}].
false_deaths(Alive) ->
    Names = nodes_of(Alive),
    [{Reported, {by, By}, [Told || {_, About} = Told <- All, subject(About) =:= Reported]}
     || #{node := By} = P <- Alive, All <- [recorded_at(P)], {_, Event} <- All, is_death(Event), Reported <- [subject(Event)],
        lists:member(Reported, Names)].

is_death({member, _, State}) -> State =:= down;
is_death({peer_down, _, Reason}) -> Reason =:= nodedown orelse Reason =:= connect_failed;
is_death(_) -> false.

subject({member, Node, _}) -> Node;
subject({peer_up, Node}) -> Node;
subject({peer_down, Node, _}) -> Node;
subject(_) -> nobody.
