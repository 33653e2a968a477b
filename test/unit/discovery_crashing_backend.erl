%% SPDX-License-Identifier: Apache-2.0
-module(discovery_crashing_backend).
-moduledoc """
A discovery backend for tests that crashes whatever it is asked.
""".

-behaviour(barrel_p2p_discovery).
-export([register/3, unregister/1, lookup/2, list_nodes/1, knows/1]).

-spec register(barrel_p2p_discovery:node_name(), inet:port_number(), term()) -> no_return().
register(_Node, _Port, _State) -> error(crashed).

-spec unregister(barrel_p2p_discovery:node_name()) -> no_return().
unregister(_Node) -> exit(crashed).

-spec lookup(barrel_p2p_discovery:node_name(), string()) -> no_return().
lookup(_Node, _Host) -> throw(crashed).

-spec list_nodes(string()) -> no_return().
list_nodes(_Host) -> error(crashed).

-spec knows(barrel_p2p_discovery:node_name()) -> no_return().
knows(_Node) -> error(crashed).
