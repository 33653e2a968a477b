%% SPDX-License-Identifier: Apache-2.0
-module(bench_state).
-moduledoc """
Runs the benchmark of replicated state: maps, registry and clock on a cluster of two, each beside what OTP has for the job.
""".

-export([main/0]).

-define(ROUNDS, 3).
-define(MEASURE_MS, 2_000).
-define(QUICK_MS, 100).
-define(LABEL, 36).
-define(COLUMN, 12).

-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    case init:get_plain_arguments() of
        ["state"] -> halt(run(full, ?ROUNDS, ?MEASURE_MS));
        ["state", "--quick"] -> halt(run(quick, 1, ?QUICK_MS));
        _ -> io:put_chars(standard_error, "usage: bench/run.sh state [--quick]\n"), halt(2)
    end.

run(Mode, Rounds, Ms) ->
    _ = code:add_patha(filename:absname("_build/default/lib/barrel_p2p/ebin")),
    Load = bench_machine:load(),
    Temp = bench_report:argument(temp),
    Measured = [round(filename:join(Temp, "state_" ++ integer_to_list(Round)), Ms) || Round <- lists:seq(1, Rounds)],
    Keys = maps:keys(hd(Measured)),
    Medians = maps:from_list([{Key, bench_statistics:median([maps:get(Key, Values) || Values <- Measured])} || Key <- Keys]),
    io:put_chars(["\n", head(), [line(Row, Medians) || Row <- bench_state_row:all()]]),
    ok = bench_report:write(state, #{mode => Mode, machine => bench_machine:describe(), load_at_start => Load,
                                     settings => #{rounds => Rounds, measure_ms => Ms}, rounds => Measured, medians => Medians}),
    0.

round(Folder, Ms) ->
    bench_pair:with(bench_carrier_barrel_p2p, Folder,
                    fun(Pair) ->
                        ok = bench_pair:call(Pair, bench_state_load, prepare, []),
                        Values = bench_pair:call(Pair, bench_state_load, measure, [Ms]),
                        io:put_chars([filename:basename(Folder), " done\n"]),
                        Values
                    end).

head() ->
    [left("", ?LABEL), right("", 5), right("barrel_p2p", ?COLUMN), right("beside it", ?COLUMN), right("ratio", ?COLUMN), "\n"].

line(#{key := Key, label := Label, unit := Unit} = Row, Values) ->
    Value = maps:get(Key, Values),
    [left("  " ++ Label, ?LABEL), right(Unit, 5), right(bench_number:text(Value), ?COLUMN), beside(Row, Value, Values), promise(Row, Values), "\n"].

beside(#{beside := {Key, Name}}, Value, Values) ->
    Other = maps:get(Key, Values),
    [right(bench_number:text(Other), ?COLUMN), right(bench_number:ratio(Value / Other), ?COLUMN), "  ", left(Name, 30)];
beside(#{}, _Value, _Values) ->
    left("", 2 * ?COLUMN + 32).

promise(Row, Values) ->
    case bench_state_row:verdict(Row, Values) of
        none -> "";
        reached -> ["reached  ", bench_state_row:limit(Row)];
        missed -> ["MISSED   ", bench_state_row:limit(Row)]
    end.

left(Text, Width) -> string:pad(Text, Width).
right(Text, Width) -> string:pad(Text, Width, leading).
