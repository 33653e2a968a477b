%% SPDX-License-Identifier: Apache-2.0
-module(bench_result).
-moduledoc """
From the values of all rounds to what is reported: medians, ratios, goals reached. Table, chart and JSON show this and compute nothing.
""".

-export([summary/1, samples/3, ratios/1, verdicts/1]).

-export_type([run/0, medians/0, ratios/0, summary/0, verdict/0]).

%% One pair of VMs in one round.
-type run() :: #{round := pos_integer(), carrier := atom(), values := bench_metric:values(), others := float(), stolen := float()}.
-type medians() :: #{Carrier :: atom() => #{Key :: term() => bench_statistics:value()}}.
-type ratios() :: #{Base :: atom() => #{Key :: term() => term()}}.
-type summary() :: #{carriers := [atom()], medians := medians(), ratios := ratios()}.
-type verdict() :: #{goal := bench_metric:goal(), ratio := term(), reached := boolean()}.

-define(OURS, barrel_p2p).

%% Medians per carrier, and ratios of our median to that of each other carrier.
-spec summary([run(), ...]) -> summary().
summary(Runs) ->
    Carriers = carriers(Runs),
    Medians = maps:from_list([{Carrier, medians(Runs, Carrier)} || Carrier <- Carriers]),
    #{carriers => Carriers, medians => Medians, ratios => ratios(Medians)}.

%% The values of one metric of one carrier, in the order of the rounds.
-spec samples([run()], atom(), atom()) -> [bench_statistics:value()].
samples(Runs, Carrier, Key) ->
    [Value || #{carrier := C, values := #{Key := Value}} <- Runs, C =:= Carrier].

%% Of each of our medians to that of each other carrier.
-spec ratios(medians()) -> ratios().
ratios(#{?OURS := Ours} = Medians) ->
    maps:map(fun(_Base, Theirs) -> maps:map(fun(Key, Value) -> bench_statistics:ratio(Value, maps:get(Key, Theirs)) end, Ours) end,
             maps:remove(?OURS, Medians));
ratios(_WithoutOurs) ->
    #{}.

-spec verdicts(#{ratios := ratios(), _ => _}) -> [verdict()].
verdicts(#{ratios := Ratios}) ->
    [#{goal => Goal, ratio => Ratio, reached => reached(Goal, Ratio)}
     || #{key := Key, base := Base} = Goal <- bench_metric:goals(),
        #{Base := #{Key := Ratio}} <- [Ratios]].

%% In the order of their first run.
carriers(Runs) ->
    lists:foldl(fun(#{carrier := C}, Seen) -> Seen ++ [C || not lists:member(C, Seen)] end, [], Runs).

medians(Runs, Carrier) ->
    maps:from_list([{Key, bench_statistics:median(samples(Runs, Carrier, Key))} || #{key := Key} <- bench_metric:all()]).

%% A ratio of which only a bound is known reaches a goal only if every value within the bound does.
reached(#{at_most := Limit}, {at_most, Ratio}) -> Ratio =< Limit;
reached(#{at_most := Limit}, Ratio) when is_number(Ratio) -> Ratio =< Limit;
reached(#{at_least := Limit}, {at_least, Ratio}) -> Ratio >= Limit;
reached(#{at_least := Limit}, Ratio) when is_number(Ratio) -> Ratio >= Limit;
reached(_Goal, _Ratio) -> false.
