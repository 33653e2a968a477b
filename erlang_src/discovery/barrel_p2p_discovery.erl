%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_discovery).
-moduledoc """
From a node name to addresses, without EPMD: the behaviour of a backend and the chain of all configured ones.

The chain asks the backends of `discovery_backends` in their order; the first that knows the node answers. A backend that crashes or answers
nonsense is logged once and skipped, it never breaks a connection attempt that another backend could serve.

The directory of the cluster needs no configuration and is always asked: it tells where a member listens, so that one seed address is enough to
reach all of them.

Writing a backend: all callbacks are optional. An entry is a module or `{Module, Args}`; `init/1` gets the Args (an empty map when there are
none) and returns the state that `register/3` is given and replaces; without `init/1` the state is Args itself. `init/1` may run more than once.
Callbacks run in the process that wants the answer, often the one that sets up a connection, and must not block for long. A node is an atom,
or a binary when only its name is known yet: do not make atoms from it. While the node starts or stops its distribution, `net_kernel` waits for
us and most of OTP is not there, so only the backends of this library run then; others hear of the node when the application starts, or, if it
runs already, in a process of their own.
""".

-export([addresses/1, knows/1, register/2, unregister/1]).
-export([init/1, register/3, lookup/2, list_nodes/1]).
-export([answer/1]).
-export_type([node_name/0, address/0, backend/0, state/0]).

-type node_name() :: node() | binary().
-type address() :: {Host :: binary() | string() | inet:ip_address(), inet:port_number()}.
-type backend() :: {module(), Args :: term()}.
-opaque state() :: [backend()].

-callback init(Args :: term()) -> {ok, State :: term()} | {error, term()}.
%% This node listens on Port. Called again whenever the application starts, with the same values or with new ones.
-callback register(Node :: node_name(), inet:port_number(), State :: term()) -> {ok, State :: term()} | {error, term()}.
-callback unregister(Node :: node_name()) -> ok | {error, term()}.
%% Host is the part of the name after the @.
-callback lookup(Node :: node_name(), Host :: string()) -> {ok, address() | [address()]} | {error, term()}.
-callback list_nodes(Host :: string()) -> {ok, [{node(), inet:port_number()}]} | {error, term()}.
%% Is there an answer at hand? Must not block: net_kernel itself asks, to choose between two carriers.
-callback knows(Node :: node_name()) -> boolean().
-optional_callbacks([init/1, register/3, unregister/1, lookup/2, list_nodes/1, knows/1]).

-define(OWN, [barrel_p2p_discovery_static, barrel_p2p_discovery_file, barrel_p2p_discovery_dns]).

%% Every address that the directory and the first backend which knows the node have for it, in the order in which to try them.
-spec addresses(node_name()) -> {ok, [{Host :: binary(), inet:port_number()}, ...]} | {error, not_found}.
addresses(Node) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Name, Host} -> answer_of(barrel_p2p_gossip:addresses(Name), Node, binary_to_list(Host));
        error -> {error, not_found}
    end.

%% Whether the directory or a backend has the node at hand. Never asks the network.
-spec knows(node_name()) -> boolean().
knows(Node) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Name, _} -> barrel_p2p_gossip:addresses(Name) =/= unknown orelse at_hand(usable(backends()), Node) =/= [];
        error -> false
    end.

%% Tells every backend that this node listens on Port. May be repeated. Inside net_kernel the foreign backends are told in the background,
%% and only if the application runs: it calls this again when it starts.
-spec register(node_name(), inet:port_number()) -> ok.
register(Node, Port) ->
    Usable = usable(backends()),
    {ok, _} = register(Node, Port, Usable),
    Later = backends() -- Usable,
    _ = [spawn(fun() -> register(Node, Port, Later) end) || Later =/= [], is_pid(whereis(barrel_p2p_sup))],
    ok.

%% Tells every backend that this node is gone. The file backend needs it least: the core removes its file together with the socket.
-spec unregister(node_name()) -> ok.
unregister(Node) ->
    lists:foreach(fun(Backend) ->
                          ask(Backend, unregister, 1, fun(Module, _) -> done(Backend, unregister, Module:unregister(Node)) end)
                  end, usable(backends())).

%% The chain has the shape of a backend itself. Options: `backends`, instead of the configured ones.
-spec init(Options :: #{backends => [module() | backend()]}) -> {ok, state()}.
init(#{backends := Backends}) ->
    {ok, Normal} = barrel_p2p_config_schema:check(backends, Backends),
    {ok, Normal};
init(_) ->
    {ok, backends()}.

-spec register(node_name(), inet:port_number(), state()) -> {ok, state()}.
register(Node, Port, Backends) ->
    lists:foreach(fun(Backend) ->
                          ask(Backend, register, 3, fun(Module, State) -> done(Backend, register, Module:register(Node, Port, State)) end)
                  end, usable(Backends)),
    {ok, Backends}.

%% The first address alone.
-spec lookup(node_name(), Host :: string()) -> {ok, {Host :: binary(), inet:port_number()}} | {error, not_found}.
lookup(Node, _Host) ->
    case addresses(Node) of
        {ok, [Address | _]} -> {ok, Address};
        {error, not_found} -> {error, not_found}
    end.

%% The nodes of a host that the backends can enumerate.
-spec list_nodes(Host :: string()) -> {ok, [{node(), inet:port_number()}]}.
list_nodes(Host) ->
    {ok, lists:usort(lists:append([nodes_of(Backend, Host) || Backend <- backends()]))}.

%% For backends: a list of addresses in the form lookup/2 returns.
-spec answer([address()]) -> {ok, address() | [address(), ...]} | {error, not_found}.
answer([]) -> {error, not_found};
answer([Address]) -> {ok, Address};
answer(Addresses) -> {ok, Addresses}.

-spec backends() -> [backend()].
backends() ->
    barrel_p2p_config:get(discovery_backends).

%% Inside net_kernel, foreign code could wait for net_kernel or for a process that does not run yet, and the node would hang for ever.
-spec usable([backend()]) -> [backend()].
usable(Backends) ->
    case whereis(net_kernel) =:= self() of
        true -> [Backend || {Module, _} = Backend <- Backends, lists:member(Module, ?OWN)];
        false -> Backends
    end.

%% Somebody has spoken with a living member where the directory says; what else is at hand may be the only address that works from here, as
%% behind a forwarded port. A member that is gone may be back elsewhere.
-spec answer_of({alive | gone, [{binary(), inet:port_number()}, ...]} | unknown, node_name(), string()) ->
          {ok, [{binary(), inet:port_number()}, ...]} | {error, not_found}.
answer_of(unknown, Node, Host) ->
    first_answer(backends(), Node, Host);
answer_of({alive, Learned}, Node, Host) ->
    followed_by(Learned, first_answer(at_hand(backends(), Node), Node, Host));
answer_of({gone, Learned}, Node, Host) ->
    case first_answer(backends(), Node, Host) of
        {ok, Configured} -> followed_by(Configured, {ok, Learned});
        {error, not_found} -> {ok, Learned}
    end.

-spec followed_by([{binary(), inet:port_number()}, ...], {ok, [{binary(), inet:port_number()}, ...]} | {error, not_found}) ->
          {ok, [{binary(), inet:port_number()}, ...]}.
followed_by(First, {ok, Then}) -> {ok, First ++ (Then -- First)};
followed_by(First, {error, not_found}) -> {ok, First}.

-spec at_hand([backend()], node_name()) -> [backend()].
at_hand(Backends, Node) ->
    [Backend || Backend <- Backends, ask(Backend, knows, 1, fun(Module, _) -> Module:knows(Node) end) =:= true].

-spec first_answer([backend()], node_name(), string()) -> {ok, [{binary(), inet:port_number()}, ...]} | {error, not_found}.
first_answer([], _Node, _Host) ->
    {error, not_found};
first_answer([Backend | Rest], Node, Host) ->
    case ask(Backend, lookup, 2, fun(Module, _) -> found(Backend, Module:lookup(Node, Host)) end) of
        {ok, Addresses} -> {ok, Addresses};
        skip -> first_answer(Rest, Node, Host)
    end.

-spec found(backend(), term()) -> {ok, [{binary(), inet:port_number()}, ...]} | skip.
found(_, {error, not_found}) ->
    skip;
found(Backend, {ok, [_ | _] = Addresses}) ->
    case [Normal || Address <- Addresses, {ok, Normal} <- [barrel_p2p_config_schema:address(Address)]] of
        Good when length(Good) =:= length(Addresses) -> {ok, Good};
        _ -> complain(Backend, lookup, {bad_addresses, Addresses})
    end;
found(Backend, {ok, {_, _} = Address}) ->
    found(Backend, {ok, [Address]});
found(Backend, Other) ->
    complain(Backend, lookup, Other).

-spec nodes_of(backend(), string()) -> [{node(), inet:port_number()}].
nodes_of(Backend, Host) ->
    Answer = ask(Backend, list_nodes, 1, fun(Module, _) ->
                                                 case Module:list_nodes(Host) of
                                                     {ok, Nodes} when is_list(Nodes) -> {ok, Nodes};
                                                     Other -> complain(Backend, list_nodes, Other)
                                                 end
                                         end),
    case Answer of
        {ok, Nodes} -> Nodes;
        skip -> []
    end.

-spec done(backend(), register | unregister, term()) -> ok | skip.
done(_, unregister, ok) -> ok;
done(Backend, register, {ok, State}) -> persistent_term:put({?MODULE, Backend}, {state, State});
done(Backend, Function, Other) -> complain(Backend, Function, Other).

%% Calls one backend, if it has the function, with its state.
-spec ask(backend(), atom(), arity(), fun((module(), State :: term()) -> Answer)) -> Answer | skip.
ask({Module, _} = Backend, Function, Arity, Call) ->
    try
        {module, Module} = code:ensure_loaded(Module),
        case erlang:function_exported(Module, Function, Arity) andalso state(Backend) of
            false -> skip;
            {state, State} -> Call(Module, State)
        end
    catch
        Class:Reason -> complain(Backend, Function, {Class, Reason})
    end.

-spec state(backend()) -> {state, term()}.
state({Module, Args} = Backend) ->
    case persistent_term:get({?MODULE, Backend}, none) of
        none ->
            case erlang:function_exported(Module, init, 1) of
                true -> {ok, State} = Module:init(Args), ok = persistent_term:put({?MODULE, Backend}, {state, State}), {state, State};
                false -> {state, Args}
            end;
        Kept ->
            Kept
    end.

%% Once per backend and function: a backend that is down would otherwise fill the log.
-spec complain(backend(), atom(), term()) -> skip.
complain({Module, _}, Function, Reason) ->
    Key = {?MODULE, complained, Module, Function},
    case persistent_term:get(Key, false) of
        true ->
            skip;
        false ->
            persistent_term:put(Key, true),
            barrel_p2p_log:report(warning, #{event => discovery_failed, backend => Module, function => Function, reason => Reason}),
            skip
    end.
