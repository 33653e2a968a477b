%% SPDX-License-Identifier: Apache-2.0
-module(bench_network_goal).
-moduledoc """
What we want to reach on impaired paths, and whether we did: bulk at least as fast as TCP with the best congestion control of this kernel, and a
small message beside bulk in half of its time at the most. On the narrow path moreover hardly a lost packet and hardly a queue.
""".

-export([verdicts/1]).

-export_type([verdict/0]).

%% What, the limit, what was measured, and whether that keeps it.
-type verdict() :: {Label :: string(), Limit :: iodata(), Measured :: iodata(), Reached :: boolean()}.

-define(OVERFLOW_PERCENT, 2).
%% Above the round trip of an empty path.
-define(QUEUE_MS, 40).

-spec verdicts(#{path := binary(), values := #{atom() => bench_network_cell:values()}, _ => _}) -> [verdict()].
verdicts(#{path := Path, values := #{barrel_p2p := Ours, inet_tcp := Tcp}} = Cell) ->
    Labels = maps:from_list([{Key, unicode:characters_to_list([Path, ", ", Label])} || {Key, Label, _, _} <- bench_network_cell:metrics()]),
    [beside(Better, Limit, maps:get(Key, Labels), maps:get(Key, Ours), maps:get(Key, Tcp))
     || {Key, Better, Limit} <- [{bulk_8m, higher, 1.0}, {bulk_512k, higher, 1.0}, {beside_p99, lower, 0.5}]]
        ++ [below(Limit, Unit, maps:get(Key, Labels), maps:get(Key, Ours)) || {Key, Limit, Unit} <- narrow(Cell)];
verdicts(_Cell) ->
    [].

narrow(#{narrow_rtt_ms := Rtt}) -> [{overflow, ?OVERFLOW_PERCENT, "%"}, {beside_p99, Rtt + ?QUEUE_MS, "ms"}];
narrow(_Cell) -> [].

beside(Better, Limit, Label, Ours, Tcp) ->
    Ratio = bench_statistics:ratio(Ours, Tcp),
    {Label, [sign(Better), " ", bench_number:ratio(Limit), " inet_tcp"], bench_number:ratio(Ratio), keeps(Better, Ratio, Limit)}.

below(Limit, Unit, Label, Ours) ->
    {Label, ["≤ ", bench_number:text(Limit), " ", Unit], [bench_number:text(Ours), " ", Unit], keeps(lower, Ours, Limit)}.

sign(higher) -> "≥";
sign(lower) -> "≤".

%% A bound reaches a goal only from its good side.
keeps(higher, {at_least, Value}, Limit) -> Value >= Limit;
keeps(lower, {at_most, Value}, Limit) -> Value =< Limit;
keeps(higher, Value, Limit) when is_number(Value) -> Value >= Limit;
keeps(lower, Value, Limit) when is_number(Value) -> Value =< Limit;
keeps(_Better, _Bound, _Limit) -> false.
