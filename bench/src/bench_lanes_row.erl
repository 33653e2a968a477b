%% SPDX-License-Identifier: Apache-2.0
-module(bench_lanes_row).
-moduledoc """
What is measured of mixed load: so many pingers beside so many streams of 1 MiB, and the CPU time of one small message.

A pinger waits for each echo before it sends again, so its longest wait is also the longest time that it got no answer.
""".

-export([all/0, goals/1, measure/2, minute/2]).

-export_type([row/0]).

-type row() :: #{key := atom(), group := string(), label := string(), unit := string(), better := lower | higher}.

-define(MIB, 1_048_576).
-define(SMALL, 16).
-define(PINGERS, [1, 16, 64]).
-define(STREAMS, [1, 4]).
-define(SMALL_SENDERS, [1, 16]).
-define(MINUTE, "A minute of 64 pingers beside 4 streams of 1 MiB").
%% What nobody may have to wait for an answer in that minute.
-define(LONGEST_MS, 100).

-spec all() -> [row(), ...].
all() ->
    [row(key(small_cpu, N), "CPU of a small message, both VMs", counted(N, "sender"), "µs", lower) || N <- ?SMALL_SENDERS] ++
    lists:append([cell(Pingers, Streams) || Streams <- ?STREAMS, Pingers <- ?PINGERS]) ++
    [row(Key, ?MINUTE, Label, Unit, Better)
     || {Key, Label, Unit, Better} <- [{longest_in_minute, "longest without an answer", "ms", lower},
                                       {bulk_in_minute, "the streams", "MB/s", higher}]] ++
    [row(Key, "Memory of a link", Label, "KiB", lower) || {Key, Label} <- [{link_idle, "idle"}, {link_busy, "streaming 1 MiB messages"}]].

cell(Pingers, Streams) ->
    Group = counted(Pingers, "pinger") ++ " beside " ++ counted(Streams, "stream") ++ " of 1 MiB",
    [row(key(What, Pingers, Streams), Group, Label, Unit, Better)
     || {What, Label, Unit, Better} <- [{p50, "p50, middle pinger", "ms", lower}, {p99, "p99, worst pinger", "ms", lower},
                                        {longest, "longest without an answer", "ms", lower}, {bulk, "the streams", "MB/s", higher},
                                        {cpu, "CPU, both VMs", "s/GB", lower}]].

row(Key, Group, Label, Unit, Better) ->
    #{key => Key, group => Group, label => Label, unit => Unit, better => Better}.

counted(1, What) -> "1 " ++ What;
counted(N, What) -> integer_to_list(N) ++ " " ++ What ++ "s".

key(What, N) -> list_to_atom(lists:concat([What, "_", N])).
key(What, Pingers, Streams) -> list_to_atom(lists:concat([What, "_", Pingers, "_beside_", Streams])).

%% What the project promises, beside our values. A result may be older than the row.
-spec goals(#{atom() => bench_statistics:value()}) -> [{{Row :: string(), Limit :: string()}, Measured :: iodata(), Reached :: boolean()}].
goals(Values) ->
    [{{?MINUTE ", longest without an answer", lists:concat(["≤ ", ?LONGEST_MS, " ms"])}, [bench_number:text(Longest), " ms"],
      is_number(Longest) andalso Longest =< ?LONGEST_MS}
     || #{longest_in_minute := Longest} <- [Values]].

%% What starves most comes last.
-spec measure(bench_pair:pair(), #{atom() => pos_integer()}) -> #{atom() => bench_statistics:value()}.
measure(Pair, Settings) ->
    Small = maps:from_list([{key(small_cpu, N), small(Pair, N, Settings)} || N <- ?SMALL_SENDERS]),
    lists:foldl(fun maps:merge/2, Small, [mixed(Pair, Pingers, Streams, Settings) || Streams <- ?STREAMS, Pingers <- ?PINGERS]).

%% A starved sender may need longer to show than the other measurements last.
-spec minute(bench_pair:pair(), #{atom() => pos_integer()}) -> #{atom() => bench_statistics:value()}.
minute(Pair, #{minute_ms := Ms}) ->
    #{longest := Longest, bulk := Bulk} = beside(Pair, 64, 4, Ms),
    #{longest_in_minute => Longest, bulk_in_minute => Bulk}.

small(Pair, Senders, #{warm_ms := WarmMs, small_ms := Ms}) ->
    Load = #{senders => Senders, bytes => ?SMALL},
    _ = bench_pair:call(Pair, bench_traffic, stream, [Load, WarmMs]),
    {#{messages := Messages}, Seconds} = metered(Pair, stream, [Load, Ms]),
    1.0e6 * Seconds / Messages.

mixed(Pair, Pingers, Streams, #{mixed_ms := Ms}) ->
    maps:from_list([{key(What, Pingers, Streams), Value} || {What, Value} <- maps:to_list(beside(Pair, Pingers, Streams, Ms))]).

beside(Pair, Pingers, Streams, Ms) ->
    {{Pings, #{bytes := Bytes, seconds := Seconds}}, Cpu} =
        metered(Pair, pings_beside_streams, [Pingers, #{senders => Streams, bytes => ?MIB}, Ms]),
    Of = fun(Key) -> [maps:get(Key, P) || P <- Pings] end,
    #{p50 => ms(bench_statistics:median(Of(p50_ns))), p99 => ms(bench_statistics:percentile(Of(p99_ns), 100)),
      longest => ms(bench_statistics:percentile(Of(longest_ns), 100)),
      bulk => Bytes / Seconds / 1.0e6, cpu => Cpu / (Bytes / 1.0e9)}.

metered(Pair, Function, Arguments) ->
    Before = bench_pair:cpu_seconds(Pair),
    Result = bench_pair:call(Pair, bench_traffic, Function, Arguments),
    {Result, bench_pair:cpu_seconds(Pair) - Before}.

ms({at_least, Nanoseconds}) -> {at_least, Nanoseconds / 1.0e6};
ms(Nanoseconds) -> Nanoseconds / 1.0e6.
