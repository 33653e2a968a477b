%% SPDX-License-Identifier: Apache-2.0
-module(bench_markdown).
-moduledoc """
Results as a page of Markdown: tables, goals, and a sentence for every row in which another one did better.

Whoever reads it must not have to compare numbers to find out where we lose, so the sentences come from the ratios and from nowhere else.
""".

-export([page/2]).

%% A cell of `values` is found by the column and the key of the row.
-type row() :: #{key := term(), group := string(), label := string(), unit := string(), better := lower | higher, _ => _}.
-type table() :: #{rows := [row()], carriers := [atom()], medians := bench_result:medians()}.

-define(OURS, barrel_p2p).

-spec page(#{bench_report:subject() => bench_report:report()}, file:filename()) -> iodata().
page(Reports, Chart) ->
    ["# Benchmarks\n\n"
     "How fast barrel_p2p is beside what OTP has for the same job. Each table is one run on one machine.\n"
     "`bench/run.sh page` made this page from the newest results; nothing in it was written by hand.\n"
     "[The benchmark](../../bench/README.md) says how each row is measured and how to read it.\n\n"
     "Repeat it on a quiet machine:\n\n```sh\n", [[command(Subject), "\n"] || Subject <- subjects()], "bench/run.sh page\n```\n\n"
     "Ratios are ours to the other one's: `+` better, `-` worse, `=` within 10 %. ↑ higher is better, ↓ lower is better.\n",
     [section(Subject, maps:get(Subject, Reports, missing), Chart) || Subject <- subjects()]].

subjects() ->
    [carrier, lanes, network, state].

command(carrier) -> "bench/run.sh";
command(Subject) -> ["bench/run.sh ", atom_to_list(Subject)].

title(carrier) -> "Carriers";
title(lanes) -> "Lanes: small messages beside large ones";
title(network) -> "Impaired networks";
title(state) -> "Maps, registry and clock".

section(Subject, missing, _Chart) ->
    ["\n## ", title(Subject), "\n\nNo result yet: `", command(Subject), "` measures it.\n"];
section(Subject, Report, Chart) ->
    ["\n## ", title(Subject), "\n\n", measured_on(Report), [["\n![The medians of all carriers](", Chart, ")\n"] || Subject =:= carrier],
     "\n", body(Subject, Report)].

measured_on(#{utc := Utc, machine := Machine, load_at_start := Load} = Report) ->
    [Utc, ", ", bench_machine:caption(maps:merge(maps:with([commit], Report), Machine)), io_lib:format(". Load average ~.2f at start", [1.0 * Load]),
     [[", ", integer_to_list(Rounds), case Rounds of 1 -> " round"; _ -> " rounds" end] || Rounds <- rounds(Report)], ".\n",
     [io_lib:format("Other processes used up to ~b % of the machine during a turn~ts.~n",
                    [percent(Others), [": **it was not quiet, do not quote these numbers**" || bench_machine:is_busy(Others)]])
      || Others <- others(Report)],
     ["**This was a quick run: it shows that everything works and says nothing about speed.**\n" || #{mode := <<"quick">>} <- [Report]]].

rounds(#{settings := #{rounds := Rounds}}) -> [Rounds];
rounds(#{runs := Runs}) -> [lists:max([Round || #{round := Round} <- Runs])];
rounds(#{}) -> [].

others(#{runs := Runs}) -> [lists:max([Share || #{others := Share} <- Runs])];
others(#{}) -> [].

body(carrier, #{medians := Medians}) ->
    [compared(#{rows => bench_metric:all(), carriers => carriers(Medians), medians => Medians}),
     goals([{bench_table:goal(Goal), bench_number:ratio(Ratio), Reached}
            || #{goal := Goal, ratio := Ratio, reached := Reached} <- bench_result:verdicts(#{ratios => bench_result:ratios(Medians)})])];
body(lanes, #{medians := Medians}) ->
    [compared(#{rows => bench_lanes_row:all(), carriers => carriers(Medians), medians => Medians}),
     goals(lists:append([bench_lanes_row:goals(Ours) || #{?OURS := Ours} <- [Medians]]))];
body(network, #{cells := [#{values := First} | _] = Cells} = Report) ->
    Rows = [#{key => {Path, Key}, group => binary_to_list(Path), label => Label, unit => Unit, better => Better}
            || #{path := Path} <- Cells, {Key, Label, Unit, Better} <- bench_network_cell:metrics()],
    Medians = maps:map(fun(Carrier, _) ->
                           maps:from_list([{{Path, Key}, Value} || #{path := Path, values := #{Carrier := Of}} <- Cells,
                                                                   {Key, Value} <- maps:to_list(Of)])
                       end, First),
    [compared(#{rows => Rows, carriers => carriers(First), medians => Medians}),
     goals([{{Label, Limit}, Measured, Reached} || Cell <- Cells, {Label, Limit, Measured, Reached} <- bench_network_goal:verdicts(Cell)]),
     [shares(Shares) || #{shares := [_ | _] = Shares} <- [Report]]];
body(state, #{medians := Values}) ->
    Rows = bench_state_row:all(),
    [head(["", "Unit", "barrel_p2p", "Beside it", "", "Ratio"]), [state_line(Row, Values) || Row <- Rows],
     goals([{{Label, bench_state_row:limit(Row)}, achieved(Row, Values), bench_state_row:verdict(Row, Values) =:= reached}
            || #{label := Label, goal := _} = Row <- Rows]),
     slower([sentence(Row, maps:get(Key, Values), Name, maps:get(Other, Values))
             || #{key := Key, beside := {Other, Name}} = Row <- Rows])].

%% In the order of `bench_carrier:names/0`, others after them.
carriers(Medians) ->
    Known = [Name || Name <- bench_carrier:names(), is_map_key(Name, Medians)],
    Known ++ lists:sort(maps:keys(Medians) -- Known).

%% Tables

%% A result may be older than a row.
-spec compared(table()) -> iodata().
compared(#{rows := Known, carriers := Carriers, medians := Medians}) ->
    Rows = [Row || #{key := Key} = Row <- Known, lists:all(fun(Values) -> is_map_key(Key, Values) end, maps:values(Medians))],
    Ratios = bench_result:ratios(Medians),
    Bases = [Carrier || Carrier <- Carriers, is_map_key(Carrier, Ratios)],
    [head(["", "Unit" | [atom_to_list(C) || C <- Carriers]] ++ ["to " ++ atom_to_list(B) || B <- Bases]),
     [line([name(Row), unit(Row)] ++ [bench_number:text(value(C, Row, Medians)) || C <- Carriers]
           ++ [ratio(Row, value(B, Row, Ratios)) || B <- Bases])
      || Row <- Rows],
     slower([sentence(Row, value(?OURS, Row, Medians), "`" ++ atom_to_list(B) ++ "`", value(B, Row, Medians))
             || Row <- Rows, B <- Bases])].

value(Column, #{key := Key}, Values) ->
    maps:get(Key, maps:get(Column, Values)).

state_line(#{key := Key, beside := {Other, Name}} = Row, Values) ->
    {Ours, Theirs} = {maps:get(Key, Values), maps:get(Other, Values)},
    line([name(Row), unit(Row), bench_number:text(Ours), bench_number:text(Theirs), Name, ratio(Row, bench_statistics:ratio(Ours, Theirs))]);
state_line(#{key := Key} = Row, Values) ->
    line([name(Row), unit(Row), bench_number:text(maps:get(Key, Values)), "", "", ""]).

achieved(#{key := Key, goal := {ratio, Base, _, _}}, Values) ->
    bench_number:ratio(bench_statistics:ratio(maps:get(Key, Values), maps:get(Base, Values)));
achieved(#{key := Key, unit := Unit}, Values) ->
    [bench_number:text(maps:get(Key, Values)), " ", Unit].

shares(Shares) ->
    ["\nTwo flows on the narrow path, the parts of both while both were there:\n\n",
     head(["First", "Joined by", "First : second", "Goal for the first", ""]),
     [line([First, Second, io_lib:format("~b : ~b", [percent(Part), percent(1 - Part)]),
            io_lib:format("~b to ~b %", [percent(Least), percent(Most)]), verdict(Reached)])
      || #{first := First, second := Second, part_of_first := Part, at_least := Least, at_most := Most, reached := Reached} <- Shares]].

goals([]) -> [];
goals(Goals) ->
    ["\nGoals:\n\n", head(["", "Goal", "Measured", ""]),
     [line([Row, Limit, Measured, verdict(Reached)]) || {{Row, Limit}, Measured, Reached} <- Goals]].

verdict(true) -> "reached";
verdict(false) -> "**missed**".

percent(Part) -> round(100 * Part).

%% Sentences

slower(Sentences) ->
    case lists:append(Sentences) of
        [] -> "\nNo row is worse than what stands beside it.\n";
        Worse -> ["\nWhere we are slower, or cost more:\n\n" | Worse]
    end.

%% None when ours is better, or as good as can be told.
sentence(#{unit := Unit, better := Better} = Row, Ours, Name, Theirs) ->
    Ratio = bench_statistics:ratio(Ours, Theirs),
    [["* ", name(Row), ": ", bench_number:text(Ours), " ", Unit, ", ", case Better of higher -> "less"; lower -> "more" end, " than the ",
      bench_number:text(Theirs), " ", Unit, " of ", Name, " (", bench_number:ratio(Ratio), ").\n"]
     || bench_number:standing(Better, Ratio) =:= worse].

%% Cells

name(#{group := Group, label := Label}) -> [Group, ", ", Label];
name(#{label := Label}) -> Label.

unit(#{unit := Unit, better := Better}) -> [Unit, " ", bench_table:arrow(Better)].

ratio(#{better := Better}, Ratio) ->
    [bench_number:ratio(Ratio), " ", bench_table:mark(bench_number:standing(Better, Ratio))].

%% Text to the left, numbers to the right.
head([_, _ | Numbers] = Titles) ->
    [line(Titles), line(["---", "---" | ["--:" || _ <- Numbers]])].

line(Cells) ->
    ["| ", lists:join(" | ", Cells), " |\n"].
