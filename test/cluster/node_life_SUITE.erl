%% SPDX-License-Identifier: Apache-2.0
-module(node_life_SUITE).
-moduledoc """
Nodes of every kind: hidden, dynamically named, short and long names, not listening, on IPv6, with distribution started, stopped and
restarted at run time, and seen from a remote shell.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([hidden_node_is_connected_but_not_visible/1, remote_shell_with_a_name/1, remote_shell_with_a_dynamic_name/1,
         dynamic_name_is_given_by_the_first_peer/1, dynamic_short_name/1, short_names_connect/1, short_and_long_names_do_not_mix/1,
         node_that_does_not_listen_can_dial/1, ipv6_address_is_dialled/1, distribution_starts_and_stops_at_run_time/1,
         restarted_system_comes_back/1, monitor_nodes_tells_type_and_reason/1, stopped_node_leaves_no_address_behind/1]).

-include_lib("kernel/include/net_address.hrl").

-import(barrel_p2p_test, [on/2, connect/2, disconnect/2, start/2, start/3, wait_until/3]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [hidden_node_is_connected_but_not_visible, remote_shell_with_a_name, remote_shell_with_a_dynamic_name,
     dynamic_name_is_given_by_the_first_peer, dynamic_short_name, short_names_connect, short_and_long_names_do_not_mix,
     node_that_does_not_listen_can_dial, ipv6_address_is_dialled, distribution_starts_and_stops_at_run_time,
     restarted_system_comes_back, monitor_nodes_tells_type_and_reason, stopped_node_leaves_no_address_behind].

init_per_testcase(Case, Config) when Case =:= ipv6_address_is_dialled; Case =:= stopped_node_leaves_no_address_behind ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> with_cluster(Config);
        Skip -> Skip
    end;
init_per_testcase(Case, Config) when Case =:= remote_shell_with_a_name; Case =:= remote_shell_with_a_dynamic_name ->
    case os:find_executable("script") of
        false -> {skip, "script(1) is not installed, and a remote shell wants a terminal"};
        _ -> with_cluster(Config)
    end;
init_per_testcase(_Case, Config) ->
    with_cluster(Config).

with_cluster(Config) ->
    [{cluster, barrel_p2p_test:cluster(Config)} | Config].

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

hidden_node_is_connected_but_not_visible(Config) ->
    A = start(cluster(Config), alpha),
    H = start(cluster(Config), hidden, #{args => ["-hidden"]}),
    ok = connect(A, H),
    [NodeA, NodeH] = [Node || #{node := Node} <- [A, H]],
    {[], [NodeH]} = on(A, fun() -> {nodes(), nodes(hidden)} end),
    {[], [NodeA]} = on(H, fun() -> {nodes(), nodes(hidden)} end),
    NodeH = on(A, fun() -> erpc:call(NodeH, erlang, node, []) end),
    ok = disconnect(H, A),
    ok = connect(H, A),
    {[], [NodeH]} = on(A, fun() -> {nodes(), nodes(hidden)} end).

remote_shell_with_a_name(Config) ->
    remote_shell(Config, visitor).

remote_shell_with_a_dynamic_name(Config) ->
    remote_shell(Config, undefined).

remote_shell(Config, Name) ->
    Cluster = cluster(Config),
    Node = maps:get(node, start(Cluster, target)),
    Arguments = barrel_p2p_test:arguments(Cluster, Name, #{args => ["-remsh", atom_to_list(Node)]}),
    Line = lists:join($\s, ["'" ++ A ++ "'" || A <- [os:find_executable("erl") | Arguments]]),
    Environment = barrel_p2p_test:boot_environment(Cluster, maps:get(dir, Cluster)),
    Shell = open_port({spawn_executable, os:find_executable("script")},
                      [{args, ["-qec", lists:flatten(Line), "/dev/null"]}, {env, Environment}, binary, exit_status, stderr_to_stdout]),
    {os_pid, OsPid} = erlang:port_info(Shell, os_pid),
    try
        Prompt = iolist_to_binary(["(", atom_to_list(Node), ")"]),
        ok = until_output(Shell, Prompt, <<>>),
        true = port_command(Shell, "{node(), 6 * 7}.\n"),
        ok = until_output(Shell, iolist_to_binary(io_lib:format("{~p,42}", [Node])), <<>>)
    after
        os:cmd("kill " ++ integer_to_list(OsPid)),
        try port_close(Shell) catch error:badarg -> true end
    end.

until_output(Port, Wanted, Seen) ->
    receive
        {Port, {data, Data}} ->
            All = <<Seen/binary, Data/binary>>,
            case binary:match(All, Wanted) of
                nomatch -> until_output(Port, Wanted, All);
                _ -> ok
            end;
        {Port, {exit_status, Status}} -> error({exited, Status, Seen})
    after 15_000 ->
        error({not_seen, Wanted, Seen})
    end.

dynamic_name_is_given_by_the_first_peer(Config) ->
    A = start(cluster(Config), alpha),
    Nobody = start(cluster(Config), undefined),
    named_by(A, Nobody).

dynamic_short_name(Config) ->
    A = start(cluster(Config), alpha, #{names => short, host => "localhost"}),
    Nobody = start(cluster(Config), undefined, #{names => short, host => "localhost"}),
    named_by(A, Nobody).

%% The name lasts as long as the connection; the next connection gives one again.
named_by(#{node := NodeA} = A, Nobody) ->
    nonode@nohost = maps:get(node, Nobody),
    Names = [begin
                 true = on(Nobody, fun() -> net_kernel:connect_node(NodeA) end),
                 Name = on(Nobody, fun() -> node() end),
                 true = Name =/= nonode@nohost,
                 ok = wait_until(given, fun() -> on(A, fun() -> nodes(hidden) end) =:= [Name] end, 5_000),
                 [] = on(A, fun() -> nodes() end),
                 Name = on(A, fun() -> erpc:call(Name, erlang, node, []) end),
                 NodeA = on(Nobody, fun() -> erpc:call(NodeA, erlang, node, []) end),
                 _ = on(Nobody, fun() -> erlang:disconnect_node(NodeA) end),
                 ok = wait_until(taken_back, fun() -> on(Nobody, fun() -> node() end) =:= nonode@nohost end, 5_000),
                 ok = wait_until(forgotten, fun() -> on(A, fun() -> nodes(hidden) end) =:= [] end, 5_000),
                 Name
             end || _ <- [first, second]],
    2 = length(Names).

short_names_connect(Config) ->
    [A, B] = [start(cluster(Config), Name, #{names => short, host => "localhost"}) || Name <- [alpha, beta]],
    ['alpha@localhost', 'beta@localhost'] = [Node || #{node := Node} <- [A, B]],
    ok = connect(A, B),
    ok = disconnect(A, B),
    ok = connect(B, A).

short_and_long_names_do_not_mix(Config) ->
    #{node := Short} = S = start(cluster(Config), alpha, #{names => short, host => "localhost"}),
    #{node := Long} = L = start(cluster(Config), beta),
    false = on(L, fun() -> net_kernel:connect_node(Short) end),
    false = on(S, fun() -> net_kernel:connect_node(Long) end).

node_that_does_not_listen_can_dial(Config) ->
    A = start(cluster(Config), alpha),
    #{node := Caller} = C = start(cluster(Config), caller, #{args => ["-dist_listen", "false"]}),
    ok = connect(C, A),
    Caller = on(A, fun() -> erpc:call(Caller, erlang, node, []) end),
    ok = disconnect(A, C),
    %% Nobody can dial it: there is no address.
    false = on(A, fun() -> net_kernel:connect_node(Caller) end),
    ok = connect(C, A).

ipv6_address_is_dialled(Config) ->
    #{node := NodeA} = A = start(cluster(Config), alpha),
    {_, Port} = barrel_p2p_test:published(cluster(Config), NodeA),
    Backends = {discovery_backends, [barrel_p2p_discovery_static]},
    [begin
         B = start(cluster(Config), Name, #{config => [Backends, {discovery_nodes, [Entry]}]}),
         ok = connect(B, A),
         #net_address{address = {{0, 0, 0, 0, 0, 0, 0, 1}, Port}} = barrel_p2p_test:net_address(B, A)
     end || {Name, Entry} <- [{beta, {NodeA, {"::1", Port}}}, {gamma, {NodeA, "::1", Port}}]].

%% Three times: the port is free again each time, and peers reach the node both ways.
distribution_starts_and_stops_at_run_time(Config) ->
    #{node := NodeA} = A = start(cluster(Config), alpha),
    P = start(cluster(Config), none, #{data => "late", port => barrel_p2p_test:free_port()}),
    Late = 'late@127.0.0.1',
    _ = [begin
             {ok, _} = on(P, fun() -> net_kernel:start(Late, #{name_domain => longnames}) end),
             true = on(A, fun() -> net_kernel:connect_node(Late) end),
             NodeA = on(P, fun() -> erpc:call(NodeA, erlang, node, []) end),
             true = on(A, fun() -> erlang:disconnect_node(Late) end),
             true = on(P, fun() -> net_kernel:connect_node(NodeA) end),
             ok = on(P, fun() -> net_kernel:stop() end),
             nonode@nohost = on(P, fun() -> node() end),
             ok = wait_until(stop_seen, fun() -> on(A, fun() -> nodes(connected) end) =:= [] end, 1_000)
         end || _ <- [1, 2, 3]],
    ok.

%% init:restart/0 ends distribution and begins it again in the same operating system process, under the same name.
restarted_system_comes_back(Config) ->
    #{node := NodeA} = A = start(cluster(Config), alpha),
    #{node := NodeB} = B = start(cluster(Config), beta, #{port => barrel_p2p_test:free_port()}),
    ok = connect(A, B),
    Before = on(A, fun() -> erpc:call(NodeB, erlang, system_info, [creation]) end),
    ok = on(A, fun() -> rpc:call(NodeB, init, restart, []) end),
    Answer = fun() -> on(A, fun() -> rpc:call(NodeB, erlang, system_info, [creation]) end) end,
    ok = wait_until(back, fun() -> C = Answer(), is_integer(C) andalso C =/= Before end, 15_000),
    NodeA = on(A, fun() -> rpc:call(NodeB, rpc, call, [NodeA, erlang, node, []]) end).

monitor_nodes_tells_type_and_reason(Config) ->
    #{node := NodeA} = A = start(cluster(Config), alpha),
    #{node := NodeB} = B = start(cluster(Config), beta),
    H = start(cluster(Config), hidden, #{args => ["-hidden"]}),
    Options = [{node_type, all}, nodedown_reason],
    Watchers = [barrel_p2p_test:async(P, fun() -> events(Options, Count) end) || {P, Count} <- [{A, 3}, {B, 2}]],
    ok = wait_until(watching, fun() -> [] =:= [P || P <- [A, B], on(P, fun() -> whereis(watcher) end) =:= undefined] end, 5_000),
    ok = connect(A, B),
    ok = disconnect(A, B),
    ok = connect(H, A),
    [OnA, OnB] = [barrel_p2p_test:await(W, 10_000) || W <- Watchers],
    [{nodeup, NodeB, #{node_type := visible}}, {nodedown, NodeB, #{node_type := visible, nodedown_reason := disconnect}},
     {nodeup, 'hidden@127.0.0.1', #{node_type := hidden}}] = OnA,
    [{nodeup, NodeA, #{node_type := visible}}, {nodedown, NodeA, #{node_type := visible, nodedown_reason := Reason}}] = OnB,
    true = Reason =/= disconnect.

events(Options, Count) ->
    ok = net_kernel:monitor_nodes(true, Options),
    true = register(watcher, self()),
    [receive {What, Node, Info} -> {What, Node, maps:from_list(Info)} after 10_000 -> nothing end || _ <- lists:seq(1, Count)].

%% Neither after an orderly stop nor after halt; kill -9 may leave one, and the next start overwrites it.
stopped_node_leaves_no_address_behind(Config) ->
    Cluster = cluster(Config),
    [begin
         #{node := Node} = P = start(Cluster, alpha),
         {_, _} = barrel_p2p_test:published(Cluster, Node),
         _ = barrel_p2p_test:async(P, End),
         ok = wait_until(ended, fun() -> not barrel_p2p_test:alive(P) end, 10_000),
         none = barrel_p2p_test:published(Cluster, Node)
     end || End <- [fun init:stop/0, fun erlang:halt/0]],
    ok = barrel_p2p_test:kill(start(Cluster, alpha)),
    {_, Stale} = barrel_p2p_test:published(Cluster, 'alpha@127.0.0.1'),
    New = barrel_p2p_test:free_port(),
    _ = start(Cluster, alpha, #{port => New}),
    {_, New} = barrel_p2p_test:published(Cluster, 'alpha@127.0.0.1'),
    true = New =/= Stale.
