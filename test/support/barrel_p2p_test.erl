%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test).
-moduledoc """
Real nodes for the Common Test suites.

A cluster is a folder, a discovery folder in it and the peers started there; `stop/1` ends every one of them, whatever state they are in.
The control node that runs the suites is never distributed: it speaks to the peers over their standard input and output, so nothing a
test does to distribution can cut the test off.

`BARREL_P2P_TEST_CARRIER=inet_tcp` runs the same suites over the carrier of OTP, which shows that they describe what OTP does;
`BARREL_P2P_TEST_ERL` names the `erl` programs (separated by `:`) that the peers of a cluster use in turn.
""".

-export([carrier/0, only_over/1, seed/0, rounds/1]).
-export([cluster/1, with_epmd/1, stop/1, start/2, start/3, arguments/3, code_paths/0, boot_environment/2]).
-export([on/2, on/3, async/2, await/2]).
-export([kill/1, freeze/1, thaw/1, alive/1, logged/2]).
-export([connect/2, last_error/2, connected/2, disconnect/2, watch_down/2, net_address/2, published/2, free_port/0, wait_until/2, wait_until/3]).

-include_lib("kernel/include/net_address.hrl").

-export_type([cluster/0, peer/0, options/0]).

-type carrier() :: barrel_p2p | inet_tcp.
-type cluster() :: #{dir := file:filename(), table := ets:table(), keeper := pid(), epmd_port := inet:port_number() | undefined}.
-type peer() :: #{node := node(), control := pid(), os_pid := string(), dir := file:filename()}.
%% carrier: what the node speaks, last listed is asked first. host: the part after @. names: long or short. data: the folder name that
%% keeps keys, certificate and log (default: the node's own name). paths: code path (default: ours). port: where to listen (default: any).
%% config: application keys.
-type options() :: #{carrier => carrier() | [carrier()], host => string(), names => long | short, cookie => string(), data => string(),
                     paths => [file:filename()], port => inet:port_number(), config => [{atom(), term()}],
                    args => [string()], connect_all => boolean()}.

-define(STEP_MS, 10).
-define(CALL_TIMEOUT_MS, 60_000).

%% What the suites run over.

-spec carrier() -> carrier().
carrier() ->
    case os:getenv("BARREL_P2P_TEST_CARRIER", "barrel_p2p") of
        "barrel_p2p" -> barrel_p2p;
        "inet_tcp" -> inet_tcp
    end.

%% For init_per_suite and init_per_testcase: `run`, or the reason to skip what only makes sense over that carrier.
-spec only_over(carrier()) -> run | {skip, string()}.
only_over(Carrier) ->
    case carrier() of
        Carrier -> run;
        Other -> {skip, lists:concat(["only makes sense over ", Carrier, ", this run is over ", Other])}
    end.

%% Seeds the random numbers of the calling process; repeat a run by setting BARREL_P2P_SEED to the number printed.
-spec seed() -> integer().
seed() ->
    Seed = case os:getenv("BARREL_P2P_SEED") of
               false -> erlang:phash2({os:getpid(), erlang:system_time()});
               Text -> list_to_integer(Text)
           end,
    ct:pal("BARREL_P2P_SEED=~b", [Seed]),
    _ = rand:seed(exsss, Seed),
    Seed.

%% How often a repeated experiment is repeated: BARREL_P2P_ROUNDS is a percentage of the full length.
-spec rounds(pos_integer()) -> pos_integer().
rounds(Full) ->
    max(1, Full * list_to_integer(os:getenv("BARREL_P2P_ROUNDS", "100")) div 100).

%% Clusters and peers.

-spec cluster(ct_suite:ct_config()) -> cluster().
cluster(Config) ->
    Dir = filename:join(proplists:get_value(priv_dir, Config), "cluster-" ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = filelib:ensure_path(filename:join(Dir, "discovery")),
    {Keeper, Table} = keeper(),
    Cluster = #{dir => Dir, table => Table, keeper => Keeper, epmd_port => undefined},
    case carrier() of
        barrel_p2p -> Cluster;
        inet_tcp -> with_epmd(Cluster)
    end.

%% OTP's carrier needs an epmd: a private one, so that nothing outside this run is touched.
-spec with_epmd(cluster()) -> cluster().
with_epmd(#{keeper := Keeper} = Cluster) ->
    Number = free_port(),
    _ = spawn(fun() -> epmd_owner(Keeper, Number) end),
    ok = wait_until(epmd, fun() ->
                         case gen_tcp:connect({127, 0, 0, 1}, Number, []) of
                             {ok, Socket} -> gen_tcp:close(Socket) =:= ok;
                             {error, _} -> false
                         end
                     end, 5_000),
    Cluster#{epmd_port => Number}.

-spec stop(cluster()) -> ok.
stop(#{table := Table, keeper := Keeper}) ->
    _ = [force(OsPid, "KILL") || {_, #{os_pid := OsPid, control := Control}} <- ets:tab2list(Table), is_process_alive(Control)],
    Keeper ! stop,
    ok.

-spec start(cluster(), atom()) -> peer().
start(Cluster, Name) ->
    start(Cluster, Name, #{}).

-spec start(cluster(), atom(), options()) -> peer().
start(#{table := Table} = Cluster, Name, Options) ->
    Dir = data_dir(Cluster, Name, Options),
    {ok, Control, _} = peer:start(#{connection => standard_io, peer_down => stop, wait_boot => 30_000, shutdown => close,
                                    exec => {"/bin/sh", ["-c", "exec \"$0\" \"$@\" 2>>\"$PEER_STDERR\"", erl(Table)]},
                                    env => boot_environment(Cluster, Dir), args => arguments(Cluster, Name, Options) ++ log_arguments(Dir)}),
    Peer = #{node => peer:call(Control, erlang, node, []), control => Control, os_pid => peer:call(Control, os, getpid, []), dir => Dir},
    true = ets:insert(Table, {Control, Peer}),
    Peer.

%% The command line of a node. `undefined` asks for a dynamic name, `none` for a node that is not distributed.
-spec arguments(cluster(), atom(), options()) -> [string()].
arguments(#{dir := Root} = Cluster, Name, Options) ->
    Dir = data_dir(Cluster, Name, Options),
    Carriers = lists:flatten([maps:get(carrier, Options, carrier())]),
    lists:append([["-pa" | maps:get(paths, Options, code_paths())],
                  name_arguments(Name, Options),
                  ["-setcookie", maps:get(cookie, Options, "suite"), "-proto_dist" | [atom_to_list(C) || C <- Carriers]],
                  tcp_arguments(lists:member(inet_tcp, Carriers), Options),
                  own_arguments(lists:member(barrel_p2p, Carriers), Root, Dir, Options),
                  connect_all_arguments(Carriers, Options),
                  maps:get(args, Options, [])]).

-spec boot_environment(cluster(), file:filename()) -> [{string(), string() | false}].
boot_environment(#{epmd_port := Port}, Dir) ->
    Epmd = [{"ERL_EPMD_PORT", integer_to_list(Port)} || Port =/= undefined],
    Epmd ++ [{"PEER_STDERR", filename:join(Dir, "stderr")}, {"ERL_CRASH_DUMP", filename:join(Dir, "erl_crash.dump")}, {"TERM", "xterm"},
             {"ERL_FLAGS", false}, {"ERL_AFLAGS", false}, {"ERL_ZFLAGS", false}].

%% Everything on our code path that is not part of OTP: the library and the compiled suites.
-spec code_paths() -> [file:filename()].
code_paths() ->
    Otp = code:root_dir(),
    [Path || Path <- lists:usort([filename:absname(P) || P <- code:get_path()]), not lists:prefix(Otp, Path), filelib:is_dir(Path)].

data_dir(#{dir := Root}, Name, Options) ->
    Dir = filename:join(Root, maps:get(data, Options, atom_to_list(Name))),
    ok = filelib:ensure_path(Dir),
    Dir.

name_arguments(none, _Options) ->
    [];
name_arguments(Name, Options) ->
    Flag = case maps:get(names, Options, long) of long -> "-name"; short -> "-sname" end,
    [Flag, lists:concat([Name, "@", maps:get(host, Options, "127.0.0.1")])].

tcp_arguments(false, _Options) -> [];
tcp_arguments(true, #{port := Port}) ->
    Number = integer_to_list(Port),
    ["-kernel", "inet_dist_listen_min", Number, "inet_dist_listen_max", Number | tcp_arguments(true, #{})];
tcp_arguments(true, _Options) ->
    ["-kernel", "inet_dist_use_interface", "{127,0,0,1}"].

%% Each key once: which of two values wins is not defined.
own_arguments(false, _Root, _Dir, _Options) -> [];
own_arguments(true, Root, Dir, Options) ->
    Defaults = #{auth_key_dir => filename:join(Dir, "keys"), quic_cert_dir => filename:join(Dir, "quic"),
                 discovery_dir => filename:join(Root, "discovery"), listen_port => maps:get(port, Options, 0)},
    Keys = maps:merge(Defaults, maps:from_list(maps:get(config, Options, []))),
    ["-epmd_module", "barrel_p2p_epmd", "-start_epmd", "false" | lists:append([["-barrel_p2p", atom_to_list(Key), term(Value)]
                                                                               || {Key, Value} <- maps:to_list(Keys)])].

%% Our carrier keeps `global` from meshing by itself; over OTP's the documented flag does it, so that both run the same tests.
connect_all_arguments(_Carriers, #{connect_all := Wanted}) -> ["-connect_all", atom_to_list(Wanted)];
connect_all_arguments([inet_tcp], _Options) -> ["-connect_all", "false"];
connect_all_arguments(_Carriers, _Options) -> [].

term(Value) ->
    lists:flatten(io_lib:format("~0p", [Value])).

%% Unbuffered, so that the last line before a kill is in the file.
log_arguments(Dir) ->
    Config = #{file => filename:join(Dir, "log"), modes => [raw, append]},
    ["-kernel", "logger", term([{handler, default, logger_std_h, #{config => Config}}])].

erl(Table) ->
    Programs = string:split(os:getenv("BARREL_P2P_TEST_ERL", os:find_executable("erl")), ":", all),
    lists:nth(1 + ets:info(Table, size) rem length(Programs), Programs).

%% A table that outlives the process of one test case.
keeper() ->
    Self = self(),
    Keeper = spawn(fun() ->
                       Self ! {self(), ets:new(?MODULE, [public])},
                       receive stop -> ok end
                   end),
    receive {Keeper, Table} -> {Keeper, Table} end.

%% epmd does not care about its parent: the shell ends it when the port to it is closed, by us or by our death.
epmd_owner(Keeper, Number) ->
    Ref = monitor(process, Keeper),
    Port = open_port({spawn_executable, "/bin/sh"},
                     [{args, ["-c", "\"$0\" \"$@\" & read -r closed; kill $!", os:find_executable("epmd"),
                              "-port", integer_to_list(Number), "-address", "127.0.0.1"]}, stderr_to_stdout]),
    receive {'DOWN', Ref, process, Keeper, _} -> port_close(Port) end.

%% Work on a peer.

-spec on(peer(), fun(() -> Result)) -> Result.
on(Peer, Fun) ->
    on(Peer, Fun, ?CALL_TIMEOUT_MS).

-spec on(peer(), fun(() -> Result), timeout()) -> Result.
on(#{control := Control}, Fun, Timeout) ->
    peer:call(Control, erlang, apply, [Fun, []], Timeout).

%% Runs the fun on the peer while the caller goes on; await/2 gives the result, or fails like the fun did.
-spec async(peer(), fun(() -> term())) -> {pid(), reference()}.
async(Peer, Fun) ->
    spawn_monitor(fun() -> exit({result, on(Peer, Fun)}) end).

-spec await({pid(), reference()}, timeout()) -> term().
await({Pid, Monitor}, Timeout) ->
    receive
        {'DOWN', Monitor, process, Pid, {result, Result}} -> Result;
        {'DOWN', Monitor, process, Pid, Reason} -> error(Reason)
    after Timeout ->
        error({no_answer_after_ms, Timeout})
    end.

%% kill -9. Returns when the process is gone, without any word to its peers.
-spec kill(peer()) -> ok.
kill(#{os_pid := OsPid} = Peer) ->
    force(OsPid, "KILL"),
    wait_until(killed, fun() -> not alive(Peer) end, 5_000).

-spec freeze(peer()) -> ok.
freeze(#{os_pid := OsPid}) -> force(OsPid, "STOP").

-spec thaw(peer()) -> ok.
thaw(#{os_pid := OsPid}) -> force(OsPid, "CONT").

%% Is the operating system process still there?
-spec alive(peer()) -> boolean().
alive(#{control := Control}) ->
    is_process_alive(Control).

force(OsPid, Signal) ->
    _ = os:cmd("kill -" ++ Signal ++ " " ++ OsPid),
    ok.

%% Returns when one line of the log of the peer, or of what it wrote to standard error, has the words.
-spec logged(peer(), unicode:chardata()) -> ok.
logged(#{dir := Dir}, Words) ->
    Pattern = unicode:characters_to_binary(Words),
    Files = [filename:join(Dir, Name) || Name <- ["log", "stderr"]],
    wait_until({logged, Pattern, Dir}, fun() -> lists:any(fun(File) -> has_line(File, Pattern) end, Files) end, 2_000).

has_line(File, Pattern) ->
    case file:read_file(File) of
        {ok, Text} -> lists:any(fun(Line) -> binary:match(Line, Pattern) =/= nomatch end, binary:split(Text, <<"\n">>, [global]));
        {error, enoent} -> false
    end.

%% Connections.

%% Dials from the first to the second and returns when both have the other.
-spec connect(peer(), peer()) -> ok.
connect(From, #{node := Node} = To) ->
    on(From, fun() -> net_kernel:connect_node(Node) end) =:= true orelse error({not_connected, Node, last_error(From, Node)}),
    wait_until({connected, Node}, fun() -> connected(From, To) andalso connected(To, From) end, 5_000).

%% What our carrier says about the last failure; OTP's says nothing.
-spec last_error(peer(), node()) -> term().
last_error(Peer, Node) ->
    case carrier() of
        barrel_p2p -> on(Peer, fun() -> barrel_p2p:last_error(Node) end);
        inet_tcp -> unknown
    end.

-spec connected(peer(), peer()) -> boolean().
connected(From, #{node := Node}) ->
    lists:member(Node, on(From, fun() -> nodes(connected) end)).

%% Cuts the connection from the first side and returns when neither has the other.
%%
%% OTP itself sends over every new connection: the observer of its rpc server asks the rpc server of the node that came up, over any carrier.
%% A question or an answer that is late by as much as the cut is fast dials the node again, so the cut waits until both were answered.
-spec disconnect(peer(), peer()) -> ok.
disconnect(From, #{node := Node} = To) ->
    ok = wait_until({introduced, Node}, fun() -> introduced(From, To) andalso introduced(To, From) end, 5_000),
    _ = on(From, fun() -> erlang:disconnect_node(Node) end),
    wait_until({disconnected, Node}, fun() -> forgotten(From, To) andalso forgotten(To, From) end, 5_000).

%% Has the rpc server of the first node its answer from the second? It does not ask hidden nodes.
introduced(From, #{node := Node}) ->
    on(From, fun() -> not lists:member(Node, nodes()) orelse rpc_server_knows(Node) end).

%% Neither the connection nor the answer that came over it: the next connection must not be taken for introduced by the last one's answer.
forgotten(From, #{node := Node}) ->
    on(From, fun() -> not lists:member(Node, nodes(connected)) andalso not rpc_server_knows(Node) end).

%% The table is internal to OTP and the same on 25, 27 and 29; a release without it fails here, not by chance.
rpc_server_knows(Node) ->
    ets:member(persistent_term:get(rex_nodes_observer), Node).

%% Returns when the first peer is watching the second. await/2 then tells when it saw it go down, in os:system_time(millisecond), and why.
-spec watch_down(peer(), peer()) -> {pid(), reference()}.
watch_down(Survivor, #{node := Node}) ->
    Name = list_to_atom("watch_" ++ atom_to_list(Node)),
    Watch = async(Survivor, fun() ->
                                ok = net_kernel:monitor_nodes(true, [nodedown_reason, {node_type, all}]),
                                true = register(Name, self()),
                                receive {nodedown, Node, Info} -> {os:system_time(millisecond), proplists:get_value(nodedown_reason, Info)} end
                            end),
    ok = wait_until(watching, fun() -> on(Survivor, fun() -> whereis(Name) end) =/= undefined end, 5_000),
    Watch.

%% The address of the second node as the first one sees it.
-spec net_address(peer(), peer()) -> #net_address{}.
net_address(Peer, #{node := Node}) ->
    {ok, #net_address{} = Address} = on(Peer, fun() -> net_kernel:node_info(Node, address) end),
    Address.

%% What the node has written into the discovery folder.
-spec published(cluster(), node()) -> {Host :: string(), inet:port_number()} | none.
published(#{dir := Dir}, Node) ->
    case file:consult(filename:join([Dir, "discovery", atom_to_list(Node) ++ ".endpoint"])) of
        {ok, [{_Host, _Port} = Address]} -> Address;
        {error, enoent} -> none
    end.

%% A port that is free for TCP and UDP right now.
-spec free_port() -> inet:port_number().
free_port() ->
    {ok, Tcp} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, Number} = inet:port(Tcp),
    Udp = gen_udp:open(Number, [{ip, {127, 0, 0, 1}}]),
    ok = gen_tcp:close(Tcp),
    case Udp of
        {ok, Socket} -> gen_udp:close(Socket), Number;
        {error, eaddrinuse} -> free_port()
    end.

-spec wait_until(fun(() -> boolean() | {true, Value}), pos_integer()) -> ok | Value.
wait_until(Condition, Milliseconds) ->
    wait_until(condition, Condition, Milliseconds).

%% Asks until the answer is true; What names the promise that was broken when the time is over.
-spec wait_until(What :: term(), fun(() -> boolean() | {true, Value}), pos_integer()) -> ok | Value.
wait_until(What, Condition, Milliseconds) ->
    poll(What, Condition, Milliseconds, erlang:monotonic_time(millisecond) + Milliseconds).

poll(What, Condition, Milliseconds, Deadline) ->
    case Condition() of
        true -> ok;
        {true, Value} -> Value;
        false ->
            erlang:monotonic_time(millisecond) > Deadline andalso error({not_within_ms, Milliseconds, What}),
            receive after ?STEP_MS -> poll(What, Condition, Milliseconds, Deadline) end
    end.
