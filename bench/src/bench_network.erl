%% SPDX-License-Identifier: Apache-2.0
-module(bench_network).
-moduledoc """
Runs the benchmark on impaired paths: every contestant on every path, then two flows at once on the narrow one.
""".

-export([main/0]).

-define(CARRIERS, [{"barrel_p2p", bench_carrier_barrel_p2p}, {"inet_tcp", bench_carrier_inet_tcp}, {"inet_tls", bench_carrier_inet_tls}]).
-define(LABEL, 36).
-define(COLUMN, 14).

-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    ["network" | Options] = init:get_plain_arguments(),
    case {Options -- ["--quick", "--without-tls"], length(Options) - length(lists:usort(Options))} of
        {[], 0} ->
            Mode = case lists:member("--quick", Options) of true -> quick; false -> full end,
            halt(guarded(Mode, contestants(lists:member("--without-tls", Options))));
        _ ->
            io:put_chars(standard_error, "usage: bench/run.sh network [--quick] [--without-tls]\n"),
            halt(2)
    end.

guarded(Mode, Contestants) ->
    _ = code:add_patha(filename:absname("_build/default/lib/barrel_p2p/ebin")),
    try
        bench_network_path:with(fun(Path) -> run(Path, Mode, Contestants) end)
    catch
        throw:Text -> io:put_chars(standard_error, ["bench: ", Text, "\n"]), 1
    end.

run(Path, Mode, Contestants) ->
    Settings = settings(Mode),
    Machine = bench_machine:describe(),
    Load = bench_machine:load(),
    io:format("load average ~.2f at start~n~n", [Load]),
    Cells = [cell(Path, Impairment, Contestants, Settings) || Impairment <- bench_network_cell:all(Mode)],
    Shares = [share(Path, Pair, Settings) || Pair <- rivals(Contestants)],
    Report = #{mode => Mode, machine => Machine, load_at_start => Load, settings => Settings, cells => Cells, shares => Shares},
    ok = bench_report:write(network, Report),
    0.

settings(full) -> #{warm_ms => 2_000, measure_ms => 5_000, share_ms => 60_000};
settings(quick) -> #{warm_ms => 300, measure_ms => 1_000, share_ms => 5_000}.

%% TCP gets the best that this kernel has; Cubic, what most kernels use, shares a path with us below.
contestants(WithoutTls) ->
    Tcp = case bench_network_path:has_tcp("bbr") of
              true -> "bbr";
              false -> "cubic"
          end,
    [#{name => Name, carrier => Carrier, tcp => Tcp} || {Name, Carrier} <- ?CARRIERS, not (WithoutTls andalso Name =:= "inet_tls")].

rivals([Ours, Tcp | _]) ->
    Cubic = Tcp#{name := "inet_tcp with Cubic", tcp := "cubic"},
    [{Ours, Ours, {0.4, 0.6}}, {Ours, Cubic, {0.3, 0.7}}, {Cubic, Ours, {0.3, 0.7}}].

cell(Path, Impairment, Contestants, Settings) ->
    Label = bench_network_cell:label(Impairment),
    Values = [{Name, measured(Path, Impairment, Contestant, Settings)} || #{name := Name} = Contestant <- Contestants],
    Narrow = case Impairment of
                 #{mbit := _, rtt_ms := Rtt} -> #{narrow_rtt_ms => Rtt};
                 #{} -> #{}
             end,
    Cell = Narrow#{path => list_to_binary(Label), values => maps:from_list([{list_to_atom(Name), V} || {Name, V} <- Values])},
    io:put_chars([Label, "\n", head(Contestants), [line(Metric, Values) || Metric <- bench_network_cell:metrics()],
                  [goal(Verdict) || Verdict <- bench_network_goal:verdicts(Cell)], "\n"]),
    Cell.

goal({Label, Limit, Measured, Reached}) ->
    ["  ", case Reached of true -> "reached"; false -> "MISSED " end, " ", Label, " ", Limit, ": ", Measured, "\n"].

measured(Path, Impairment, Contestant, Settings) ->
    ok = bench_network_path:shape(Path, Impairment),
    bench_network_cell:measure(Path, Contestant, folder("pair"), Settings).

head(Contestants) ->
    [left("", ?LABEL + 6), [right([Name, [[" ", Tcp] || Name =/= "barrel_p2p"]], ?COLUMN) || #{name := Name, tcp := Tcp} <- Contestants],
     right("to inet_tcp", ?COLUMN), "\n"].

line({Key, Label, Unit, Better}, [{_, Ours}, {_, Tcp} | _] = Values) ->
    Ratio = bench_statistics:ratio(maps:get(Key, Ours), maps:get(Key, Tcp)),
    [left("  " ++ Label, ?LABEL), right(Unit, 5), " ", [right(bench_number:text(maps:get(Key, V)), ?COLUMN) || {_, V} <- Values],
     right(bench_number:ratio(Ratio), ?COLUMN), mark(bench_number:standing(Better, Ratio)), "\n"].

mark(better) -> " +";
mark(worse) -> " -";
mark(_) -> "".

share(Path, {#{name := First} = A, #{name := Second} = B, {Least, Most}}, Settings) ->
    Part = bench_network_cell:shares(Path, {A, B}, {folder("share"), Settings}),
    Reached = Part >= Least andalso Part =< Most,
    io:format("~ts, joined by ~ts: ~b : ~b (~ts ~b to ~b)~n",
              [First, Second, round(100 * Part), round(100 * (1 - Part)), case Reached of true -> "reached"; false -> "MISSED" end,
               round(100 * Least), round(100 * Most)]),
    #{first => list_to_binary(First), second => list_to_binary(Second), part_of_first => Part,
      at_least => Least, at_most => Most, reached => Reached}.

folder(Name) ->
    filename:join(bench_report:argument(temp), lists:concat([Name, erlang:unique_integer([positive])])).

left(Text, Width) -> string:pad(Text, Width).
right(Text, Width) -> string:pad(Text, Width, leading).
