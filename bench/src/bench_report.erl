%% SPDX-License-Identifier: Apache-2.0
-module(bench_report).
-moduledoc """
The results on disk: one JSON file for each run, named for the second it was written and for what was measured.
""".

-export([write/2, newest/2, argument/1]).

-export_type([subject/0, report/0]).

-type subject() :: carrier | lanes | network | state.
-type report() :: #{atom() => term()}.

-define(FOLDER, "bench/results").

-spec write(subject(), report()) -> ok.
write(Subject, Report) ->
    Utc = calendar:system_time_to_rfc3339(erlang:system_time(second), [{offset, "Z"}]),
    File = filename:join(?FOLDER, [Char || Char <- Utc, Char =/= $:, Char =/= $-] ++ suffix(Subject)),
    ok = filelib:ensure_dir(File),
    ok = file:write_file(File, bench_json:encode(Report#{utc => list_to_binary(Utc), commit => list_to_binary(argument(commit))})),
    io:put_chars(["wrote ", File, "\n"]).

%% The last one that was written. Names sort by time.
-spec newest(subject(), file:filename()) -> {file:filename(), report()} | none.
newest(Subject, Folder) ->
    case lists:reverse(lists:sort(filelib:wildcard("????????T??????Z" ++ suffix(Subject), Folder))) of
        [Name | _] ->
            File = filename:join(Folder, Name),
            {ok, Text} = file:read_file(File),
            {File, bench_json:decode(Text)};
        [] ->
            none
    end.

%% What run.sh hands over: `temp`, an empty folder that it removes, and `commit`.
-spec argument(temp | commit) -> string().
argument(Name) ->
    {ok, [[Value]]} = init:get_argument(list_to_atom("bench_" ++ atom_to_list(Name))),
    Value.

suffix(carrier) -> ".json";
suffix(Subject) -> "-" ++ atom_to_list(Subject) ++ ".json".
