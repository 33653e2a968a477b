%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_service_holder).
-moduledoc """
A process that does nothing but hold a registration; for tests and for trying things out in a shell.
""".

-export([start/1, stop/1]).

-define(START_MS, 5_000).

%% Not linked to the caller, so it outlives a shell command that fails.
-spec start(Name :: term()) -> {ok, pid()} | {error, already_registered | too_large | timeout | term()}.
start(Name) ->
    Ref = make_ref(),
    Starter = alias([reply]),
    {Pid, Monitor} = spawn_monitor(fun() -> hold(Name, Starter, Ref) end),
    Result = receive
                 {Ref, ok} -> {ok, Pid};
                 {Ref, {error, _} = Error} -> Error;
                 {'DOWN', Monitor, process, Pid, Reason} -> {error, Reason}
             after ?START_MS ->
                 exit(Pid, kill),
                 {error, timeout}
             end,
    _ = unalias(Starter),
    true = demonitor(Monitor, [flush]),
    Result.

-spec stop(pid()) -> ok.
stop(Pid) ->
    Pid ! stop,
    ok.

-spec hold(Name :: term(), Starter :: reference(), reference()) -> ok.
hold(Name, Starter, Ref) ->
    Result = barrel_p2p_registry:register_service(Name, #{}),
    Starter ! {Ref, Result},
    case Result of
        ok -> receive stop -> ok end;
        {error, _} -> ok
    end.
