%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_gossip).
-moduledoc """
The gossip engine of this node as the rest of the library sees it: its handle, and what it knows, with atoms for names.

There is at most one, on the running endpoint of a node that listens. Everything here answers from a snapshot and never waits. Without an
engine the node is a cluster of its own. Names become atoms only here, and only names of members, who have proved that they know the cookie.
""".

-export([start/1, stop/0, handle/0, command/1, active_view/0, passive_view/0, members/0, addresses/1, life/1, remembers_since/1, stats/0]).
-export_type([life/0]).

%% Whether a node is a member, and in which life: its incarnation, which grows with every start of its distribution.
-type life() :: {alive, {StartedMs :: non_neg_integer(), Random :: non_neg_integer()}} | gone.

-define(HANDLE, {?MODULE, handle}).

%% How long to wait before a command that found the engine's inbox full is given again.
-define(BUSY_MS, 10).

%% Starts the engine on the running endpoint; Events becomes the process that hears from it and that it lives for.
-spec start(Events :: pid()) -> {ok, barrel_p2p_nif:gossip()} | barrel_p2p_native:error().
start(Events) ->
    case barrel_p2p_native:endpoint() of
        {ok, Endpoint} ->
            case barrel_p2p_nif:gossip_start(Endpoint, Events, options()) of
                {ok, Gossip} -> persistent_term:put(?HANDLE, Gossip), {ok, Gossip};
                {error, _} = Error -> Error
            end;
        {error, not_started} ->
            {error, {not_started, <<>>}}
    end.

%% Ends the engine if there is one, without a word to the neighbours.
-spec stop() -> ok.
stop() ->
    case handle() of
        {ok, Gossip} -> _ = persistent_term:erase(?HANDLE), barrel_p2p_nif:gossip_stop(Gossip);
        {error, not_distributed} -> ok
    end.

-spec handle() -> {ok, barrel_p2p_nif:gossip()} | {error, not_distributed}.
handle() ->
    case persistent_term:get(?HANDLE, none) of
        none -> {error, not_distributed};
        Gossip -> {ok, Gossip}
    end.

%% Tells the engine something that must not be dropped; waits while its inbox is full. Without an engine there is nothing to do.
-spec command(fun((barrel_p2p_nif:gossip()) -> ok | busy)) -> ok.
command(Do) ->
    case handle() of
        {ok, Gossip} ->
            case Do(Gossip) of
                ok -> ok;
                busy -> receive after ?BUSY_MS -> command(Do) end
            end;
        {error, not_distributed} ->
            ok
    end.

%% The neighbours.
-spec active_view() -> [node()].
active_view() ->
    element(1, views()).

%% The nodes in reserve.
-spec passive_view() -> [node()].
passive_view() ->
    element(2, views()).

%% Every member that is not known to be gone, sorted, this node included.
-spec members() -> [node(), ...].
members() ->
    Known = case handle() of
                {ok, Gossip} -> nodes_of(barrel_p2p_nif:gossip_members(Gossip));
                {error, not_distributed} -> []
            end,
    lists:usort([node() | Known]).

%% Where the directory says that a node listens; whether it counts as alive there.
-spec addresses(Node :: binary()) -> {alive | gone, [{Host :: binary(), inet:port_number()}, ...]} | unknown.
addresses(Node) ->
    case handle() of
        {ok, Gossip} -> known(barrel_p2p_nif:gossip_member(Gossip, Node));
        {error, not_distributed} -> unknown
    end.

%% A suspect is alive until it is proved dead.
-spec life(node()) -> life().
life(Node) ->
    case living(Node) of
        {ok, #{incarnation := Life}} -> {alive, Life};
        gone -> gone
    end.

%% Since when the memory of a member lasts. That is before its life began if only its distribution has started anew.
-spec remembers_since(node()) -> {ok, Ms :: non_neg_integer()} | gone.
remembers_since(Node) ->
    case living(Node) of
        {ok, #{remembers_since_ms := Ms}} -> {ok, Ms};
        gone -> gone
    end.

-spec living(node()) -> {ok, map()} | gone.
living(Node) ->
    case handle() of
        {ok, Gossip} ->
            case barrel_p2p_nif:gossip_member(Gossip, atom_to_binary(Node)) of
                #{state := State} = Member when State =:= alive; State =:= suspect -> {ok, Member};
                _ -> gone
            end;
        {error, not_distributed} ->
            gone
    end.

%% Counters and gauges of the engine by metric name.
-spec stats() -> #{binary() => non_neg_integer()}.
stats() ->
    case handle() of
        {ok, Gossip} -> barrel_p2p_nif:gossip_stats(Gossip);
        {error, not_distributed} -> #{}
    end.

-spec views() -> {Active :: [node()], Passive :: [node()]}.
views() ->
    case handle() of
        {ok, Gossip} ->
            {Active, Passive} = barrel_p2p_nif:gossip_views(Gossip),
            {nodes_of(Active), nodes_of(Passive)};
        {error, not_distributed} ->
            {[], []}
    end.

-spec nodes_of([binary()]) -> [node()].
nodes_of(Names) ->
    [binary_to_atom(Name) || Name <- Names].

-spec known(none | map()) -> {alive | gone, [{binary(), inet:port_number()}, ...]} | unknown.
known(#{state := State, addresses := [_ | _] = Addresses}) ->
    Texts = [{list_to_binary(inet:ntoa(Ip)), Port} || {Ip, Port} <- Addresses],
    {case State of alive -> alive; suspect -> alive; _ -> gone end, Texts};
known(_) ->
    unknown.

-spec options() -> #{atom() => non_neg_integer()}.
options() ->
    Keys = [active_size, passive_size, arwl, prwl, shuffle_length, max_fail_count, base_backoff_ms, passive_max_age_ms, pending_timeout_ms,
            member_heartbeat_ms, max_clock_skew_ms, replica_anti_entropy_ms, tombstone_max_age_ms],
    maps:from_list([{shuffle_period_ms, barrel_p2p_config:get(shuffle_period)} | [{Key, barrel_p2p_config:get(Key)} || Key <- Keys]]).
