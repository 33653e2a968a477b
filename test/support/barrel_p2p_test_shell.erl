%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test_shell).
-moduledoc """
Documents that are run: their code blocks, and Erlang shells that do what a reader would type.
""".

-export([blocks/2, checkout/1, start/3, stop/1, check/3]).

-define(TIMEOUT_MS, 30_000).
-define(PROMPT, "\\([a-z]+@127\\.0\\.0\\.1\\)").
%% What the log of a node says at any time: a heading and a line.
-define(REPORT, "=[A-Z]+ REPORT==== [^\n]*\n[^\n]*\n").
%% What the shell of OTP 29 says of a line that waits.
-define(PATIENCE, "Command is taking a long time[^\n]*\n").

%% The code blocks of one language.
blocks(Language, Text) ->
    {match, Found} = re:run(Text, ["```", Language, "\n(.*?)```"], [global, dotall, {capture, all_but_first, binary}]),
    lists:append(Found).

%% A compiled checkout, as far as an example looks at it. Suites of one run share their folder.
checkout(Dir) ->
    Checkout = filename:join(Dir, lists:concat(["checkout_", erlang:unique_integer([positive])])),
    Lib = filename:join([Checkout, "_build", "default", "lib"]),
    ok = filelib:ensure_path(Lib),
    ok = file:make_symlink(filename:dirname(filename:dirname(code:which(barrel_p2p))), filename:join(Lib, "barrel_p2p")),
    Checkout.

%% Runs a script that becomes an Erlang shell, and waits for its first prompt.
start(Dir, Script, Arguments) ->
    File = filename:join(Dir, integer_to_list(erlang:unique_integer([positive])) ++ ".sh"),
    ok = file:write_file(File, Script),
    Environment = [{"TERM", "dumb"}, {"ERL_FLAGS", false}, {"ERL_AFLAGS", false}, {"ERL_ZFLAGS", false}],
    Shell = open_port({spawn_executable, "/bin/sh"},
                      [{args, [File | Arguments]}, {cd, Dir}, {env, Environment}, binary, exit_status, stderr_to_stdout]),
    _ = prompt(Shell, 1, <<>>),
    Shell.

stop(Shell) ->
    %% It may have ended by itself.
    try port_close(Shell) of
        true -> ok
    catch
        error:badarg -> ok
    end.

%% Types the lines of a block, the first one at prompt `Number`; a line that has `%% Value` behind it must give that value. The number of the prompt
%% after it.
check(Shell, Number, Block) ->
    Lines = string:split(string:trim(Block), "\n", all),
    lists:foldl(fun(Line, At) -> line(Shell, At, string:split(Line, " %% ")) end, Number, Lines).

line(Shell, Number, [Expression | Expected]) ->
    true = port_command(Shell, [Expression, "\n"]),
    Output = prompt(Shell, Number + 1, <<>>),
    Answer = string:trim(re:replace(Output, [?PROMPT, "[0-9]+> |", ?REPORT, "|", ?PATIENCE], "", [global, {return, binary}])),
    [Value =:= Answer orelse error({unexpected, Expression, Value, Answer}) || Value <- Expected],
    Number + 1.

%% Everything up to the prompt of that number. A shell may print one twice.
prompt(Shell, Number, Seen) ->
    receive
        {Shell, {data, Data}} ->
            All = <<Seen/bits, Data/bits>>,
            case re:run(All, [?PROMPT, integer_to_list(Number), "> "], [{capture, none}]) of
                match -> All;
                nomatch -> prompt(Shell, Number, All)
            end;
        {Shell, {exit_status, Status}} ->
            error({ended, Status, Seen})
    after ?TIMEOUT_MS ->
        error({no_prompt, Seen})
    end.
