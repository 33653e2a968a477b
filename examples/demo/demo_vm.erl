%% SPDX-License-Identifier: Apache-2.0
-module(demo_vm).
-moduledoc """
The nodes of the demo: operating system processes of their own.

They are steered over standard input and output by this VM, which is not distributed itself: every byte between two nodes goes over barrel_p2p.
""".

-export([start/2, stop/1, kill/1, call/4, node_of/1, os_pid/1, flags/0, logs/0]).

-export_type([vm/0, options/0]).

-record(vm, {peer :: pid(), node :: node(), os_pid :: string()}).

-opaque vm() :: #vm{}.
%% keys: the name of the folder with the node's identity, if it is not that of its name.
-type options() :: #{cookie => string(), keys => string()}.

-define(BOOT_MS, 15_000).
-define(CALL_MS, 30_000).

%% The three flags that make a node use barrel_p2p.
-spec flags() -> [string(), ...].
flags() ->
    ["-proto_dist", "barrel_p2p", "-epmd_module", "barrel_p2p_epmd", "-start_epmd", "false"].

-spec start(string(), options()) -> vm().
start(Name, Options) ->
    Own = filename:join(temp(), maps:get(keys, Options, Name)),
    Log = filename:join(Own, "log"),
    ok = filelib:ensure_dir(Log),
    Settings = ["-barrel_p2p", "auth_key_dir", quoted(filename:join(Own, "keys")), "quic_cert_dir", quoted(filename:join(Own, "quic")),
                "discovery_dir", quoted(filename:join(temp(), "discovery"))],
    Handler = [{handler, default, logger_std_h, #{config => #{file => Log}}}],
    Args = flags() ++ Settings ++ ["-setcookie", maps:get(cookie, Options, "demo"), "-kernel", "logger", quoted(Handler) | paths()],
    {ok, Peer, Node} = peer:start(#{name => Name, host => "127.0.0.1", longnames => true, connection => standard_io, peer_down => stop,
                                    args => Args, wait_boot => ?BOOT_MS}),
    OsPid = peer:call(Peer, os, getpid, []),
    ok = file:write_file(filename:join(temp(), "pids"), [OsPid, "\n"], [append]),
    {ok, _} = peer:call(Peer, application, ensure_all_started, [barrel_p2p]),
    #vm{peer = Peer, node = Node, os_pid = OsPid}.

-spec stop(vm()) -> ok.
stop(#vm{peer = Peer}) ->
    peer:stop(Peer).

%% kill -9. Returns the time of day in microseconds just before.
-spec kill(vm()) -> integer().
kill(#vm{os_pid = OsPid}) ->
    At = os:system_time(microsecond),
    "" = os:cmd("kill -9 " ++ OsPid),
    At.

-spec call(vm(), module(), atom(), [term()]) -> term().
call(#vm{peer = Peer}, Module, Function, Arguments) ->
    peer:call(Peer, Module, Function, Arguments, ?CALL_MS).

-spec node_of(vm()) -> node().
node_of(#vm{node = Node}) -> Node.

-spec os_pid(vm()) -> string().
os_pid(#vm{os_pid = OsPid}) -> OsPid.

%% What all nodes have logged so far.
-spec logs() -> iodata().
logs() ->
    [["\n", filename:basename(filename:dirname(File)), " logged:\n", element(2, {ok, _} = file:read_file(File))]
     || File <- filelib:wildcard(filename:join([temp(), "*", "log"]))].

paths() ->
    lists:append([["-pa", filename:absname(filename:dirname(code:which(Module)))] || Module <- [?MODULE, barrel_p2p_dist]]).

temp() ->
    {ok, [[Folder]]} = init:get_argument(demo_temp),
    Folder.

quoted(Term) ->
    lists:flatten(io_lib:format("~0p", [Term])).
