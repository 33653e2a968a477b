%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_presence).
-moduledoc """
Whose values a map shows: those of nodes that are there, when it is opened with `prune_on_peer_down`, and everybody's otherwise.

What is known of a node is asked for once, when the map first sees a value of it, and follows what the cluster tells from then on. The own values
are always shown, also those from before this node had a name. It also remembers since when each node has had its memory, so that a loss of memory
is told once.
""".

-export([new/1, is_shown/2, up/2, down/2, has_forgotten/3, gone_for/2]).
-export_type([presence/0]).

-record(presence, {prunes :: boolean(),
                   here = #{} :: #{node() => true},
                   gone = #{} :: #{node() => SinceMs :: integer()},
                   memories = #{} :: #{node() => SinceMs :: non_neg_integer()}}).
-opaque presence() :: #presence{}.

-spec new(Prunes :: boolean()) -> presence().
new(Prunes) ->
    #presence{prunes = Prunes}.

%% Whether values that the node has written are shown.
-spec is_shown(node(), presence()) -> {boolean(), presence()}.
is_shown(Node, #presence{prunes = false} = Presence) when is_atom(Node) -> {true, Presence};
is_shown(Node, Presence) when Node =:= node(); Node =:= nonode@nohost -> {true, Presence};
is_shown(Node, #presence{here = Here} = Presence) when is_map_key(Node, Here) -> {true, Presence};
is_shown(Node, #presence{gone = Gone} = Presence) when is_map_key(Node, Gone) -> {false, Presence};
is_shown(Node, Presence) ->
    case barrel_p2p_gossip:life(Node) of
        {alive, _} -> {true, up(Node, Presence)};
        gone -> {false, down(Node, Presence)}
    end.

-spec up(node(), presence()) -> presence().
up(Node, #presence{here = Here, gone = Gone} = Presence) ->
    Presence#presence{here = Here#{Node => true}, gone = maps:remove(Node, Gone)}.

-spec down(node(), presence()) -> presence().
down(Node, #presence{here = Here, gone = Gone} = Presence) ->
    Presence#presence{here = maps:remove(Node, Here), gone = Gone#{Node => now_ms()}}.

%% Whether the node has lost its memory since this was asked last; the first time it may have.
-spec has_forgotten(node(), SinceMs :: non_neg_integer(), presence()) -> {true, presence()} | false.
has_forgotten(Node, SinceMs, #presence{memories = Memories} = Presence) ->
    case Memories of
        #{Node := Known} when SinceMs =< Known -> false;
        _ -> {true, Presence#presence{memories = Memories#{Node => SinceMs}}}
    end.

%% Nodes that have been gone for longer than that. Their time begins anew, so that they are named again if something of them turns up later.
-spec gone_for(Milliseconds :: non_neg_integer(), presence()) -> {[node()], presence()}.
gone_for(Milliseconds, #presence{gone = Gone} = Presence) ->
    Now = now_ms(),
    Nodes = [Node || {Node, Since} <- maps:to_list(Gone), Now - Since >= Milliseconds],
    {Nodes, Presence#presence{gone = maps:merge(Gone, maps:from_list([{Node, Now} || Node <- Nodes]))}}.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).
