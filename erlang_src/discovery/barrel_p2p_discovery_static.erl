%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_discovery_static).
-moduledoc """
Discovery from the configuration: the nodes and addresses of `discovery_nodes`.
""".

-behaviour(barrel_p2p_discovery).
-export([lookup/2, list_nodes/1, knows/1]).

-spec lookup(barrel_p2p_discovery:node_name(), string()) ->
          {ok, barrel_p2p_discovery:address() | [barrel_p2p_discovery:address(), ...]} | {error, not_found}.
lookup(Node, _Host) ->
    barrel_p2p_discovery:answer(addresses(Node)).

-spec list_nodes(string()) -> {ok, [{node(), inet:port_number()}]}.
list_nodes(Host) ->
    Wanted = list_to_binary(Host),
    %% Making atoms is safe here: the names come from our own configuration.
    {ok, [{binary_to_atom(Full), Port} || {Name, {_, Port}} <- barrel_p2p_config:get(discovery_nodes),
                                          {ok, Full, NodeHost} <- [barrel_p2p_node_name:parse(Name)], NodeHost =:= Wanted]}.

-spec knows(barrel_p2p_discovery:node_name()) -> boolean().
knows(Node) ->
    addresses(Node) =/= [].

-spec addresses(barrel_p2p_discovery:node_name()) -> [{binary(), inet:port_number()}].
addresses(Node) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Wanted, _} -> [Address || {Name, Address} <- barrel_p2p_config:get(discovery_nodes), Name =:= Wanted];
        error -> []
    end.
