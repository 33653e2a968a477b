%% SPDX-License-Identifier: Apache-2.0
-module(bench_page).
-moduledoc """
Writes the page of the documentation that shows the newest results, with the chart beside it.
""".

-export([main/0, write/2]).

-define(NAME, "benchmarks").

-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    case init:get_plain_arguments() of
        ["page"] -> ok = write("bench/results", "docs/reference"), halt(0);
        ["page", Results] -> ok = write(Results, "docs/reference"), halt(0);
        _ -> io:put_chars(standard_error, "usage: bench/run.sh page [FOLDER WITH RESULTS]\n"), halt(2)
    end.

%% Without a result of the carriers there is no chart, and an old one would not belong to the page.
-spec write(file:filename(), file:filename()) -> ok.
write(Results, Folder) ->
    Found = [{Subject, File, Report} || Subject <- [carrier, lanes, network, state], {File, Report} <- [bench_report:newest(Subject, Results)]],
    Chart = filename:join(Folder, ?NAME ".svg"),
    _ = file:delete(Chart),
    _ = [{ok, _} = file:copy(filename:rootname(File) ++ ".svg", Chart) || {carrier, File, _} <- Found],
    Page = filename:join(Folder, ?NAME ".md"),
    Reports = maps:from_list([{Subject, Report} || {Subject, _, Report} <- Found]),
    ok = file:write_file(Page, unicode:characters_to_binary(bench_markdown:page(Reports, ?NAME ".svg"))),
    io:put_chars([[["read ", File, "\n"] || {_, File, _} <- Found], "wrote ", Page, "\n"]).
