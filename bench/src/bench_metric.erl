%% SPDX-License-Identifier: Apache-2.0
-module(bench_metric).
-moduledoc """
What is measured: the list of metrics, the speed that the project promises, and how one pair of VMs yields one value of each.
""".

-export([all/0, goals/0, settings/1, measure/2, ping/2]).

-export_type([metric/0, goal/0, settings/0, values/0]).

-type metric() :: #{key := atom(), group := string(), label := string(), unit := string(), better := lower | higher}.
-type goal() :: #{key := atom(), base := atom(), at_most | at_least => float()}.
-type settings() :: #{rounds := pos_integer(), ping_pairs := pos_integer(), connects := pos_integer(),
                      warm_ms := pos_integer(), measure_ms := pos_integer(), beside_ms := pos_integer()}.
-type values() :: #{atom() => bench_statistics:value()}.

-define(SMALL, 16).
-define(KIB_64, 65_536).
-define(MIB, 1_048_576).

%% Connects before anything counts: the first ones load code.
-define(WARM_CONNECTS, 3).

-spec all() -> [metric(), ...].
all() ->
    [metric(ping_p50_us, "Ping, 16 bytes", "p50", "µs", lower),
     metric(ping_p99_us, "Ping, 16 bytes", "p99", "µs", lower),
     metric(small_1_per_s, "Small messages", "1 sender", "k/s", higher),
     metric(small_16_per_s, "Small messages", "16 senders", "k/s", higher),
     metric(bulk_64k_mb_s, "Bulk", "64 KiB binaries", "MB/s", higher),
     metric(bulk_1m_mb_s, "Bulk", "1 MiB binaries", "MB/s", higher),
     metric(beside_p50_ms, "Ping beside 1 MiB bulk", "p50", "ms", lower),
     metric(beside_p99_ms, "Ping beside 1 MiB bulk", "p99", "ms", lower),
     metric(beside_mb_s, "Ping beside 1 MiB bulk", "the bulk", "MB/s", higher),
     metric(connect_ms, "Connect", "median", "ms", lower),
     metric(cpu_64k_s_gb, "CPU, both VMs", "64 KiB binaries", "s/GB", lower),
     metric(cpu_1m_s_gb, "CPU, both VMs", "1 MiB binaries", "s/GB", lower)].

metric(Key, Group, Label, Unit, Better) ->
    #{key => Key, group => Group, label => Label, unit => Unit, better => Better}.

%% Ratios of barrel_p2p to an OTP carrier that a quiet machine must show.
-spec goals() -> [goal(), ...].
goals() ->
    [#{key => ping_p50_us, base => inet_tls, at_most => 0.85},
     #{key => small_1_per_s, base => inet_tcp, at_least => 1.5},
     #{key => small_16_per_s, base => inet_tcp, at_least => 1.1},
     #{key => bulk_64k_mb_s, base => inet_tcp, at_least => 0.4},
     #{key => bulk_1m_mb_s, base => inet_tls, at_least => 10.0},
     #{key => bulk_1m_mb_s, base => inet_tcp, at_least => 0.45},
     #{key => bulk_1m_mb_s, base => inet_tcp, at_least => 0.7},
     #{key => beside_p50_ms, base => inet_tcp, at_most => 0.25},
     #{key => beside_p99_ms, base => inet_tcp, at_most => 0.5},
     #{key => connect_ms, base => inet_tls, at_most => 1.0},
     #{key => cpu_1m_s_gb, base => inet_tls, at_most => 0.3}].

-spec settings(full | quick) -> settings().
settings(full) ->
    #{rounds => 3, ping_pairs => 3, connects => 15, warm_ms => 1_000, measure_ms => 3_000, beside_ms => 5_000};
settings(quick) ->
    #{rounds => 1, ping_pairs => 1, connects => 3, warm_ms => 200, measure_ms => 300, beside_ms => 1_000}.

%% One value of every metric. The order is fixed: connecting needs a pair that has done nothing yet, and what may starve comes last.
-spec measure(bench_pair:pair(), settings()) -> values().
measure(Pair, #{connects := Connects, beside_ms := BesideMs} = Settings) ->
    Connect = connect(Pair, Connects),
    Ping = ping(Pair, Settings),
    {Small1, _} = streamed(Pair, Settings, #{senders => 1, bytes => ?SMALL}),
    {Small16, _} = streamed(Pair, Settings, #{senders => 16, bytes => ?SMALL}),
    {Bulk64K, Cpu64K} = streamed(Pair, Settings, #{senders => 1, bytes => ?KIB_64}),
    {Bulk1M, Cpu1M} = streamed(Pair, Settings, #{senders => 1, bytes => ?MIB}),
    {Beside, BesideBulk} = bench_pair:call(Pair, bench_traffic, ping_beside_stream, [#{senders => 1, bytes => ?MIB}, BesideMs]),
    Ping#{
      connect_ms => Connect,
      small_1_per_s => per_second(messages, Small1, 1.0e3),
      small_16_per_s => per_second(messages, Small16, 1.0e3),
      bulk_64k_mb_s => per_second(bytes, Bulk64K, 1.0e6),
      bulk_1m_mb_s => per_second(bytes, Bulk1M, 1.0e6),
      cpu_64k_s_gb => Cpu64K,
      cpu_1m_s_gb => Cpu1M,
      beside_p50_ms => scaled(maps:get(p50_ns, Beside), 1.0e6),
      beside_p99_ms => scaled(maps:get(p99_ns, Beside), 1.0e6),
      beside_mb_s => per_second(bytes, BesideBulk, 1.0e6)}.

%% Which scheduler of a VM serves the pings is chance, and tells on the time: a pair of VMs is one sample of that.
-spec ping(bench_pair:pair(), settings()) -> values().
ping(Pair, Settings) ->
    #{p50_ns := P50, p99_ns := P99} = warmed(Settings, fun(Ms) -> bench_pair:call(Pair, bench_traffic, ping, [Ms]) end),
    #{ping_p50_us => scaled(P50, 1.0e3), ping_p99_us => scaled(P99, 1.0e3)}.

connect(Pair, Count) ->
    Samples = [connect(Pair) || _ <- lists:seq(1, ?WARM_CONNECTS + Count)],
    _ = bench_pair:call(Pair, bench_traffic, connect, []),
    scaled(bench_statistics:median(lists:nthtail(?WARM_CONNECTS, Samples)), 1.0e6).

connect(Pair) ->
    Nanoseconds = bench_pair:call(Pair, bench_traffic, connect, []),
    ok = bench_pair:disconnect(Pair),
    Nanoseconds.

%% The transfer, and the CPU seconds of both VMs per gigabyte of it.
streamed(Pair, Settings, Load) ->
    warmed(Settings, fun(Ms) -> metered(Pair, Load, Ms) end).

metered(Pair, Load, Ms) ->
    Before = bench_pair:cpu_seconds(Pair),
    #{bytes := Bytes} = Transfer = bench_pair:call(Pair, bench_traffic, stream, [Load, Ms]),
    {Transfer, (bench_pair:cpu_seconds(Pair) - Before) / (Bytes / 1.0e9)}.

warmed(#{warm_ms := WarmMs, measure_ms := MeasureMs}, Measurement) ->
    _ = Measurement(WarmMs),
    Measurement(MeasureMs).

per_second(What, #{seconds := Seconds} = Transfer, Unit) ->
    maps:get(What, Transfer) / Seconds / Unit.

scaled({at_least, Value}, Unit) -> {at_least, Value / Unit};
scaled(Value, Unit) -> Value / Unit.
