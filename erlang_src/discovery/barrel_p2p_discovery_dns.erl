%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_discovery_dns).
-moduledoc """
Discovery through DNS: the SRV records of `_barrel-p2p._udp.<host>` where there are any, otherwise the host itself and `discovery_dns_port`.

Host names are handed on as they are; the native core resolves them, with all their addresses. This backend always has an answer, so it
belongs at the end of the chain. An SRV query waits at most a second for the name server.
""".

-behaviour(barrel_p2p_discovery).
-export([lookup/2, targets/1]).

-define(SERVICE, "_barrel-p2p._udp.").
-define(QUERY_MS, 400).
-define(TOTAL_MS, 1000).

-spec lookup(barrel_p2p_discovery:node_name(), string()) ->
          {ok, barrel_p2p_discovery:address() | [barrel_p2p_discovery:address(), ...]} | {error, not_found}.
lookup(_Node, "") ->
    {error, not_found};
lookup(_Node, Host) ->
    case inet:parse_address(Host) of
        {ok, _} -> direct(Host);
        {error, einval} -> by_name(Host)
    end.

%% The order in which to try SRV records: lower priority first, then higher weight. A target of `.` says that there is no such service (RFC 2782).
-spec targets([{Priority :: integer(), Weight :: integer(), inet:port_number(), Target :: string()}]) -> [{string(), inet:port_number()}].
targets(Records) ->
    Sorted = lists:sort([{Priority, -Weight, Target, Port} || {Priority, Weight, Port, Target} <- Records]),
    [{Target, Port} || {_, _, Target, Port} <- Sorted, Target =/= ".", Target =/= "", Port > 0].

-spec by_name(string()) -> {ok, barrel_p2p_discovery:address() | [barrel_p2p_discovery:address(), ...]} | {error, not_found}.
by_name("localhost") ->
    direct("localhost");
by_name(Host) ->
    case inet_res:lookup(?SERVICE ++ Host, in, srv, [{timeout, ?QUERY_MS}, {retry, 2}], ?TOTAL_MS) of
        [] -> direct(Host);
        Records -> barrel_p2p_discovery:answer(targets(Records))
    end.

-spec direct(string()) -> {ok, {string(), inet:port_number()}}.
direct(Host) ->
    {ok, {Host, barrel_p2p_config:get(discovery_dns_port)}}.
