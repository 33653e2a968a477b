%% SPDX-License-Identifier: Apache-2.0
-module(bench_pair).
-moduledoc """
Two fresh VMs that use one carrier.

They are steered over their standard input and output by this VM, which is itself not distributed: no second carrier is at work while the first
one is measured. Emulator flags are the defaults.
""".

-export([with/3, with/4, call/4, nodes_of/1, disconnect/1, cpu_seconds/1]).
%% One VM.
-export([start/3, stop/1, on/4, os_pid/1]).

-export_type([pair/0, vm/0, place/0]).

-record(vm, {peer :: pid(), node :: node(), os_pid :: string()}).
-record(pair, {carrier :: module(), first :: #vm{}, second :: #vm{}}).

-opaque pair() :: #pair{}.
-opaque vm() :: #vm{}.

%% Where a VM runs: the host part of its name, the command that leads there, and the flags that it needs there.
-type place() :: #{host := string(), enter := [string()], flags := [string()]}.

-define(HERE, #{host => "127.0.0.1", enter => [], flags => []}).

-define(BOOT_MS, 30_000).
-define(CALL_MS, 180_000).
-define(STOP_MS, 10_000).

%% Runs `Fun` with a fresh pair and ends both VMs after it, whatever happened. What they log is in `Folder`, not on the terminal.
-spec with(module(), file:filename(), fun((pair()) -> Result)) -> Result.
with(Carrier, Folder, Fun) ->
    with(Carrier, Folder, {?HERE, ?HERE}, Fun).

-spec with(module(), file:filename(), {place(), place()}, fun((pair()) -> Result)) -> Result.
with(Carrier, Folder, {FirstPlace, SecondPlace}, Fun) ->
    ok = file:make_dir(Folder),
    First = start(Carrier, Folder, first, FirstPlace),
    try
        Second = start(Carrier, Folder, second, SecondPlace),
        try
            Fun(#pair{carrier = Carrier, first = First, second = Second})
        after
            stop(Second)
        end
    after
        stop(First)
    end.

%% Calls `Function` of `Module` on the first VM with the second one's node name put before `Arguments`.
-spec call(pair(), module(), atom(), [term()]) -> term().
call(#pair{first = First, second = Second}, Module, Function, Arguments) ->
    on(First, Module, Function, [Second#vm.node | Arguments]).

%% The connected nodes that each of the two VMs sees.
-spec nodes_of(pair()) -> {[node()], [node()]}.
nodes_of(#pair{first = First, second = Second}) ->
    {on(First, erlang, nodes, []), on(Second, erlang, nodes, [])}.

%% Disconnects, and returns when both sides have noticed and the carrier has nothing left of the connection. Before it, both sides must have
%% noticed that they are connected: OTP's TLS carrier crashes when it is cut off in the middle of its start.
-spec disconnect(pair()) -> ok.
disconnect(#pair{first = First, second = Second} = Pair) ->
    ok = wait_until(fun() -> nodes_of(Pair) =:= {[Second#vm.node], [First#vm.node]} end, not_connected),
    wait_until(fun() -> apart(Pair) end, still_connected).

%% Asks for the disconnection again and again: OTP's own `rex` greets every new node, and a greeting that comes late redials.
apart(#pair{carrier = Carrier, first = First, second = Second} = Pair) ->
    _ = on(First, erlang, disconnect_node, [Second#vm.node]),
    nodes_of(Pair) =:= {[], []} andalso on(First, Carrier, idle, []) andalso on(Second, Carrier, idle, []).

%% CPU seconds that both VMs have used so far, user and system.
-spec cpu_seconds(pair()) -> float().
cpu_seconds(#pair{first = First, second = Second}) ->
    bench_machine:cpu_seconds(First#vm.os_pid) + bench_machine:cpu_seconds(Second#vm.os_pid).

-spec start(module(), file:filename(), bench_carrier:role()) -> vm().
start(Carrier, Folder, Role) ->
    start(Carrier, Folder, Role, ?HERE).

start(Carrier, Folder, Role, #{host := Host, enter := Enter, flags := Here}) ->
    {Flags, Environment} = Carrier:vm(Folder, Role),
    Name = lists:concat(["bench_", Role, "_", os:getpid(), "_", erlang:unique_integer([positive])]),
    Log = #{config => #{file => filename:join(Folder, lists:concat([Role, ".log"]))}},
    Own = ["-pa", filename:dirname(code:which(?MODULE)), "-setcookie", "bench",
           "-kernel", "logger", lists:flatten(io_lib:format("~0p", [[{handler, default, logger_std_h, Log}]]))],
    {ok, Peer, Node} =
        peer:start_link(#{name => Name, host => Host, longnames => true, connection => standard_io, exec => command(Enter),
                          args => Own ++ Here ++ Flags, env => Environment, wait_boot => ?BOOT_MS}),
    #vm{peer = Peer, node = Node, os_pid = peer:call(Peer, os, getpid, [])}.

%% A command that leads to a place ends with the program to run there.
command(Enter) ->
    [Program | Arguments] = Enter ++ [os:find_executable("erl")],
    {Program, Arguments}.

%% The next pair must find the machine idle, so a VM has ended only when its process is gone.
-spec stop(vm()) -> ok.
stop(#vm{peer = Peer, os_pid = OsPid}) ->
    unlink(Peer),
    _ = try peer:stop(Peer) catch exit:_ -> already_gone end,
    wait_until(fun() -> not filelib:is_dir("/proc/" ++ OsPid) end, {still_running, OsPid}).

-spec on(vm(), module(), atom(), [term()]) -> term().
on(#vm{peer = Peer}, Module, Function, Arguments) ->
    peer:call(Peer, Module, Function, Arguments, ?CALL_MS).

-spec os_pid(vm()) -> string().
os_pid(#vm{os_pid = OsPid}) ->
    OsPid.

wait_until(Condition, What) ->
    wait_until(Condition, What, erlang:monotonic_time(millisecond) + ?STOP_MS).

wait_until(Condition, What, Deadline) ->
    case Condition() of
        true ->
            ok;
        false ->
            erlang:monotonic_time(millisecond) < Deadline orelse error(What),
            timer:sleep(2),
            wait_until(Condition, What, Deadline)
    end.
