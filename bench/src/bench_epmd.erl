%% SPDX-License-Identifier: Apache-2.0
-module(bench_epmd).
-moduledoc """
A private epmd for OTP's carriers: own port, loopback only, ended with this VM however it ends. A network namespace needs one of its own,
with the same port.
""".

-export([environment/0, start_in/1]).

%% The environment that leads a VM to the private epmd, which is started by the first call. The caller owns the daemon.
-spec environment() -> [{string(), string()}].
environment() ->
    Port =
        case persistent_term:get(?MODULE, undefined) of
            undefined -> start();
            Started -> Started
        end,
    [{"ERL_EPMD_PORT", integer_to_list(Port)}, {"ERL_EPMD_ADDRESS", "127.0.0.1"}].

%% One more epmd, where the command `Enter` leads, for all addresses there.
-spec start_in(Enter :: [string()]) -> ok.
start_in(Enter) ->
    {_, Port} = lists:keyfind("ERL_EPMD_PORT", 1, environment()),
    daemon(Enter ++ [executable(), "-port", Port]).

start() ->
    Port = free_port(),
    ok = daemon([executable(), "-address", "127.0.0.1", "-port", integer_to_list(Port)]),
    ok = wait(Port, 100),
    ok = persistent_term:put(?MODULE, Port),
    Port.

%% The shell between us and epmd sees its standard input close when this VM is gone, even after a kill -9, and ends the daemon.
daemon(Command) ->
    Script = "\"$@\" >/dev/null 2>&1 & daemon=$!; read -r _; kill $daemon",
    _ = open_port({spawn_executable, "/bin/sh"}, [{args, ["-c", Script, "sh" | Command]}, binary]),
    ok.

executable() ->
    Local = filename:join([code:root_dir(), "erts-" ++ erlang:system_info(version), "bin", "epmd"]),
    case filelib:is_regular(Local) of
        true -> Local;
        false -> os:find_executable("epmd")
    end.

free_port() ->
    {ok, Socket} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Port} = inet:port(Socket),
    ok = gen_tcp:close(Socket),
    Port.

wait(Port, Tries) ->
    case gen_tcp:connect({127, 0, 0, 1}, Port, []) of
        {ok, Socket} ->
            gen_tcp:close(Socket);
        {error, _} when Tries > 0 ->
            timer:sleep(20),
            wait(Port, Tries - 1);
        {error, Reason} ->
            {error, {epmd, Reason}}
    end.
