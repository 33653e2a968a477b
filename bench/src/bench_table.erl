%% SPDX-License-Identifier: Apache-2.0
-module(bench_table).
-moduledoc """
The result as text for a terminal.
""".

-export([progress/2, result/1, verdicts/1, goal/1, arrow/1, mark/1]).

-define(LABEL, 26).
-define(COLUMN, 13).

%% One line about one run, with the figures that tell at a glance whether it went well.
-spec progress(bench_result:run(), pos_integer()) -> iodata().
progress(#{round := Round, carrier := Carrier, values := Values, others := Others}, Rounds) ->
    Shown = [{"ping", ping_p50_us, "µs"}, {"small", small_1_per_s, "k/s"}, {"bulk", bulk_1m_mb_s, "MB/s"},
             {"connect", connect_ms, "ms"}, {"ping beside bulk", beside_p50_ms, "ms"}],
    Figures = lists:join("   ", [[Name, " ", bench_number:text(maps:get(Key, Values)), " ", Unit] || {Name, Key, Unit} <- Shown]),
    [io_lib:format("round ~b/~b  ", [Round, Rounds]), left(atom_to_list(Carrier), 12), Figures,
     [io_lib:format("   (others used ~b % of the machine)", [round(100 * Others)]) || Others > 0.05], "\n"].

%% Medians, and how ours relate to those of each other carrier.
-spec result(bench_result:summary()) -> iodata().
result(#{carriers := Carriers, medians := Medians, ratios := Ratios}) ->
    Bases = [C || C <- Carriers, is_map_key(C, Ratios)],
    Head = [left("", ?LABEL + 8), [right(atom_to_list(C), ?COLUMN) || C <- Carriers],
            [right("to " ++ atom_to_list(B), ?COLUMN + 4) || B <- Bases], "\n"],
    [Head, rows(bench_metric:all(), "", fun(Metric) -> cells(Metric, Carriers, Medians, [maps:get(B, Ratios) || B <- Bases]) end),
     "\n", legend(Bases)].

rows([], _Group, _Cells) ->
    [];
rows([#{group := Group, label := Label, unit := Unit, better := Better} = Metric | Rest], Previous, Cells) ->
    [[["\n", Group, "\n"] || Group =/= Previous],
     left("  " ++ Label, ?LABEL), right(Unit, 5), " ", arrow(Better), " ", Cells(Metric), "\n" | rows(Rest, Group, Cells)].

cells(#{key := Key, better := Better}, Carriers, Medians, Ratios) ->
    [[right(bench_number:text(maps:get(Key, maps:get(C, Medians))), ?COLUMN) || C <- Carriers],
     [[right(bench_number:ratio(maps:get(Key, R)), ?COLUMN + 2), " ", mark(bench_number:standing(Better, maps:get(Key, R)))] || R <- Ratios]].

legend([]) -> "↑ higher is better, ↓ lower is better\n";
legend(_Bases) -> "↑ higher is better, ↓ lower is better; ratio of barrel_p2p to the other: + better, - worse, = within 10 %\n".

-spec verdicts([bench_result:verdict()]) -> iodata().
verdicts([]) ->
    [];
verdicts(Verdicts) ->
    ["\nGoals\n" | [verdict(V) || V <- Verdicts]].

verdict(#{goal := Goal, ratio := Ratio, reached := Reached}) ->
    {Row, Limit} = goal(Goal),
    [left("  " ++ Row, 34), left(Limit, 22), right(bench_number:ratio(Ratio), 10),
     case Reached of true -> "   reached"; false -> "   MISSED" end, "\n"].

%% The row that a goal is about, and the limit.
-spec goal(bench_metric:goal()) -> {string(), string()}.
goal(#{key := Key, base := Base} = Goal) ->
    [#{group := Group, label := Label}] = [M || #{key := K} = M <- bench_metric:all(), K =:= Key],
    {Sign, Limit} =
        case Goal of
            #{at_most := Most} -> {"≤", Most};
            #{at_least := Least} -> {"≥", Least}
        end,
    {Group ++ ", " ++ Label, lists:flatten([Sign, " ", bench_number:ratio(Limit), " ", atom_to_list(Base)])}.

-spec arrow(lower | higher) -> string().
arrow(higher) -> "↑";
arrow(lower) -> "↓".

-spec mark(better | worse | same | unknown) -> string().
mark(better) -> "+";
mark(worse) -> "-";
mark(same) -> "=";
mark(unknown) -> " ".

left(Text, Width) -> string:pad(Text, Width).
right(Text, Width) -> string:pad(Text, Width, leading).
