%% SPDX-License-Identifier: Apache-2.0
-module(two_carriers_SUITE).
-moduledoc """
Beside OTP's carrier on one node: the way from a TCP cluster to QUIC, node by node, and the guard that keeps a node from staying on TCP
by accident.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([speaks_tcp_to_an_old_node_and_quic_to_a_new_one/1, two_nodes_with_both_choose_quic/1, simultaneous_dials_over_both_settle/1,
         tcp_cluster_migrates_without_losing_a_message/1, application_refuses_a_node_on_tcp_alone/1,
         application_refuses_a_node_whose_quic_failed/1, application_refuses_a_doubled_flag/1, application_accepts_both_when_asked_for/1]).

-include_lib("kernel/include/net_address.hrl").

-import(barrel_p2p_test, [on/2, async/2, await/2, connect/2, connected/2, disconnect/2, start/3, wait_until/3, net_address/2]).

-define(BOTH, #{carrier => [inet_tcp, barrel_p2p]}).
-define(OLD, #{carrier => inet_tcp}).
-define(NEW, #{carrier => barrel_p2p}).

suite() ->
    [{timetrap, {minutes, 3}}].

all() ->
    [speaks_tcp_to_an_old_node_and_quic_to_a_new_one, two_nodes_with_both_choose_quic, simultaneous_dials_over_both_settle,
     tcp_cluster_migrates_without_losing_a_message, application_refuses_a_node_on_tcp_alone,
     application_refuses_a_node_whose_quic_failed, application_refuses_a_doubled_flag, application_accepts_both_when_asked_for].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:with_epmd(barrel_p2p_test:cluster(Config))} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

speaks_tcp_to_an_old_node_and_quic_to_a_new_one(Config) ->
    [Old, Both, New] = [start(cluster(Config), Name, Options) || {Name, Options} <- [{old, ?OLD}, {both, ?BOTH}, {new, ?NEW}]],
    [begin
         ok = connect(From, To),
         [Expected, Expected] = [protocol(From, To), protocol(To, From)],
         ok = talks(From, To),
         ok = disconnect(From, To)
     end || {From, To, Expected} <- [{Both, Old, tcp}, {Both, New, quic}, {Old, Both, tcp}, {New, Both, quic}]],
    %% Old and new have no common carrier.
    Unreachable = maps:get(node, New),
    false = on(Old, fun() -> net_kernel:connect_node(Unreachable) end).

two_nodes_with_both_choose_quic(Config) ->
    [One, Two] = [start(cluster(Config), Name, ?BOTH) || Name <- [one, two]],
    [begin
         ok = connect(From, To),
         quic = protocol(From, To),
         ok = disconnect(From, To)
     end || {From, To} <- [{One, Two}, {Two, One}]],
    ok.

simultaneous_dials_over_both_settle(Config) ->
    #{node := NodeOne} = One = start(cluster(Config), one, ?BOTH),
    #{node := NodeTwo} = Two = start(cluster(Config), two, ?BOTH),
    [begin
         Dials = [async(From, fun() -> net_kernel:connect_node(To) end) || {From, To} <- [{One, NodeTwo}, {Two, NodeOne}]],
         [true, true] = [await(Dial, 10_000) || Dial <- Dials],
         ok = talks(One, Two),
         ok = disconnect(One, Two)
     end || _ <- lists:seq(1, barrel_p2p_test:rounds(20))],
    ok.

%% First every node gets the second carrier, then loses the first. While one restarts, the other two talk on and nothing of it is lost.
tcp_cluster_migrates_without_losing_a_message(Config) ->
    Names = [a, b, c],
    Cluster0 = maps:from_list([{Name, start(cluster(Config), Name, ?OLD)} || Name <- Names]),
    ok = everyone_connected(Cluster0),
    Steps = [{Name, Options} || Options <- [?BOTH, ?NEW], Name <- Names],
    Final = lists:foldl(fun({Name, Options}, Cluster) -> migrate(Config, Name, Options, Cluster) end, Cluster0, Steps),
    [quic = protocol(map_get(From, Final), map_get(To, Final)) || From <- Names, To <- Names, From =/= To],
    ok.

migrate(Config, Name, Options, Cluster) ->
    [One, Two] = maps:values(maps:remove(Name, Cluster)),
    Before = protocol(One, Two),
    Conversation = begin_conversation(One, Two),
    Leaving = map_get(Name, Cluster),
    ok = on(Leaving, fun init:stop/0),
    ok = wait_until(stopped, fun() -> not barrel_p2p_test:alive(Leaving) end, 10_000),
    After = Cluster#{Name := start(cluster(Config), Name, Options)},
    ok = everyone_connected(After),
    {said_and_answered, _} = end_conversation(Conversation),
    Before = protocol(One, Two),
    After.

everyone_connected(Cluster) ->
    Nodes = [Node || #{node := Node} <- maps:values(Cluster)],
    Everyone = [{ok, Node} || Node <- Nodes],
    wait_until(everyone, fun() ->
                             [Everyone] =:= lists:usort([on(P, fun() -> erpc:multicall(Nodes, erlang, node, [], 5_000) end)
                                                         || P <- maps:values(Cluster)])
                         end, 10_000).

%% Every number is answered before the next is said, and the speaker watches the listener: neither a gap nor a lost connection goes unseen.
begin_conversation(One, #{node := Node} = Two) ->
    Listener = on(Two, fun() -> spawn(fun() -> listen(1) end) end),
    Speaker = async(One, fun() ->
                             true = register(speaker, self()),
                             Ref = monitor(process, Listener),
                             Said = speak(1, Listener, Ref),
                             true = demonitor(Ref, [flush]),
                             unregister(speaker),
                             _ = exit(Listener, kill),
                             Said
                         end),
    ok = wait_until({speaking_to, Node}, fun() -> is_pid(on(One, fun() -> whereis(speaker) end)) end, 5_000),
    {One, Speaker}.

end_conversation({One, Speaker}) ->
    _ = on(One, fun() -> speaker ! enough end),
    await(Speaker, 10_000).

speak(N, Listener, Ref) ->
    Listener ! {say, N, self()},
    receive {answer, N} -> ok; {'DOWN', Ref, _, _, Reason} -> error({lost_at, N, Reason}) after 5_000 -> error({unanswered, N}) end,
    %% A node of a newer OTP restarts before much is said.
    receive enough when N > 100 -> {said_and_answered, N} after 1 -> speak(N + 1, Listener, Ref) end.

listen(N) ->
    receive {say, N, From} -> From ! {answer, N}, listen(N + 1) end.

protocol(From, To) ->
    #net_address{protocol = Protocol} = net_address(From, To),
    Protocol.

talks(#{node := NodeOne} = One, #{node := NodeTwo} = Two) ->
    NodeTwo = on(One, fun() -> erpc:call(NodeTwo, erlang, node, []) end),
    NodeOne = on(Two, fun() -> erpc:call(NodeOne, erlang, node, []) end),
    true = connected(One, Two),
    ok.

application_refuses_a_node_on_tcp_alone(Config) ->
    refused(start(cluster(Config), alpha, ?OLD), <<"runs over inet_tcp">>).

%% Both were asked for and the UDP port was taken: OTP goes on with TCP alone, the application does not.
application_refuses_a_node_whose_quic_failed(Config) ->
    Port = barrel_p2p_test:free_port(),
    {ok, Holder} = gen_udp:open(Port, []),
    ok = refused(start(cluster(Config), alpha, maps:merge(?BOTH, #{config => [{listen_port, Port}]})), <<"runs over inet_tcp">>),
    ok = gen_udp:close(Holder).

%% OTP 25 reads two flags as none and takes TCP, 27 and 29 take the first.
application_refuses_a_doubled_flag(Config) ->
    refused(start(cluster(Config), alpha, maps:merge(?OLD, #{args => ["-proto_dist", "barrel_p2p"]})), <<"-proto_dist is given more than once">>).

%% The words are in the error of the start and in one line of the log.
refused(P, Words) ->
    {error, {barrel_p2p, {{barrel_p2p, Text}, _}}} = on(P, fun() -> application:ensure_all_started(barrel_p2p) end),
    ct:pal("~ts", [Text]),
    true = binary:match(list_to_binary(Text), Words) =/= nomatch,
    barrel_p2p_test:logged(P, Words).

application_accepts_both_when_asked_for(Config) ->
    P = start(cluster(Config), alpha, ?BOTH),
    {ok, _} = on(P, fun() -> application:ensure_all_started(barrel_p2p) end),
    ok = on(P, fun() -> application:stop(barrel_p2p) end).
