%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test_boot).
-moduledoc """
Starts a virtual machine the way a shell does and keeps what it prints until it ends; whoever does not end in time is killed and fails.
""".

-export([erl/2, program/3, library/1]).

-define(DEADLINE_MS, 20_000).

-type result() :: {ExitStatus :: non_neg_integer(), Output :: binary()}.
-export_type([result/0]).

-spec erl([string()], [{string(), string() | false}]) -> result().
erl(Arguments, Environment) ->
    program(os:find_executable("erl"), ["-noshell", "-noinput" | Arguments], Environment).

-spec program(file:filename(), [string()], [{string(), string() | false}]) -> result().
program(Path, Arguments, Environment) ->
    Port = open_port({spawn_executable, Path}, [{args, Arguments}, {env, Environment}, binary, exit_status, stderr_to_stdout, hide]),
    {os_pid, OsPid} = erlang:port_info(Port, os_pid),
    Timer = erlang:send_after(?DEADLINE_MS, self(), {too_late, Port}),
    Result = collect(Port, OsPid, <<>>),
    _ = erlang:cancel_timer(Timer),
    {_, Output} = Result,
    ct:pal("~ts", [Output]),
    Result.

collect(Port, OsPid, Output) ->
    receive
        {Port, {data, Data}} -> collect(Port, OsPid, <<Output/binary, Data/binary>>);
        {Port, {exit_status, Status}} -> {Status, Output};
        {too_late, Port} ->
            _ = os:cmd("kill -KILL " ++ integer_to_list(OsPid)),
            error({hangs, Output})
    end.

%% A copy of the library to break: its code path in it is the result.
-spec library(file:filename()) -> file:filename().
library(Dir) ->
    Source = filename:dirname(filename:dirname(code:which(barrel_p2p_dist))),
    Copy = filename:join([Dir, "lib", "barrel_p2p"]),
    _ = [begin
             Target = filename:join(Copy, Path),
             ok = filelib:ensure_dir(Target),
             {ok, _} = file:copy(filename:join(Source, Path), Target)
         end || Pattern <- ["ebin/*", "priv/*.so"], Path <- filelib:wildcard(Pattern, Source)],
    filename:join(Copy, "ebin").
