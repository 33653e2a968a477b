%% SPDX-License-Identifier: Apache-2.0
-module(bench_lanes).
-moduledoc """
Runs the benchmark of mixed load: many small senders beside few large ones, over each carrier in turn, and what a message costs.
""".

-export([main/0]).

-define(ROUNDS, 3).
-define(LABEL, 40).
-define(COLUMN, 14).

-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    case init:get_plain_arguments() of
        ["lanes"] -> halt(run(full, ?ROUNDS, settings(full)));
        ["lanes", "--quick"] -> halt(run(quick, 1, settings(quick)));
        _ -> io:put_chars(standard_error, "usage: bench/run.sh lanes [--quick]\n"), halt(2)
    end.

settings(full) -> #{warm_ms => 1_000, small_ms => 3_000, mixed_ms => 5_000, minute_ms => 60_000, links => 20, links_ms => 3_000};
settings(quick) -> #{warm_ms => 100, small_ms => 300, mixed_ms => 500, minute_ms => 1_000, links => 3, links_ms => 500}.

run(Mode, Rounds, Settings) ->
    _ = code:add_patha(filename:absname("_build/default/lib/barrel_p2p/ebin")),
    Carriers = bench_carrier:names(),
    Load = bench_machine:load(),
    io:format("load average ~.2f at start~n", [Load]),
    Runs = [turn(Round, Name, Settings) || Round <- lists:seq(1, Rounds), Name <- rotated(Round, Carriers)],
    Medians = [{Name, medians([Values || #{carrier := C, values := Values} <- Runs, C =:= Name])} || Name <- Carriers],
    io:put_chars(["\n", head(Carriers), rows(bench_lanes_row:all(), "", Medians)]),
    ok = bench_report:write(lanes, #{mode => Mode, machine => bench_machine:describe(), load_at_start => Load, settings => Settings, runs => Runs,
                                     medians => maps:from_list(Medians)}),
    0.

%% Every round starts with another carrier, as in `bench`.
rotated(Round, Carriers) ->
    {Front, Back} = lists:split((Round - 1) rem length(Carriers), Carriers),
    Back ++ Front.

turn(Round, Name, Settings) ->
    {ok, Module} = bench_carrier:module(Name),
    Folder = filename:join(bench_report:argument(temp), lists:concat([Name, "_", Round])),
    Usage = bench_machine:usage(),
    {Values, Seconds} =
        bench_pair:with(Module, Folder, fun(Pair) -> {measure(Round, Pair, Settings), bench_pair:cpu_seconds(Pair)} end),
    #{others := Others} = bench_machine:shares(Usage, bench_machine:usage(), Seconds),
    Memory = bench_links:memory(Module, Folder ++ "_links", Settings),
    io:format("round ~b  ~s done, others used ~b % of the machine~n", [Round, Name, round(100 * Others)]),
    #{round => Round, carrier => Name, values => maps:merge(Values, Memory), others => Others}.

%% One minute is enough: it is about the worst moment and not about a median.
measure(1, Pair, Settings) -> maps:merge(bench_lanes_row:measure(Pair, Settings), bench_lanes_row:minute(Pair, Settings));
measure(_, Pair, Settings) -> bench_lanes_row:measure(Pair, Settings).

medians([First | _] = Runs) ->
    maps:map(fun(Key, _) -> bench_statistics:median([Value || #{Key := Value} <- Runs]) end, First).

head(Carriers) ->
    [left("", ?LABEL + 5), [right(atom_to_list(Name), ?COLUMN) || Name <- Carriers], right("to inet_tcp", ?COLUMN), "\n"].

rows([], _Group, _Medians) ->
    [];
rows([#{group := Group, key := Key, label := Label, unit := Unit} = Row | Rest], Previous, Medians) ->
    [[["\n", Group, "\n"] || Group =/= Previous],
     left("  " ++ Label, ?LABEL), right(Unit, 5), [right(bench_number:text(maps:get(Key, Values)), ?COLUMN) || {_, Values} <- Medians],
     ratio(Row, Medians), "\n" | rows(Rest, Group, Medians)].

ratio(#{key := Key, better := Better}, Medians) ->
    [Ours, Tcp] = [maps:get(Key, element(2, lists:keyfind(Name, 1, Medians))) || Name <- [barrel_p2p, inet_tcp]],
    Ratio = bench_statistics:ratio(Ours, Tcp),
    [right(bench_number:ratio(Ratio), ?COLUMN), mark(bench_number:standing(Better, Ratio))].

mark(better) -> " +";
mark(worse) -> " -";
mark(_) -> "".

left(Text, Width) -> string:pad(Text, Width).
right(Text, Width) -> string:pad(Text, Width, leading).
