%% SPDX-License-Identifier: Apache-2.0
-module(udp_relay).
-moduledoc """
A bad network in front of one server: a UDP relay on an address of this machine that drops, duplicates and delays datagrams.

What happens to a datagram is drawn from the seed; when it comes is not, so a seed repeats the kind of a run and not each of its steps.
""".

-export([start/2, impair/2, stop/1, network_address/0]).
-export_type([faults/0, relay/0]).

%% Each in a thousandth of all datagrams. delay: by up to so many milliseconds, while later ones pass.
-type faults() :: #{drop => 0..1000, duplicate => 0..1000, delay => 0..1000, delay_ms => pos_integer()}.
-opaque relay() :: pid().

-type client() :: {inet:ip_address(), inet:port_number()}.

%% Each client has a socket of its own to the server, as behind an address translator.
-record(relay, {front :: gen_udp:socket(), server :: {inet:ip4_address(), inet:port_number()}, faults :: faults(),
                backs = #{} :: #{client() => gen_udp:socket()}, clients = #{} :: #{gen_udp:socket() => client()}}).

-define(NONE, #{drop => 0, duplicate => 0, delay => 0, delay_ms => 1}).
%% A burst of a whole window fits, so that losses are those that were asked for.
-define(BUFFER_BYTES, 4 * 1024 * 1024).

%% Gives the port to dial instead of the server's, at the same address. Everything passes at first.
-spec start({inet:ip4_address(), inet:port_number()}, Seed :: integer()) -> {relay(), inet:port_number()}.
start(Server, Seed) ->
    Self = self(),
    Relay = spawn(fun() -> init(Self, Server, Seed) end),
    receive {Relay, Port} -> {Relay, Port} end.

-spec impair(relay(), faults()) -> ok.
impair(Relay, Faults) ->
    Relay ! {faults, maps:merge(?NONE, Faults)},
    ok.

%% How many datagrams met which fate.
-spec stop(relay()) -> #{atom() => non_neg_integer()}.
stop(Relay) ->
    Relay ! {stop, self()},
    receive {Relay, Counts} -> Counts end.

%% An address of this machine that is not loopback's, where it has one: what is done for the sake of networks is not done over loopback.
-spec network_address() -> inet:ip4_address().
network_address() ->
    {ok, Interfaces} = inet:getifaddrs(),
    Addresses = [Address || {_, Options} <- Interfaces, lists:member(up, proplists:get_value(flags, Options, [])),
                            {addr, {First, _, _, _} = Address} <- Options, First =/= 127],
    hd(Addresses ++ [{127, 0, 0, 1}]).

init(Owner, Server, Seed) ->
    _ = rand:seed(exsss, Seed),
    Front = open(Server),
    {ok, Port} = inet:port(Front),
    Owner ! {self(), Port},
    relay(#relay{front = Front, server = Server, faults = ?NONE}, #{}).

open({Address, _}) ->
    {ok, Socket} = gen_udp:open(0, [binary, {ip, Address}, {active, true}, {recbuf, ?BUFFER_BYTES}, {sndbuf, ?BUFFER_BYTES},
                                    {read_packets, 64}]),
    Socket.

relay(#relay{front = Front, server = Server, clients = Clients} = Relay, Counts) ->
    receive
        {udp, Front, Address, Port, Datagram} ->
            {Back, Known} = back({Address, Port}, Relay),
            fate({Back, Server, Datagram}, Known, Counts);
        {udp, Back, _, _, Datagram} ->
            fate({Front, maps:get(Back, Clients), Datagram}, Relay, Counts);
        {late, Sending} ->
            ok = send(Sending),
            relay(Relay, Counts);
        {faults, Faults} ->
            relay(Relay#relay{faults = Faults}, Counts);
        {stop, From} ->
            From ! {self(), Counts}
    end.

back(Client, #relay{server = Server, backs = Backs, clients = Clients} = Relay) ->
    case Backs of
        #{Client := Back} ->
            {Back, Relay};
        #{} ->
            Back = open(Server),
            {Back, Relay#relay{backs = Backs#{Client => Back}, clients = Clients#{Back => Client}}}
    end.

fate(Sending, #relay{faults = #{drop := Drop, duplicate := Duplicate, delay := Delay, delay_ms := Most}} = Relay, Counts) ->
    Drawn = rand:uniform(1000),
    Fate = if
               Drawn =< Drop -> drop;
               Drawn =< Drop + Duplicate -> duplicate;
               Drawn =< Drop + Duplicate + Delay -> delay;
               true -> pass
           end,
    case Fate of
        drop -> ok;
        duplicate -> ok = send(Sending), ok = send(Sending);
        delay -> _ = erlang:send_after(rand:uniform(Most), self(), {late, Sending});
        pass -> ok = send(Sending)
    end,
    relay(Relay, maps:update_with(Fate, fun(N) -> N + 1 end, 1, Counts)).

%% What a socket refuses is lost, as on any network.
send({Socket, To, Datagram}) ->
    _ = gen_udp:send(Socket, To, Datagram),
    ok.
