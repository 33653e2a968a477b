%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_join).
-moduledoc """
The ways into a cluster: through a node that discovery knows, a node at an address, or whoever answers at an address.

Nothing here waits in a server: an attempt runs in a process of its own, or in the caller when it asked to wait.
""".

-export([start/1, run/2, contact/1, targets/1, any/2]).
-export_type([target/0, reason/0, attempt/0]).

-type address() :: {Host :: string() | binary() | inet:ip_address(), inet:port_number()}.
-type target() :: node() | {node(), address()} | address().
%% cannot_join_self and not_distributed are told at once, the others only to whoever waits.
-type reason() :: cannot_join_self | not_distributed | timeout | busy | barrel_p2p_reason:code().
%% What the native core dials; the name is <<>> when it is not known.
-type attempt() :: #{node := binary(), addresses := [{Host :: binary(), inet:port_number()}]}.

%% How long an attempt may take that nobody waits for.
-define(ATTEMPT_MS, 10_000).
%% The core answers within the time it was given; this is for the case that it cannot answer.
-define(GRACE_MS, 1_000).

%% Starts one attempt in the background; when it fails, the log says why.
-spec start(target()) -> ok | {error, cannot_join_self | not_distributed}.
start(Target) ->
    case contact(Target) of
        {ok, Contact} -> _ = spawn(fun() -> report(Target, attempt(Contact, ?ATTEMPT_MS)) end), ok;
        {error, _} = Error -> Error
    end.

%% Returns when a neighbour has accepted this node, or says why not.
-spec run(target(), TimeoutMs :: pos_integer()) -> ok | {error, reason()}.
run(Target, Timeout) ->
    case contact(Target) of
        {ok, Contact} ->
            Caller = self(),
            {Pid, Monitor} = spawn_monitor(fun() -> Caller ! {self(), attempt(Contact, Timeout)} end),
            receive
                {Pid, Result} -> true = demonitor(Monitor, [flush]), Result;
                {'DOWN', Monitor, process, Pid, _} -> {error, stopped}
            end;
        {error, _} = Error ->
            Error
    end.

%% Is this something that can be joined from here?
-spec contact(target()) -> {ok, barrel_p2p_config_schema:contact()} | {error, cannot_join_self | not_distributed}.
contact(Target) ->
    Own = atom_to_binary(node()),
    case {barrel_p2p_config_schema:contact(Target), barrel_p2p_gossip:handle()} of
        {{ok, {Own, _}}, _} -> {error, cannot_join_self};
        {{ok, Contact}, {ok, _}} -> {ok, Contact};
        {{ok, _}, {error, not_distributed}} -> {error, not_distributed};
        {error, _} -> error(badarg, [Target])
    end.

%% What to dial for a contact. Each address of a host without a name is a contact of its own: one host name may stand for a whole cluster, this
%% node included, which is left out.
-spec targets(barrel_p2p_config_schema:contact()) -> [attempt()].
targets({<<>>, {Host, Port}}) ->
    Own = own_addresses(Port),
    [#{node => <<>>, addresses => [{list_to_binary(inet:ntoa(Ip)), Port}]} || Ip <- resolved(binary_to_list(Host)), not lists:member(Ip, Own)];
targets({Name, none}) ->
    case barrel_p2p_discovery:addresses(Name) of
        {ok, Addresses} -> [#{node => Name, addresses => Addresses}];
        {error, not_found} -> []
    end;
targets({Name, Address}) ->
    [#{node => Name, addresses => [Address]}].

%% Tries all at once; ok as soon as one has let us in. Answers of the others may follow, as {barrel_p2p_joined, _, _}.
-spec any([attempt()], TimeoutMs :: pos_integer()) -> ok | {error, [reason()]}.
any(Attempts, Timeout) ->
    case barrel_p2p_gossip:handle() of
        {ok, Gossip} ->
            Refs = [begin
                        Ref = make_ref(),
                        ok = barrel_p2p_nif:gossip_join(Gossip, Attempt, Ref, Timeout),
                        Ref
                    end || Attempt <- Attempts],
            wait(Refs, erlang:monotonic_time(millisecond) + Timeout + ?GRACE_MS, []);
        {error, not_distributed} ->
            {error, [not_distributed]}
    end.

-spec attempt(barrel_p2p_config_schema:contact(), pos_integer()) -> ok | {error, reason()}.
attempt(Contact, Timeout) ->
    case targets(Contact) of
        [] ->
            {error, no_address};
        Attempts ->
            case any(Attempts, Timeout) of
                ok -> ok;
                {error, [Reason | _]} -> {error, Reason}
            end
    end.

-spec wait([reference()], integer(), [reason()]) -> ok | {error, [reason()]}.
wait([], _Deadline, Reasons) ->
    {error, lists:usort(Reasons)};
wait(Refs, Deadline, Reasons) ->
    receive
        {barrel_p2p_joined, Ref, Result} ->
            case {lists:member(Ref, Refs), Result} of
                {false, _} -> wait(Refs, Deadline, Reasons);
                {true, ok} -> ok;
                {true, {error, Reason}} -> wait(Refs -- [Ref], Deadline, [Reason | Reasons])
            end
    after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
            {error, lists:usort([timeout | Reasons])}
    end.

-spec report(target(), ok | {error, reason()}) -> ok.
report(_Target, ok) -> ok;
report(Target, {error, Reason}) -> barrel_p2p_log:report(warning, #{event => join_failed, target => Target, reason => Reason}).

-spec resolved(string()) -> [inet:ip_address()].
resolved(Host) ->
    case inet:parse_address(Host) of
        {ok, Ip} -> [Ip];
        {error, einval} -> [Ip || Family <- [inet, inet6], {ok, Ips} <- [inet:getaddrs(Host, Family)], Ip <- Ips]
    end.

%% Where this node itself answers at that port.
-spec own_addresses(inet:port_number()) -> [inet:ip_address()].
own_addresses(Port) ->
    case {barrel_p2p_dist:listen_port(), inet:getifaddrs()} of
        {{ok, Port}, {ok, Interfaces}} -> [Ip || {_, Options} <- Interfaces, {addr, Ip} <- Options];
        _ -> []
    end.
