%% SPDX-License-Identifier: Apache-2.0
-module(discovery_backend).
-moduledoc """
A discovery backend for tests: tells the process in its Args about every call and answers what the Args say.
""".

-behaviour(barrel_p2p_discovery).
-export([init/1, register/3, unregister/1, lookup/2, list_nodes/1, knows/1]).

-spec init(map()) -> {ok, non_neg_integer()}.
init(#{tell := Pid} = Args) ->
    Pid ! {initialised, Args},
    persistent_term:put(?MODULE, Args),
    {ok, 0}.

-spec register(barrel_p2p_discovery:node_name(), inet:port_number(), non_neg_integer()) -> {ok, non_neg_integer()} | {error, term()}.
register(Node, Port, Calls) ->
    tell({register, Node, Port, Calls}),
    {ok, Calls + 1}.

-spec unregister(barrel_p2p_discovery:node_name()) -> ok.
unregister(Node) ->
    tell({unregister, Node}).

-spec lookup(barrel_p2p_discovery:node_name(), string()) -> term().
lookup(Node, Host) ->
    tell({lookup, Node, Host}),
    maps:get(answer, persistent_term:get(?MODULE), {error, not_found}).

-spec list_nodes(string()) -> term().
list_nodes(_Host) ->
    maps:get(nodes, persistent_term:get(?MODULE), {ok, []}).

-spec knows(barrel_p2p_discovery:node_name()) -> boolean().
knows(_Node) ->
    maps:get(knows, persistent_term:get(?MODULE), false).

-spec tell(term()) -> ok.
tell(Message) ->
    maps:get(tell, persistent_term:get(?MODULE)) ! Message,
    ok.
