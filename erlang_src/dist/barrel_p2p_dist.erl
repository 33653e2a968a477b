%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist).
-moduledoc """
Erlang distribution over barrel_p2p: the module behind `-proto_dist barrel_p2p`.

Translates the calls of `net_kernel` and nothing more. `listen/2` runs inside `net_kernel` before any application and, on OTP 25, before
files, standard error and `crypto` are there; it uses native code for all of that. Every failure is one readable sentence.
""".

-export([listen/1, listen/2, address/0, accept/1, accept_connection/5, setup/5, close/1, select/1, is_node_name/1]).
-export([listen_port/0]).
-export([do_accept/6]).

-include_lib("kernel/include/net_address.hrl").

%% The UDP port that is really bound, for those who must know that our listener runs.
-define(LISTENING, {?MODULE, listening}).

-type listen() :: pid().

-spec listen(atom()) -> {ok, {listen(), #net_address{}, pos_integer()}} | {error, {barrel_p2p, string()}}.
listen(Name) ->
    {ok, Host} = inet:gethostname(),
    listen(Name, Host).

-spec listen(atom(), string()) -> {ok, {listen(), #net_address{}, pos_integer()}} | {error, {barrel_p2p, string()}}.
listen(Name, Host) ->
    Node = list_to_binary([atom_to_list(Name), "@", Host]),
    case start(Node, true) of
        {ok, Listener, Port} ->
            persistent_term:put(?LISTENING, Port),
            ok = barrel_p2p_discovery:register(Node, Port),
            {ok, {Listener, net_address(Port, Host), barrel_p2p_epmd:creation()}};
        {error, Text} ->
            {error, {barrel_p2p, Text}}
    end.

%% With `-dist_listen false`, and for dynamic node names, there is no listen: the endpoint to dial from starts here.
-spec address() -> #net_address{}.
address() ->
    Name = case node() of
               nonode@nohost -> <<>>;
               Node -> atom_to_binary(Node)
           end,
    case start(Name, false) of
        {ok, Listener, Port} ->
            barrel_p2p_dist_listener:go(Listener),
            net_address(Port, undefined);
        {error, Text} ->
            exit({barrel_p2p, Text})
    end.

-spec accept(listen()) -> pid().
accept(Listener) ->
    barrel_p2p_dist_listener:go(Listener),
    Listener.

-spec accept_connection(pid(), barrel_p2p_dist_ctrl:socket(), node(), [node()], timeout()) -> pid().
accept_connection(AcceptPid, Socket, MyNode, Allowed, SetupTime) ->
    spawn_opt(?MODULE, do_accept, [self(), AcceptPid, Socket, MyNode, Allowed, SetupTime], dist_util:net_ticker_spawn_options()).

-spec do_accept(pid(), pid(), barrel_p2p_dist_ctrl:socket(), node(), [node()], timeout()) -> no_return().
do_accept(Kernel, AcceptPid, Socket, MyNode, Allowed, SetupTime) ->
    receive
        {AcceptPid, controller} ->
            Timer = dist_util:start_timer(SetupTime),
            dist_util:handshake_other_started(barrel_p2p_dist_hs:accepted(Kernel, Socket, MyNode, Allowed, Timer))
    end.

-spec setup(node(), normal | hidden, node(), longnames | shortnames, non_neg_integer()) -> pid().
setup(Node, Type, MyNode, NameDomain, SetupTime) ->
    Kernel = self(),
    spawn_opt(fun() ->
                  is_of_domain(Node, NameDomain) orelse dist_util:shutdown(?MODULE, ?LINE, Node, {not_in_domain, NameDomain}),
                  do_setup(Kernel, Node, Type, MyNode, SetupTime)
              end, dist_util:net_ticker_spawn_options()).

%% As over the carriers of OTP, nodes with long names and nodes with short ones do not talk. Long is a host with a dot; an IPv6 literal is both.
-spec is_of_domain(node(), longnames | shortnames) -> boolean().
is_of_domain(Node, NameDomain) ->
    {ok, _, Host} = barrel_p2p_node_name:parse(Node),
    case {binary:match(Host, <<".">>), NameDomain} of
        {nomatch, longnames} -> binary:match(Host, <<":">>) =/= nomatch;
        {nomatch, shortnames} -> true;
        {_, Domain} -> Domain =:= longnames
    end.

-spec do_setup(pid(), node(), normal | hidden, node(), non_neg_integer()) -> no_return().
do_setup(Kernel, Node, Type, MyNode, SetupTime) ->
    Timer = dist_util:start_timer(SetupTime),
    case barrel_p2p_dist_ctrl:connect(Node, SetupTime) of
        {ok, Socket} ->
            dist_util:reset_timer(Timer),
            dist_util:handshake_we_started(barrel_p2p_dist_hs:dialled(Kernel, Socket, Node, MyNode, Type, Timer));
        {error, Reason} ->
            dist_util:shutdown(?MODULE, ?LINE, Node, Reason)
    end.

-spec close(listen()) -> ok.
close(Listener) ->
    _ = persistent_term:erase(?LISTENING),
    barrel_p2p_dist_listener:stop(Listener).

%% With another carrier beside us a dial that we claim is ours for good, so only a peer that is known to speak our protocol is.
-spec select(node()) -> boolean().
select(Node) ->
    is_node_name(Node) andalso (is_only_carrier() orelse barrel_p2p_discovery:knows(Node) orelse is_pinned(Node)).

-spec is_node_name(node()) -> boolean().
is_node_name(Node) ->
    barrel_p2p_node_name:parse(Node) =/= error.

%% The UDP port in use; undefined while nothing listens.
-spec listen_port() -> {ok, inet:port_number()} | undefined.
listen_port() ->
    case persistent_term:get(?LISTENING, none) of
        none -> undefined;
        Port -> {ok, Port}
    end.

%% net_kernel reads any undef as a carrier without listen/2 and says no more than that it is not supported, so nothing may escape.
-spec start(binary(), boolean()) -> {ok, pid(), inet:port_number()} | {error, string()}.
start(Name, Listen) ->
    try
        case prepare() of
            ok -> start_endpoint(Name, Listen);
            {error, Text} -> {error, Text}
        end
    catch
        Class:Reason:Stack -> {error, lists:flatten(io_lib:format("cannot start: ~0p:~0p at ~0p", [Class, Reason, hd(Stack)]))}
    end.

-spec prepare() -> ok | {error, string()}.
prepare() ->
    case barrel_p2p_config:load() of
        ok ->
            case barrel_p2p_native:load() of
                ok -> barrel_p2p_mesh:prevent();
                {error, Error} -> {error, barrel_p2p_native:format_error(Error)}
            end;
        {error, Text} ->
            {error, Text}
    end.

-spec start_endpoint(binary(), boolean()) -> {ok, pid(), inet:port_number()} | {error, string()}.
start_endpoint(Name, Listen) ->
    Listener = barrel_p2p_dist_listener:start_link(),
    case barrel_p2p_native:start_endpoint(Listener, Name, Listen) of
        {ok, Port} ->
            {ok, Listener, Port};
        {error, Error} ->
            barrel_p2p_dist_listener:stop(Listener),
            {error, barrel_p2p_native:format_error(Error)}
    end.

-spec net_address(inet:port_number(), string() | undefined) -> #net_address{}.
net_address(Port, Host) ->
    #net_address{address = {{0, 0, 0, 0}, Port}, host = Host, protocol = quic, family = inet}.

-spec is_only_carrier() -> boolean().
is_only_carrier() ->
    case init:get_argument(proto_dist) of
        {ok, [[_, _ | _] | _]} -> false;
        _ -> true
    end.

-spec is_pinned(node()) -> boolean().
is_pinned(Node) ->
    case barrel_p2p_native:identity() of
        {ok, Identity} -> barrel_p2p_nif:trust_lookup(Identity, atom_to_binary(Node)) =/= not_pinned;
        {error, _} -> false
    end.
