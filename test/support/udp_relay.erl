%% SPDX-License-Identifier: Apache-2.0
-module(udp_relay).
-moduledoc """
A bad network between one client and one server: a UDP relay on loopback that drops, duplicates and delays datagrams.

What happens to a datagram is drawn from the seed; when it comes is not, so a seed repeats the kind of a run and not each of its steps.
""".

-export([start/2, impair/2, stop/1]).
-export_type([faults/0, relay/0]).

%% Each in a thousandth of all datagrams. delay: by up to so many milliseconds, while later ones pass.
-type faults() :: #{drop => 0..1000, duplicate => 0..1000, delay => 0..1000, delay_ms => pos_integer()}.
-opaque relay() :: pid().

-record(relay, {front :: gen_udp:socket(), back :: gen_udp:socket(), client = none :: none | {inet:ip_address(), inet:port_number()},
                faults :: faults()}).

-define(NONE, #{drop => 0, duplicate => 0, delay => 0, delay_ms => 1}).
-define(LOOPBACK, {127, 0, 0, 1}).
%% A burst of a whole window fits, so that losses are those that were asked for.
-define(BUFFER_BYTES, 4 * 1024 * 1024).

%% Gives the port to dial instead of the server's. Everything passes at first.
-spec start(inet:port_number(), Seed :: integer()) -> {relay(), inet:port_number()}.
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

init(Owner, Server, Seed) ->
    _ = rand:seed(exsss, Seed),
    Options = [binary, {ip, ?LOOPBACK}, {active, true}, {recbuf, ?BUFFER_BYTES}, {sndbuf, ?BUFFER_BYTES}, {read_packets, 64}],
    {ok, Front} = gen_udp:open(0, Options),
    {ok, Back} = gen_udp:open(0, Options),
    ok = gen_udp:connect(Back, ?LOOPBACK, Server),
    {ok, Port} = inet:port(Front),
    Owner ! {self(), Port},
    relay(#relay{front = Front, back = Back, faults = ?NONE}, #{}).

relay(#relay{front = Front, back = Back} = Relay, Counts) ->
    receive
        {udp, Front, Address, Port, Datagram} -> fate(to_server, Datagram, Relay#relay{client = {Address, Port}}, Counts);
        {udp, Back, _, _, Datagram} -> fate(to_client, Datagram, Relay, Counts);
        {late, To, Datagram} -> ok = send(To, Datagram, Relay), relay(Relay, Counts);
        {faults, Faults} -> relay(Relay#relay{faults = Faults}, Counts);
        {stop, From} -> From ! {self(), Counts}
    end.

fate(To, Datagram, #relay{faults = #{drop := Drop, duplicate := Duplicate, delay := Delay, delay_ms := Most}} = Relay, Counts) ->
    Drawn = rand:uniform(1000),
    Fate = if
               Drawn =< Drop -> drop;
               Drawn =< Drop + Duplicate -> duplicate;
               Drawn =< Drop + Duplicate + Delay -> delay;
               true -> pass
           end,
    case Fate of
        drop -> ok;
        duplicate -> ok = send(To, Datagram, Relay), ok = send(To, Datagram, Relay);
        delay -> _ = erlang:send_after(rand:uniform(Most), self(), {late, To, Datagram});
        pass -> ok = send(To, Datagram, Relay)
    end,
    relay(Relay, maps:update_with(Fate, fun(N) -> N + 1 end, 1, Counts)).

%% What a socket refuses is lost, as on any network.
send(to_server, Datagram, #relay{back = Back}) ->
    _ = gen_udp:send(Back, Datagram),
    ok;
send(to_client, Datagram, #relay{front = Front, client = {Address, Port}}) ->
    _ = gen_udp:send(Front, Address, Port, Datagram),
    ok.
