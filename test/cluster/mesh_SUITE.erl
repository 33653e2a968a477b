%% SPDX-License-Identifier: Apache-2.0
-module(mesh_SUITE).
-moduledoc """
The connections are those that the application opened. `global` neither meshes the nodes nor cuts links, unless it was asked for with
`-connect_all true`; then it does what it always did.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([line_stays_a_line/1, cut_of_one_link_cuts_no_other/1, services_work_along_the_line/1,
         connect_all_meshes_as_always/1, kernel_key_meshes_too/1,
         connect_all_on_one_node_alone_does_not_mesh/1, message_through_a_neighbour_opens_one_link/1]).

-import(barrel_p2p_test, [on/2, connect/2, disconnect/2, start/3, wait_until/3]).

%% How long global is given to misbehave. It needed at most 1.5 s to mesh four nodes when nothing held it.
-define(SETTLE_MS, 3_000).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [line_stays_a_line, cut_of_one_link_cuts_no_other, services_work_along_the_line, connect_all_meshes_as_always, kernel_key_meshes_too,
     connect_all_on_one_node_alone_does_not_mesh, message_through_a_neighbour_opens_one_link].

init_per_testcase(_Case, Config) ->
    [{cluster, barrel_p2p_test:cluster(Config)} | Config].

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

four(Config, Options) ->
    [start(proplists:get_value(cluster, Config), Name, Options) || Name <- [n1, n2, n3, n4]].

line(Config, Options) ->
    [N1, N2, N3, N4] = Nodes = four(Config, Options),
    ok = connect(N1, N2),
    ok = connect(N2, N3),
    ok = connect(N3, N4),
    Nodes.

%% Who is connected to whom, by the names before the @.
links(Nodes) ->
    [{short(Node), lists:sort([short(Other) || Other <- on(P, fun() -> nodes() end)])} || #{node := Node} = P <- Nodes].

short(Node) ->
    [Name, _] = string:split(atom_to_list(Node), "@"),
    list_to_atom(Name).

stays(Nodes, Expected) ->
    Deadline = erlang:monotonic_time(millisecond) + ?SETTLE_MS,
    stays_until(Deadline, Nodes, Expected).

stays_until(Deadline, Nodes, Expected) ->
    Expected = links(Nodes),
    case erlang:monotonic_time(millisecond) < Deadline of
        true -> receive after 50 -> stays_until(Deadline, Nodes, Expected) end;
        false -> ok
    end.

line_stays_a_line(Config) ->
    ok = stays(line(Config, #{}), [{n1, [n2]}, {n2, [n1, n3]}, {n3, [n2, n4]}, {n4, [n3]}]).

cut_of_one_link_cuts_no_other(Config) ->
    [N1, N2, N3, N4] = Nodes = four(Config, #{}),
    [ok = connect(From, To) || {From, To} <- [{N1, N2}, {N2, N3}, {N3, N4}, {N4, N1}, {N1, N3}]],
    ok = disconnect(N1, N3),
    ok = stays(Nodes, [{n1, [n2, n4]}, {n2, [n1, n3]}, {n3, [n2, n4]}, {n4, [n1, n3]}]).

%% pg and multicall see the neighbours, global locks work over named nodes, and none of it opens a link.
services_work_along_the_line(Config) ->
    [N1, N2 | _] = Nodes = line(Config, #{}),
    Join = fun() -> spawn(fun() -> {ok, _} = pg:start(mesh), ok = pg:join(mesh, all, self()), receive stop -> ok end end) end,
    Pids = [on(P, Join) || P <- Nodes],
    Members = fun() -> length(pg:get_members(mesh, all)) end,
    ok = wait_until(pg, fun() -> [2, 3, 3, 2] =:= [on(P, Members) || P <- Nodes] end, 5_000),
    [Node1, Node2] = [Node || #{node := Node} <- [N1, N2]],
    inside = on(N1, fun() -> global:trans({lock, self()}, fun() -> inside end, [Node1, Node2]) end),
    {[Node2], []} = on(N1, fun() -> rpc:multicall(nodes(), erlang, node, []) end),
    _ = [on(P, fun() -> exit(Pid, kill) end) || {P, Pid} <- lists:zip(Nodes, Pids)],
    ok = stays(Nodes, [{n1, [n2]}, {n2, [n1, n3]}, {n3, [n2, n4]}, {n4, [n3]}]).

connect_all_meshes_as_always(Config) ->
    Nodes = line(Config, #{connect_all => true}),
    Full = [{n1, [n2, n3, n4]}, {n2, [n1, n3, n4]}, {n3, [n1, n2, n4]}, {n4, [n1, n2, n3]}],
    ok = wait_until(full_mesh, fun() -> links(Nodes) =:= Full end, 15_000),
    %% Also its other half: a name registered on one end is known on the other.
    [N1, _, _, N4] = Nodes,
    yes = on(N1, fun() -> global:register_name(somebody, spawn(fun() -> receive stop -> ok end end)) end),
    true = is_pid(on(N4, fun() -> global:whereis_name(somebody) end)).

%% The same wish written as a key of `kernel`, on the command line and in a configuration file.
kernel_key_meshes_too(Config) ->
    #{dir := Dir} = Cluster = proplists:get_value(cluster, Config),
    File = filename:join(Dir, "mesh"),
    ok = file:write_file(File ++ ".config", "[{stdlib, []}, {kernel, [{connect_all, true}]}].\n"),
    Flags = #{args => ["-kernel", "connect_all", "true"]},
    [N1, N2, N3] = Nodes = [start(Cluster, Name, Options) || {Name, Options} <- [{n1, Flags}, {n2, #{args => ["-config", File]}}, {n3, Flags}]],
    ok = connect(N1, N2),
    ok = connect(N2, N3),
    ok = wait_until(full_mesh, fun() -> links(Nodes) =:= [{n1, [n2, n3]}, {n2, [n1, n3]}, {n3, [n1, n2]}] end, 15_000).

connect_all_on_one_node_alone_does_not_mesh(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    [N1, N2, N3] = Nodes = [start(Cluster, n1, #{connect_all => true}), start(Cluster, n2, #{}), start(Cluster, n3, #{})],
    ok = connect(N1, N2),
    ok = connect(N2, N3),
    ok = stays(Nodes, [{n1, [n2]}, {n2, [n1, n3]}, {n3, [n2]}]).

%% A process that a neighbour introduced is as far away as one message: OTP's default, and the way a line grows on purpose.
message_through_a_neighbour_opens_one_link(Config) ->
    [N1, #{node := Node2} | _] = Nodes = line(Config, #{}),
    'n3@127.0.0.1' = on(N1, fun() ->
                                Pid = erpc:call(Node2, fun() -> spawn('n3@127.0.0.1', fun() -> receive {who, P} -> P ! node() end end) end),
                                Pid ! {who, self()},
                                receive Node -> Node after 5_000 -> nothing end
                            end),
    ok = stays(Nodes, [{n1, [n2, n3]}, {n2, [n1, n3]}, {n3, [n1, n2, n4]}, {n4, [n3]}]).
