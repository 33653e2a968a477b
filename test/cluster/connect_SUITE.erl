%% SPDX-License-Identifier: Apache-2.0
-module(connect_SUITE).
-moduledoc """
Connections come up and go away without residue: dialled from both sides at once, over and over, slowly, by many, to nobody.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([simultaneous_connects_all_succeed/1, simultaneous_first_contacts_all_succeed/1, churn_leaves_no_process_behind/1, many_dial_one_at_once/1,
         messages_sent_during_a_slow_setup_arrive_in_order/1, dial_to_a_dead_port_fails_within_two_seconds/1,
         dial_to_an_unknown_name_fails_at_once/1, dial_to_a_silent_address_gives_up_in_time/1, call_to_a_dead_node_fails_within_two_seconds/1,
         default_redials_by_itself/1, once_does_not_redial/1, never_dials_only_when_told/1]).

-import(barrel_p2p_test, [on/2, async/2, await/2, connect/2, connected/2, disconnect/2, start/2, start/3, wait_until/3]).

-define(DEAD, 'dead@127.0.0.1').

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [simultaneous_connects_all_succeed, simultaneous_first_contacts_all_succeed, churn_leaves_no_process_behind, many_dial_one_at_once,
     messages_sent_during_a_slow_setup_arrive_in_order, dial_to_a_dead_port_fails_within_two_seconds,
     dial_to_an_unknown_name_fails_at_once, dial_to_a_silent_address_gives_up_in_time, call_to_a_dead_node_fails_within_two_seconds,
     default_redials_by_itself, once_does_not_redial, never_dials_only_when_told].

init_per_testcase(Case, Config) when Case =:= dial_to_a_dead_port_fails_within_two_seconds;
                                     Case =:= dial_to_a_silent_address_gives_up_in_time;
                                     Case =:= call_to_a_dead_node_fails_within_two_seconds ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> with_cluster(Config);
        Skip -> Skip
    end;
init_per_testcase(_Case, Config) ->
    with_cluster(Config).

with_cluster(Config) ->
    [{cluster, barrel_p2p_test:cluster(Config)} | Config].

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

pair(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    {start(Cluster, alpha), start(Cluster, beta)}.

simultaneous_connects_all_succeed(Config) ->
    {A, B} = pair(Config),
    Before = settled(A, B),
    Times = [simultaneous(Round, A, B) || Round <- lists:seq(1, barrel_p2p_test:rounds(200))],
    ct:pal("connected from both sides in ms: median ~b, worst ~b", [lists:nth(1 + length(Times) div 2, lists:sort(Times)), lists:max(Times)]),
    ok = same_processes(Before, A, B).

%% As above, but nothing is left of the round before: distribution is started anew on both sides, so both also dial the link itself at once.
simultaneous_first_contacts_all_succeed(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    [A, B] = [(start(Cluster, none, #{data => Data}))#{node := Node} || {Data, Node} <- [{"alpha", 'alpha@127.0.0.1'}, {"beta", 'beta@127.0.0.1'}]],
    Times = [begin
                 [{ok, _} = on(P, fun() -> net_kernel:start(Node, #{name_domain => longnames}) end) || #{node := Node} = P <- [A, B]],
                 Time = simultaneous(Round, A, B),
                 [ok = on(P, fun() -> net_kernel:stop() end) || P <- [A, B]],
                 Time
             end || Round <- lists:seq(1, barrel_p2p_test:rounds(100))],
    ct:pal("first contacts from both sides in ms: median ~b, worst ~b",
           [lists:nth(1 + length(Times) div 2, lists:sort(Times)), lists:max(Times)]).

%% Both sides spin until the same moment, dial, and must both succeed and see each other within two seconds.
simultaneous(Round, #{node := NodeA} = A, #{node := NodeB} = B) ->
    Moment = erlang:system_time(millisecond) + 15,
    Dials = [async(From, fun() -> dial_at(Moment, To) end) || {From, To} <- [{A, NodeB}, {B, NodeA}]],
    Results = [await(Dial, 15_000) || Dial <- Dials],
    [true, true] =:= [Connected || {Connected, _} <- Results]
        orelse error({round, Round, Results, [barrel_p2p_test:last_error(From, To) || {From, To} <- [{A, NodeB}, {B, NodeA}]]}),
    ok = wait_until({round, Round}, fun() -> connected(A, B) andalso connected(B, A) end, 2_000),
    Slowest = lists:max([Time || {_, Time} <- Results]),
    true = Slowest =< 2_000,
    %% The survivor of the two attempts carries messages in both directions.
    NodeB = on(A, fun() -> erpc:call(NodeB, erlang, node, []) end),
    NodeA = on(B, fun() -> erpc:call(NodeA, erlang, node, []) end),
    ok = disconnect(case Round rem 2 of 0 -> A; 1 -> B end, case Round rem 2 of 0 -> B; 1 -> A end),
    Slowest.

dial_at(Moment, Node) ->
    case erlang:system_time(millisecond) < Moment of
        true -> dial_at(Moment, Node);
        false ->
            {Micros, Result} = timer:tc(net_kernel, connect_node, [Node]),
            {Result, Micros div 1000}
    end.

churn_leaves_no_process_behind(Config) ->
    {A, B} = pair(Config),
    _ = barrel_p2p_test:seed(),
    Before = settled(A, B),
    _ = [begin
             {From, To} = case rand:uniform(2) of 1 -> {A, B}; 2 -> {B, A} end,
             ok = connect(From, To),
             Node = maps:get(node, To),
             Node = on(From, fun() -> erpc:call(Node, erlang, node, []) end),
             {Cutter, Other} = case rand:uniform(2) of 1 -> {A, B}; 2 -> {B, A} end,
             ok = disconnect(Cutter, Other)
         end || _ <- lists:seq(1, barrel_p2p_test:rounds(100))],
    ok = same_processes(Before, A, B).

%% Processes and ports of both nodes when no connection is there, but both have dialled once: OTP starts its name resolver on first use.
settled(A, B) ->
    [begin ok = connect(From, To), ok = disconnect(From, To) end || {From, To} <- [{A, B}, {B, A}]],
    [on(P, fun census/0) || P <- [A, B]].

census() ->
    {lists:sort([Pid || Pid <- processes(), not transient(Pid)]), length(erlang:ports())}.

%% Those that answer this very question come and go.
transient(Pid) ->
    Pid =:= self() orelse case process_info(Pid, [initial_call, dictionary]) of
        undefined -> true;
        [{initial_call, {peer, _, _}}, _] -> true;
        [{initial_call, _}, {dictionary, _}] -> false
    end.

same_processes(Before, A, B) ->
    Extra = fun() ->
                [case {on(P, fun() -> leftovers(Known) end), Ports} of
                     {{[], Count}, Count} -> none;
                     Left -> Left
                 end || {P, {Known, Ports}} <- lists:zip([A, B], Before)]
            end,
    try wait_until(no_leftovers, fun() -> Extra() =:= [none, none] end, 5_000)
    catch error:{not_within_ms, _, no_leftovers} -> error({leftovers, Extra()})
    end.

leftovers(Known) ->
    {Now, Ports} = census(),
    {[{Pid, process_info(Pid, [current_stacktrace, registered_name, dictionary])} || Pid <- Now -- Known], Ports}.

many_dial_one_at_once(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    #{node := Node} = Hub = start(Cluster, hub),
    Others = [start(Cluster, Name) || Name <- [n1, n2, n3, n4, n5, n6]],
    Moment = erlang:system_time(millisecond) + 50,
    Dials = [async(P, fun() -> dial_at(Moment, Node) end) || P <- Others],
    Results = [await(Dial, 15_000) || Dial <- Dials],
    [] = [Result || {Connected, Time} = Result <- Results, not Connected orelse Time > 2_000],
    6 = length(on(Hub, fun() -> nodes() end)),
    {Answers, []} = on(Hub, fun() -> rpc:multicall(nodes(), erlang, node, []) end),
    6 = length(lists:usort(Answers)).

%% The dialled node sleeps (SIGSTOP) while the setup is under way; the queue of the emulator keeps what is sent meanwhile.
messages_sent_during_a_slow_setup_arrive_in_order(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    Count = 1_100,
    Collector = on(B, fun() -> Pid = spawn(fun() -> collect(1, Count) end), true = register(collector, Pid), Pid end),
    ok = barrel_p2p_test:freeze(B),
    Sender = async(A, fun() ->
                          true = register(sender, self()),
                          [{collector, Node} ! {n, N, payload(N)} || N <- lists:seq(1, Count)],
                          Collector ! {report_to, self()},
                          receive {collected, Result} -> Result after 20_000 -> nothing end
                      end),
    ok = wait_until(sending, fun() -> is_pid(on(A, fun() -> whereis(sender) end)) end, 2_000),
    %% It is the slowness that is tested here: nothing can have arrived yet.
    receive after 1_500 -> [] = on(A, fun() -> nodes(connected) end) end,
    ok = barrel_p2p_test:thaw(B),
    all_in_order = await(Sender, 30_000).

payload(N) when N > 1_000 -> binary:copy(<<N:32>>, 16_384);
payload(N) -> N.

collect(N, Count) when N > Count ->
    receive {report_to, Pid} -> Pid ! {collected, all_in_order} end;
collect(N, Count) ->
    Expected = payload(N),
    receive
        {n, N, Expected} -> collect(N + 1, Count);
        {n, Other, _} -> receive {report_to, Pid} -> Pid ! {collected, {wanted, N, got, Other}} end
    end.

%% A UDP port that nobody has: the kernel says so, and the carrier listens to it.
dial_to_a_dead_port_fails_within_two_seconds(Config) ->
    _ = [begin
             P = dialler(Config, Name, Host),
             {Time, false} = on(P, fun() -> timer:tc(net_kernel, connect_node, [?DEAD]) end),
             true = Time < 2_000_000
         end || {Name, Host} <- [{alpha, "127.0.0.1"}, {beta, "::1"}]],
    ok.

call_to_a_dead_node_fails_within_two_seconds(Config) ->
    P = dialler(Config, alpha, "127.0.0.1"),
    {Time, {nodedown, ?DEAD}} =
        on(P, fun() -> timer:tc(fun() -> try gen_server:call({any, ?DEAD}, hello) catch exit:{Reason, _} -> Reason end end) end),
    true = Time < 2_000_000,
    {badrpc, nodedown} = on(P, fun() -> rpc:call(?DEAD, erlang, node, []) end).

dial_to_an_unknown_name_fails_at_once(Config) ->
    {A, _} = pair(Config),
    {Time, false} = on(A, fun() -> timer:tc(net_kernel, connect_node, ['nobody@127.0.0.1']) end),
    true = Time < 1_000_000.

%% Somebody has the port and never answers: the dial ends with link_dial_timeout_ms, not with net_setuptime.
dial_to_a_silent_address_gives_up_in_time(Config) ->
    {ok, Socket} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Socket),
    P = start(proplists:get_value(cluster, Config), alpha,
              #{config => [{discovery_nodes, [{?DEAD, {"127.0.0.1", Port}}]}, {link_dial_timeout_ms, 1_000}]}),
    {Time, false} = on(P, fun() -> timer:tc(net_kernel, connect_node, [?DEAD]) end),
    true = Time >= 900_000 andalso Time < 2_000_000,
    ok = gen_udp:close(Socket).

dialler(Config, Name, Host) ->
    Address = {?DEAD, {Host, barrel_p2p_test:free_port()}},
    start(proplists:get_value(cluster, Config), Name, #{config => [{discovery_nodes, [Address]}]}).

%% dist_auto_connect: who dials when a message is sent to a node without a connection.

default_redials_by_itself(Config) ->
    {A, B} = cut(Config, []),
    delivered = say(A, B),
    true = connected(A, B).

once_does_not_redial(Config) ->
    {A, B} = cut(Config, ["-kernel", "dist_auto_connect", "once"]),
    lost = say(A, B),
    false = connected(A, B),
    ok = connect(A, B),
    delivered = say(A, B).

never_dials_only_when_told(Config) ->
    {A, B} = cut(Config, ["-kernel", "dist_auto_connect", "never"]),
    lost = say(A, B),
    ok = connect(A, B),
    delivered = say(A, B).

%% Two nodes whose connection was there and is gone.
cut(Config, Arguments) ->
    Cluster = proplists:get_value(cluster, Config),
    {A, B} = Pair = {start(Cluster, alpha, #{args => Arguments}), start(Cluster, beta, #{args => Arguments})},
    ok = connect(A, B),
    ok = disconnect(B, A),
    Pair.

%% Sends to a name on the other node: does it arrive?
say(A, #{node := Node} = B) ->
    _ = on(B, fun() ->
                  Pid = spawn(fun() -> receive {From, Word} -> From ! {heard, Word} end end),
                  whereis(ear) =:= undefined orelse unregister(ear),
                  register(ear, Pid)
              end),
    on(A, fun() ->
              {ear, Node} ! {self(), hello},
              receive {heard, hello} -> delivered after 1_000 -> lost end
          end).
