%% SPDX-License-Identifier: Apache-2.0
-module(bench_options).
-moduledoc """
The command line of `bench/run.sh`.
""".

-export([parse/1, usage/0]).

-export_type([options/0]).

-type options() :: #{settings := bench_metric:settings(), mode := full | quick, carriers := [{atom(), module()}, ...],
                      ebin := file:filename(), out := file:filename()}.

-spec usage() -> string().
usage() ->
    "usage: bench/run.sh [--quick] [--rounds N] [--carriers A,B,...] [--ebin DIR] [--out DIR]\n"
    "       bench/run.sh state [--quick] | lanes [--quick] | network [--quick] | page [FOLDER] | --self-test | --help\n"
    "  --quick      one short round: shows that everything works, says nothing about speed\n"
    "  --rounds     rounds in which each carrier has its turn (default 3)\n"
    "  --carriers   default inet_tcp,inet_tls,barrel_p2p\n"
    "  --ebin       compiled barrel_p2p (default _build/default/lib/barrel_p2p/ebin)\n"
    "  --out        where JSON and SVG go (default bench/results)\n"
    "  state        maps, registry and clock instead of the carrier\n"
    "  lanes        small messages beside bulk, what a message costs, and what a link does\n"
    "  network      the carriers on impaired paths; as root\n"
    "  page         docs/reference/benchmarks.md from the newest results\n"
    "  --self-test  tests the instruments, measures nothing\n"
    "Folders are relative to the project.\n".

-spec parse([string()]) -> {ok, options()} | help | {error, string()}.
parse(Arguments) ->
    parse(Arguments, #{mode => full, names => bench_carrier:names(), ebin => "_build/default/lib/barrel_p2p/ebin", out => "bench/results"}).

parse(["--help" | _], _Seen) ->
    help;
parse(["--quick" | Rest], Seen) ->
    parse(Rest, Seen#{mode := quick});
parse(["--rounds", Text | Rest], Seen) ->
    case string:to_integer(Text) of
        {Rounds, ""} when Rounds > 0 -> parse(Rest, Seen#{rounds => Rounds});
        _ -> {error, "--rounds wants a number from 1 up, not " ++ Text}
    end;
parse(["--carriers", Text | Rest], Seen) ->
    parse(Rest, Seen#{names := [list_to_atom(Name) || Name <- string:lexemes(Text, ",")]});
parse(["--ebin", Folder | Rest], Seen) ->
    parse(Rest, Seen#{ebin := Folder});
parse(["--out", Folder | Rest], Seen) ->
    parse(Rest, Seen#{out := Folder});
parse([Unknown | _], _Seen) ->
    {error, "unknown or incomplete option " ++ Unknown};
parse([], #{mode := Mode, names := Names} = Seen) ->
    Settings = maps:merge(bench_metric:settings(Mode), maps:with([rounds], Seen)),
    case [Name || Name <- Names, bench_carrier:module(Name) =:= {error, unknown}] of
        [] when Names =/= [] ->
            Carriers = [{Name, element(2, bench_carrier:module(Name))} || Name <- Names],
            {ok, (maps:with([mode, ebin, out], Seen))#{carriers => Carriers, settings => Settings}};
        [] ->
            {error, "--carriers names none"};
        [Unknown | _] ->
            {error, "no carrier is called " ++ atom_to_list(Unknown)}
    end.
