%% SPDX-License-Identifier: Apache-2.0
-module(bench_network_cell).
-moduledoc """
The impaired paths, and what is measured on each: one pair of VMs for each contestant, one value of every metric.
""".

-export([all/1, label/1, narrow/0, metrics/0, measure/4, shares/3]).

-export_type([contestant/0, settings/0, values/0]).

%% A carrier, and what TCP below it uses.
-type contestant() :: #{name := string(), carrier := module(), tcp := string()}.
-type settings() :: #{warm_ms := pos_integer(), measure_ms := pos_integer(), share_ms := pos_integer()}.
-type values() :: #{atom() => bench_statistics:value()}.

-define(KIB, 1024).
-define(MIB, 1_048_576).

%% Round trips of one machine room, one country and one continent; losses of a good line, a bad one and a very bad one. The last path is narrow:
%% its buffer holds as much as the path.
-spec all(full | quick) -> [bench_network_path:impairment(), ...].
all(full) ->
    [#{rtt_ms => Rtt, loss => Loss} || Rtt <- [1, 20, 50], Loss <- [0.0, 0.001, 0.01, 0.02]] ++ [narrow()];
all(quick) ->
    [#{rtt_ms => 20, loss => 0.01}, narrow()].

-spec narrow() -> bench_network_path:impairment().
narrow() ->
    #{rtt_ms => 50, loss => 0.0, mbit => 200, buffer => 1_250_000}.

-spec label(bench_network_path:impairment()) -> string().
label(#{rtt_ms := Rtt, mbit := Mbit, buffer := Buffer}) ->
    lists:flatten(io_lib:format("~w ms, ~b Mbit/s, buffer of ~.2f MB", [Rtt, Mbit, Buffer / 1.0e6]));
label(#{rtt_ms := Rtt, loss := Loss}) ->
    lists:flatten(io_lib:format("~w ms, ~w % lost", [Rtt, round(Loss * 1000) / 10])).

-spec metrics() -> [{Key :: atom(), Label :: string(), Unit :: string(), lower | higher}, ...].
metrics() ->
    [{bulk_8m, "8 MiB, 1 sender", "MB/s", higher},
     {bulk_512k, "512 KiB, 16 senders", "MB/s", higher},
     {small_1k, "1 KiB, 128 senders", "MB/s", higher},
     {beside_p50, "ping beside 1 MiB bulk, p50", "ms", lower},
     {beside_p99, "ping beside 1 MiB bulk, p99", "ms", lower},
     {beside_bulk, "the bulk beside it", "MB/s", higher},
     {overflow, "dropped by a full buffer", "%", lower}].

-spec measure(bench_network_path:path(), contestant(), file:filename(), settings()) -> values().
measure(Path, #{carrier := Carrier, tcp := Tcp}, Folder, #{measure_ms := Ms} = Settings) ->
    bench_pair:with(Carrier, Folder, bench_network_path:places(Tcp),
        fun(Pair) ->
            _ = bench_pair:call(Pair, bench_traffic, connect, []),
            Before = bench_network_path:packets(Path),
            Bulk = streamed(Pair, Settings, #{senders => 1, bytes => 8 * ?MIB}),
            Overflow = overflow(Before, bench_network_path:packets(Path)),
            Mixed = streamed(Pair, Settings, #{senders => 16, bytes => 512 * ?KIB}),
            Small = streamed(Pair, Settings, #{senders => 128, bytes => ?KIB}),
            {Pings, Beside} = bench_pair:call(Pair, bench_traffic, ping_beside_stream, [#{senders => 1, bytes => ?MIB}, Ms]),
            #{bulk_8m => Bulk, bulk_512k => Mixed, small_1k => Small, overflow => Overflow, beside_bulk => rate(Beside),
              beside_p50 => milliseconds(maps:get(p50_ns, Pings)), beside_p99 => milliseconds(maps:get(p99_ns, Pings))}
        end).

%% Two contestants stream 1 MiB binaries over the narrow path at the same time, the second from two seconds later on. The answer is the part of
%% the first while both did.
-spec shares(bench_network_path:path(), {contestant(), contestant()}, {file:filename(), settings()}) -> float().
shares(Path, {First, Second}, {Folder, #{share_ms := Ms}}) ->
    ok = bench_network_path:shape(Path, narrow()),
    Run = fun(#{carrier := Carrier, tcp := Tcp}, Name, Fun) ->
              bench_pair:with(Carrier, Folder ++ Name, bench_network_path:places(Tcp),
                              fun(Pair) -> _ = bench_pair:call(Pair, bench_traffic, connect, []), Fun(Pair) end)
          end,
    Run(First, "_first", fun(A) -> Run(Second, "_second", fun(B) -> part_of_first(A, B, Ms) end) end).

part_of_first(A, B, Ms) ->
    Own = self(),
    Stream = fun(Pair, Time) -> Own ! {Pair, bench_pair:call(Pair, bench_traffic, received, [#{senders => 1, bytes => ?MIB}, Time])} end,
    _ = spawn_link(fun() -> Stream(A, {2_000, Ms}) end),
    timer:sleep(2_000),
    _ = spawn_link(fun() -> Stream(B, {0, Ms}) end),
    [OfA, OfB] = [receive {Pair, Bytes} -> Bytes end || Pair <- [A, B]],
    OfA / (OfA + OfB).

streamed(Pair, #{warm_ms := WarmMs, measure_ms := Ms}, Load) ->
    _ = bench_pair:call(Pair, bench_traffic, stream, [Load, WarmMs]),
    rate(bench_pair:call(Pair, bench_traffic, stream, [Load, Ms])).

rate(#{bytes := Bytes, seconds := Seconds}) ->
    Bytes / Seconds / 1.0e6.

milliseconds({at_least, Nanoseconds}) -> {at_least, Nanoseconds / 1.0e6};
milliseconds(Nanoseconds) -> Nanoseconds / 1.0e6.

overflow({Offered, Overflowed}, {OfferedLater, OverflowedLater}) ->
    100 * (OverflowedLater - Overflowed) / max(1, OfferedLater - Offered).
