%% SPDX-License-Identifier: Apache-2.0
-module(bench).
-moduledoc """
Runs the carrier benchmark: rounds in which every carrier has its turn, then table, JSON and chart.

The carriers are interleaved, and every round starts with another one, so that a machine that slows down or speeds up in between touches all of
them alike.
""".

-export([main/0]).

-define(BUSY_LOAD_PER_CORE, 0.25).

-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    case bench_options:parse(init:get_plain_arguments()) of
        {ok, Options} ->
            halt(guarded(Options));
        help ->
            io:put_chars(bench_options:usage()),
            halt(0);
        {error, Text} ->
            io:put_chars(standard_error, ["bench: ", Text, "\n", bench_options:usage()]),
            halt(2)
    end.

guarded(Options) ->
    try
        ok = find_ours(Options),
        run(Options)
    catch
        throw:Text ->
            io:put_chars(standard_error, ["bench: ", Text, "\n"]),
            1;
        Class:Reason:Stack ->
            io:format(standard_error, "bench: a measurement failed, so nothing was written~n~tp~n~tp~n~ts", [{Class, Reason}, Stack, logs()]),
            1
    end.

find_ours(#{carriers := Carriers, ebin := Ebin}) ->
    _ = code:add_patha(filename:absname(Ebin)),
    case lists:keymember(barrel_p2p, 1, Carriers) andalso code:which(barrel_p2p_dist) of
        non_existing -> throw("no compiled barrel_p2p in " ++ Ebin ++ "; run `rebar3 compile` first");
        _ -> ok
    end.

run(#{carriers := Carriers, settings := #{rounds := Rounds} = Settings, mode := Mode} = Options) ->
    Machine = (bench_machine:describe())#{commit => list_to_binary(bench_report:argument(commit)), barrel_p2p => our_version()},
    Load = bench_machine:load(),
    Utc = calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}]),
    io:put_chars([bench_machine:caption(Machine), "\n", opening(Load, Machine), "\n"]),
    _ = Mode =:= quick andalso io:put_chars("Quick run: shows that everything works, says nothing about speed.\n"),
    Runs = lists:append([turn(Round, Carrier, Settings) || Round <- lists:seq(1, Rounds), Carrier <- rotated(Round, Carriers)]),
    Summary = bench_result:summary(in_order(Runs, Carriers)),
    Verdicts = bench_result:verdicts(Summary),
    io:put_chars(["\n", bench_table:result(Summary), [bench_table:verdicts(Verdicts) || Mode =:= full], "\n", closing(Runs)]),
    Report = #{utc => list_to_binary(Utc), mode => Mode, settings => Settings, machine => Machine, load_at_start => Load,
               metrics => [maps:map(fun json_text/2, Metric) || Metric <- bench_metric:all()], runs => Runs, goals => Verdicts,
               medians => maps:get(medians, Summary), ratios => maps:get(ratios, Summary)},
    Chart = bench_chart:svg(in_order(Runs, Carriers), Summary, bench_machine:caption(Machine) ++ ", " ++ Utc),
    write(Options, Utc, [{".json", bench_json:encode(Report)}, {".svg", Chart}]),
    0.

%% One pair for everything, then more of them for what depends on the pair.
turn(Round, {Name, Module}, #{rounds := Rounds, ping_pairs := Pairs} = Settings) ->
    Folder = filename:join(bench_report:argument(temp), lists:concat([Name, "_", Round, "_"])),
    [Whole | _] = Runs = [(bench_pair:with(Module, Folder ++ integer_to_list(N), fun(Pair) -> observed(Measure, Pair, Settings) end))
                          #{round => Round, carrier => Name}
                          || {N, Measure} <- lists:enumerate([measure | lists:duplicate(Pairs - 1, ping)])],
    io:put_chars(bench_table:progress(Whole, Rounds)),
    Runs.

observed(Measure, Pair, Settings) ->
    Usage = bench_machine:usage(),
    Seconds = own_seconds(Pair),
    Values = bench_metric:Measure(Pair, Settings),
    (bench_machine:shares(Usage, bench_machine:usage(), own_seconds(Pair) - Seconds))#{values => Values}.

own_seconds(Pair) ->
    bench_pair:cpu_seconds(Pair) + bench_machine:cpu_seconds(os:getpid()).

%% What the VMs of the last turns had to say.
logs() ->
    [["\n", File, ":\n", element(2, {ok, _} = file:read_file(File))]
     || File <- filelib:wildcard(filename:join([bench_report:argument(temp), "*", "*.log"])), filelib:file_size(File) > 0].

rotated(Round, Carriers) ->
    {Front, Back} = lists:split((Round - 1) rem length(Carriers), Carriers),
    Back ++ Front.

%% Reports name the carriers in the order of the command line, whoever went first.
in_order(Runs, Carriers) ->
    [Run || {Name, _} <- Carriers, #{carrier := C} = Run <- Runs, C =:= Name].

opening(Load, #{cores := Cores}) ->
    Busy = Load > ?BUSY_LOAD_PER_CORE * Cores,
    [io_lib:format("load average ~.2f at start", [Load]),
     ["\nWARNING: the machine is busy; wait until it is quiet before you believe the numbers" || Busy], "\n"].

closing(Runs) ->
    Others = lists:max([Share || #{others := Share} <- Runs]),
    Stolen = lists:max([Share || #{stolen := Share} <- Runs]),
    [io_lib:format("Up to ~b % of the machine went to other processes during a turn, ~b % to the hypervisor.~n",
                   [round(100 * Others), round(100 * Stolen)]),
     ["WARNING: the machine was not quiet; do not quote these numbers\n" || bench_machine:is_busy(max(Others, Stolen))]].

our_version() ->
    _ = application:load(barrel_p2p),
    case application:get_key(barrel_p2p, vsn) of
        {ok, Version} -> list_to_binary(Version);
        undefined -> <<"none">>
    end.

write(#{out := Out}, Utc, Files) ->
    Base = filename:join(Out, [Char || Char <- Utc, Char =/= $:, Char =/= $-]),
    [begin
         ok = filelib:ensure_dir(Base),
         ok = file:write_file(Base ++ Extension, unicode:characters_to_binary(Content)),
         io:put_chars(["wrote ", Base, Extension, "\n"])
     end || {Extension, Content} <- Files].

json_text(_Key, Text) when is_list(Text) -> unicode:characters_to_binary(Text);
json_text(_Key, Other) -> Other.
