%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_epmd).
-moduledoc """
The `-epmd_module` of a node whose carrier is barrel_p2p: no daemon, the answers come from the discovery chain.

When another carrier is in `-proto_dist` too, as during a migration from TCP, that carrier needs the real EPMD: everything is then handed
to `erl_epmd`. Our own carrier asks discovery directly and does not care.
""".

-export([start_link/0, register_node/2, register_node/3, listen_port_please/2, port_please/2, port_please/3, address_please/3, names/0, names/1]).
-export([creation/0]).

-define(DIST_VERSION, 5).
-type host() :: atom() | string() | inet:ip_address().

-spec start_link() -> {ok, pid()} | ignore | {error, term()}.
start_link() ->
    case delegated() of
        true -> erl_epmd:start_link();
        false -> ignore
    end.

-spec register_node(string(), inet:port_number()) -> {ok, Creation :: integer()} | {error, term()}.
register_node(Name, Port) ->
    register_node(Name, Port, inet).

-spec register_node(string(), inet:port_number(), atom()) -> {ok, Creation :: integer()} | {error, term()}.
register_node(Name, Port, Family) ->
    case delegated() of
        true -> erl_epmd:register_node(Name, Port, Family);
        false -> {ok, creation()}
    end.

%% 0 leaves the choice of the listen port to the carrier.
-spec listen_port_please(atom() | string(), host()) -> {ok, inet:port_number()}.
listen_port_please(Name, Host) ->
    case delegated() of
        true -> erl_epmd:listen_port_please(Name, Host);
        false -> {ok, 0}
    end.

-spec port_please(atom() | string(), host()) -> {port, inet:port_number(), Version :: non_neg_integer()} | noport | closed | {error, term()}.
port_please(Name, Host) ->
    port_please(Name, Host, infinity).

-spec port_please(atom() | string(), host(), timeout()) ->
          {port, inet:port_number(), Version :: non_neg_integer()} | noport | closed | {error, term()}.
port_please(Name, Host, Timeout) ->
    case delegated() of
        true ->
            erl_epmd:port_please(Name, Host, Timeout);
        false ->
            case address(Name, Host) of
                {ok, {_, Port}} -> {port, Port, ?DIST_VERSION};
                {error, not_found} -> noport
            end
    end.

-spec address_please(string(), host(), inet | inet6) ->
          {ok, inet:ip_address()} | {ok, inet:ip_address(), inet:port_number(), Version :: non_neg_integer()} | {error, term()}.
address_please(Name, Host, Family) ->
    case delegated() of
        true -> erl_epmd:address_please(Name, Host, Family);
        false -> resolved(address(Name, Host), Family)
    end.

-spec names() -> {ok, [{Name :: string(), inet:port_number()}]} | {error, term()}.
names() ->
    {ok, Host} = inet:gethostname(),
    names(Host).

%% The nodes of a host that discovery can enumerate: those in configuration and files, not those in DNS.
-spec names(host()) -> {ok, [{Name :: string(), inet:port_number()}]} | {error, term()}.
names(Host) ->
    case delegated() of
        true ->
            erl_epmd:names(Host);
        false ->
            {ok, Nodes} = barrel_p2p_discovery:list_nodes(text(Host)),
            {ok, [{hd(string:split(atom_to_list(Node), "@")), Port} || {Node, Port} <- Nodes]}
    end.

%% Does a carrier other than ours need a port mapper?
-spec delegated() -> boolean().
delegated() ->
    case init:get_argument(proto_dist) of
        {ok, [Carriers]} -> lists:member("barrel_p2p", Carriers) andalso Carriers -- ["barrel_p2p"] =/= [];
        _ -> false
    end.

%% Tells two runs of one node name apart, so it must differ from the last one; secrecy is not needed. OTP reserves 0 to 3.
-spec creation() -> 4..16#ffffffff.
creation() ->
    4 + erlang:phash2({erlang:system_time(), erlang:unique_integer(), os:getpid()}, 16#fffffffc).

-spec address(atom() | string(), host()) -> {ok, {Host :: binary(), inet:port_number()}} | {error, not_found}.
address(Name, Host) ->
    barrel_p2p_discovery:lookup(list_to_binary([text(Name), "@", text(Host)]), text(Host)).

-spec resolved({ok, {binary(), inet:port_number()}} | {error, not_found}, inet | inet6) ->
          {ok, inet:ip_address(), inet:port_number(), Version :: non_neg_integer()} | {error, term()}.
resolved({ok, {Host, Port}}, Family) ->
    case inet:getaddr(binary_to_list(Host), Family) of
        {ok, Ip} -> {ok, Ip, Port, ?DIST_VERSION};
        {error, Reason} -> {error, Reason}
    end;
resolved({error, not_found}, _Family) ->
    {error, address}.

-spec text(atom() | string() | inet:ip_address()) -> string().
text(Text) when is_list(Text) -> Text;
text(Text) when is_atom(Text) -> atom_to_list(Text);
text(Ip) -> inet:ntoa(Ip).
