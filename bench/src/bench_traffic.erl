%% SPDX-License-Identifier: Apache-2.0
-module(bench_traffic).
-moduledoc """
The workload: runs inside the two VMs under test and is the same for every carrier.

All calls happen on the first VM and put their partners on the second by plain remote spawn. Nothing counts that has not been checked: each
ping must come back unchanged, each streamed message must arrive once, in order and whole, and a rate is taken only after every receiver
has confirmed its last message. A message that is lost, damaged or out of order ends the call with an error.
""".

-export([ping/2, stream/3, received/3, ping_beside_stream/3, pings_beside_streams/4, connect/1]).
%% Partners on the other node.
-export([echo/1, sink/2, meter/3]).

-export_type([load/0, pings/0, transfer/0]).

-type load() :: #{senders := pos_integer(), bytes := non_neg_integer()}.
%% longest: how long the pinger waited at most.
-type pings() :: #{answered := non_neg_integer(), p50_ns := bench_statistics:value(), p99_ns := bench_statistics:value(),
                   longest_ns := bench_statistics:value()}.
-type transfer() :: #{messages := pos_integer(), bytes := non_neg_integer(), seconds := float()}.

%% How long the last ping may be on its way beyond the window before it is cut off and counts as `at_least` its age.
-define(PING_GRACE_MS, 5_000).
%% How long a receiver may need, after the last send has returned, to take in what is still on its way.
-define(DRAIN_MS, 60_000).
%% A stream gets this long to fill every queue before the first ping beside it.
-define(HEAD_START_MS, 500).
%% A heap that holds all samples at once: the pinger's own garbage collections must not show up as the carrier's tail.
-define(PINGER_WORDS, 4_000_000).
%% A sender looks at the clock once per this many messages: a clock read costs as much as a tenth of a small send.
-define(SENDS_PER_LOOK, 16).

%% Round trips of 16 bytes to a process on `Node` and back, one at a time for `Ms` milliseconds.
-spec ping(node(), pos_integer()) -> pings().
ping(Node, Ms) ->
    alone(fun() -> pings(echo_on(Node), Ms) end, pinger(1)).

%% Every sender streams to its own receiver on `Node` for `Ms` milliseconds. The seconds run from the start signal to the last confirmation.
-spec stream(node(), load(), pos_integer()) -> transfer().
stream(Node, Load, Ms) ->
    alone(fun() -> transfer(Node, Load, fun() -> until(now_ns() + Ms * 1_000_000) end) end, []).

%% Bytes that arrive within `Ms` milliseconds, `After` milliseconds after the first one. The stream ends unconfirmed: who shares a path with
%% others needs a time that is the same for all.
-spec received(node(), load(), {After :: non_neg_integer(), Ms :: pos_integer()}) -> non_neg_integer().
received(Node, #{senders := 1, bytes := Bytes}, {After, Ms}) ->
    alone(fun() ->
              Own = self(),
              Meter = spawn_link(Node, ?MODULE, meter, [Own, After, Ms]),
              Sender = spawn_link(fun() -> send(Meter, rand:bytes(Bytes), fun() -> true end, 0) end),
              receive
                  {Meter, Arrived} -> unlink(Sender), exit(Sender, kill), Arrived
              end
          end, []).

-spec ping_beside_stream(node(), load(), pos_integer()) -> {pings(), transfer()}.
ping_beside_stream(Node, Load, Ms) ->
    {[Pings], Transfer} = pings_beside_streams(Node, 1, Load, Ms),
    {Pings, Transfer}.

%% So many processes ping for `Ms` milliseconds while others stream `Load`. The streams are stopped when the last ping of one does not come back
%% in time: on a starving carrier the pinger hangs in its send, and nothing but the end of the streams sets it free.
-spec pings_beside_streams(node(), pos_integer(), load(), pos_integer()) -> {[pings(), ...], transfer()}.
pings_beside_streams(Node, Count, Load, Ms) ->
    Stop = atomics:new(1, []),
    Streaming = fun() -> atomics:get(Stop, 1) =:= 0 end,
    Self = self(),
    Pingers = [spawn_alone(fun() -> pings_when_told(Self, Node, Ms) end, pinger(Count)) || _ <- lists:seq(1, Count)],
    _ = [receive {Pinger, ready} -> ok end || {Pinger, _} <- Pingers],
    {Streamer, StreamerMonitor} = spawn_alone(fun() -> transfer(Node, Load, fun() -> Streaming end) end, []),
    timer:sleep(?HEAD_START_MS),
    _ = [Pinger ! {Self, go} || {Pinger, _} <- Pingers],
    Deadline = now_ns() + (Ms + ?PING_GRACE_MS) * 1_000_000,
    Pings = [case ended(Pinger, Monitor, max(0, (Deadline - now_ns()) div 1_000_000)) of
                 {ok, InTime} ->
                     InTime;
                 timeout ->
                     ok = atomics:put(Stop, 1, 1),
                     result(Pinger, Monitor)
             end || {Pinger, Monitor} <- Pingers],
    ok = atomics:put(Stop, 1, 1),
    {Pings, result(Streamer, StreamerMonitor)}.

%% Nanoseconds until `Node` is connected.
-spec connect(node()) -> pos_integer().
connect(Node) ->
    Start = now_ns(),
    case net_kernel:connect_node(Node) of
        true -> now_ns() - Start;
        Other -> error({not_connected, Node, Other})
    end.

%% Pings

pings_when_told(Parent, Node, Ms) ->
    Echo = echo_on(Node),
    Parent ! {self(), ready},
    receive {Parent, go} -> pings(Echo, Ms) end.

%% Of many, each has its share of the round trips.
pinger(Count) ->
    [{min_heap_size, ?PINGER_WORDS div Count}].

echo_on(Node) ->
    spawn_link(Node, ?MODULE, echo, [self()]).

pings(Echo, Ms) ->
    Samples = pings(Echo, 1, now_ns() + Ms * 1_000_000, []),
    #{answered => length([S || S <- Samples, is_integer(S)]),
      p50_ns => bench_statistics:percentile(Samples, 50),
      p99_ns => bench_statistics:percentile(Samples, 99),
      longest_ns => bench_statistics:percentile(Samples, 100)}.

pings(Echo, Number, End, Samples) ->
    Ping = <<Number:128>>,
    Sent = now_ns(),
    Echo ! Ping,
    receive
        Ping ->
            case now_ns() of
                Now when Now < End -> pings(Echo, Number + 1, End, [Now - Sent | Samples]);
                Now -> [last_sample(Sent, Now, End + ?PING_GRACE_MS * 1_000_000) | Samples]
            end;
        Other -> exit({wrong_reply, Number, Other})
    end.

last_sample(Sent, Now, Limit) when Now < Limit -> Now - Sent;
last_sample(Sent, _Now, Limit) -> {at_least, Limit - Sent}.

-spec echo(pid()) -> no_return().
echo(Owner) ->
    receive
        Ping ->
            Owner ! Ping,
            echo(Owner)
    end.

%% Streams

%% `Watch` is called by each sender when it starts and answers a fun that says whether to go on.
transfer(Node, #{senders := Count, bytes := Bytes}, Watch) ->
    Self = self(),
    Senders = [spawn_link(fun() -> sender(Self, Node, Bytes, Watch) end) || _ <- lists:seq(1, Count)],
    _ = [receive {Sender, ready} -> ok end || Sender <- Senders],
    Start = now_ns(),
    _ = [Sender ! go || Sender <- Senders],
    Sent = lists:sum([receive {Sender, confirmed, Messages} -> Messages end || Sender <- Senders]),
    #{messages => Sent, bytes => Sent * Bytes, seconds => (now_ns() - Start) / 1.0e9}.

sender(Parent, Node, Bytes, Watch) ->
    Sink = spawn_link(Node, ?MODULE, sink, [self(), Bytes]),
    receive {Sink, ready} -> ok end,
    Parent ! {self(), ready},
    receive go -> ok end,
    Sent = send(Sink, rand:bytes(Bytes), Watch(), 0),
    Sink ! {done, Sent},
    receive
        {Sink, received, Sent} -> Parent ! {self(), confirmed, Sent}
    after ?DRAIN_MS -> exit({not_confirmed, Sent})
    end.

send(Sink, Payload, More, Number) ->
    Next = send_some(Sink, Payload, Number, Number + sends_per_look(Payload)),
    case More() of
        true -> send(Sink, Payload, More, Next);
        false -> Next
    end.

send_some(_Sink, _Payload, End, End) ->
    End;
send_some(Sink, Payload, Number, End) ->
    Sink ! {Number, Payload},
    send_some(Sink, Payload, Number + 1, End).

sends_per_look(Payload) when byte_size(Payload) < 1024 -> ?SENDS_PER_LOOK;
sends_per_look(_Payload) -> 1.

until(End) ->
    fun() -> now_ns() < End end.

-spec sink(pid(), non_neg_integer()) -> {pid(), received, non_neg_integer()}.
sink(Owner, Bytes) ->
    Owner ! {self(), ready},
    Owner ! {self(), received, received(Bytes, 0)}.

received(Bytes, Expected) ->
    receive
        {Expected, Payload} when byte_size(Payload) =:= Bytes -> received(Bytes, Expected + 1);
        {done, Expected} -> Expected;
        Other -> exit({wrong_message, Expected, element(1, Other)})
    end.

-spec meter(pid(), non_neg_integer(), pos_integer()) -> {pid(), non_neg_integer()}.
meter(Owner, After, Ms) ->
    receive {0, _} -> ok end,
    Start = now_ns() + After * 1_000_000,
    Owner ! {self(), metered(Start, Start + Ms * 1_000_000, 1, 0)}.

metered(Start, End, Expected, Bytes) ->
    receive
        {Expected, Payload} ->
            case now_ns() of
                Now when Now < Start -> metered(Start, End, Expected + 1, Bytes);
                Now when Now < End -> metered(Start, End, Expected + 1, Bytes + byte_size(Payload));
                _ -> Bytes
            end;
        Other -> exit({wrong_message, Expected, element(1, Other)})
    end.

%% Each measurement has a process of its own: a fresh heap, an empty mailbox, and an exit reason when a check fails.

alone(Fun, Options) ->
    {Pid, Monitor} = spawn_alone(Fun, Options),
    result(Pid, Monitor).

spawn_alone(Fun, Options) ->
    spawn_opt(fun() -> exit({result, Fun()}) end, [monitor | Options]).

result(Pid, Monitor) ->
    {ok, Result} = ended(Pid, Monitor, infinity),
    Result.

ended(Pid, Monitor, Timeout) ->
    receive
        {'DOWN', Monitor, process, Pid, {result, Result}} -> {ok, Result};
        {'DOWN', Monitor, process, Pid, Reason} -> error({measurement_failed, Reason})
    after Timeout -> timeout
    end.

now_ns() ->
    erlang:monotonic_time(nanosecond).
