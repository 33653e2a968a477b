%% SPDX-License-Identifier: Apache-2.0
-module(bench_statistics).
-moduledoc """
The arithmetic behind every number that the benchmark prints.

A value is a number, or `{at_least, Number}` when the measurement ended before the thing it waited for did: the truth is that number or
worse. Both order by their number, so a median stays honest when a minority of the samples was cut off.
""".

-export([percentile/2, median/1, ratio/2, number/1]).

-export_type([value/0]).

-type value() :: number() | {at_least, number()}.

%% The smallest sample that at least `Percent` % of all samples do not exceed (nearest rank: always a sample that was really seen).
-spec percentile([value(), ...], number()) -> value().
percentile([_ | _] = Samples, Percent) when Percent > 0, Percent =< 100 ->
    Sorted = sort(Samples),
    Rank = max(1, ceil(Percent * length(Sorted) / 100)),
    lists:nth(Rank, Sorted).

%% The middle sample; with an even count the mean of the two in the middle.
-spec median([value(), ...]) -> value().
median([_ | _] = Samples) ->
    Sorted = sort(Samples),
    Half = length(Sorted) div 2,
    case length(Sorted) rem 2 of
        1 -> lists:nth(Half + 1, Sorted);
        0 -> mean(lists:nth(Half, Sorted), lists:nth(Half + 1, Sorted))
    end.

%% `Value / Base`. A cut-off base gives an upper bound, `{at_most, Ratio}`; a cut-off value a lower one; two of them tell nothing.
-spec ratio(value(), value()) -> value() | {at_most, number()} | unknown.
ratio({at_least, _}, {at_least, _}) -> unknown;
ratio(_, Zero) when Zero == 0 -> unknown;
ratio({at_least, Value}, Base) -> {at_least, Value / Base};
ratio(Value, {at_least, Base}) -> {at_most, Value / Base};
ratio(Value, Base) -> Value / Base.

-spec number(value()) -> number().
number({at_least, Number}) -> Number;
number(Number) -> Number.

mean({at_least, A}, B) -> {at_least, (A + number(B)) / 2};
mean(A, {at_least, B}) -> {at_least, (A + B) / 2};
mean(A, B) -> (A + B) / 2.

%% A cut-off sample sorts after a complete one of the same number: it is the worse of the two.
sort(Samples) ->
    lists:sort(fun(A, B) -> {number(A), is_tuple(A)} =< {number(B), is_tuple(B)} end, Samples).
