%% SPDX-License-Identifier: Apache-2.0
-module(signals_SUITE).
-moduledoc """
Signals between two nodes do what OTP promises: messages by every kind of address, links, exits, monitors and spawns, always in the
order in which one process sent them to another.
""".

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([message_reaches_pid_name_and_alias/1, dead_address_swallows_a_message/1, every_naming_form_keeps_one_order/1,
         down_comes_after_the_last_message/1, link_carries_the_exit_reason_both_ways/1, unlink_stops_the_exit/1,
         link_to_the_dead_is_noproc/1, exit_signals_obey_trap_exit/1, monitor_by_pid_and_name/1, monitor_of_nobody_is_noproc/1,
         lost_node_breaks_links_and_monitors/1, demonitor_flushes/1, spawn_runs_on_the_other_node/1, spawn_monitor_and_request/1,
         remote_group_leader_prints_here/1]).
-export([echo/0]).

-import(barrel_p2p_test, [on/2, connect/2, disconnect/2]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [message_reaches_pid_name_and_alias, dead_address_swallows_a_message, every_naming_form_keeps_one_order,
     down_comes_after_the_last_message, link_carries_the_exit_reason_both_ways, unlink_stops_the_exit,
     link_to_the_dead_is_noproc, exit_signals_obey_trap_exit, monitor_by_pid_and_name, monitor_of_nobody_is_noproc,
     lost_node_breaks_links_and_monitors, demonitor_flushes, spawn_runs_on_the_other_node, spawn_monitor_and_request,
     remote_group_leader_prints_here].

init_per_suite(Config) ->
    Cluster = barrel_p2p_test:cluster(Config),
    A = barrel_p2p_test:start(Cluster, alpha),
    B = barrel_p2p_test:start(Cluster, beta),
    [{cluster, Cluster}, {pair, {A, B}} | Config].

end_per_suite(Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

init_per_testcase(_Case, Config) ->
    {A, B} = pair(Config),
    ok = connect(A, B),
    Config.

end_per_testcase(_Case, _Config) ->
    ok.

pair(Config) ->
    proplists:get_value(pair, Config).

message_reaches_pid_name_and_alias(Config) ->
    {A, B} = pair(Config),
    Pid = on(B, fun() -> Echo = spawn(?MODULE, echo, []), true = register(echo, Echo), Echo end),
    Address = {echo, maps:get(node, B)},
    [{echo, 1}, {echo, 2}, {echo, 3}, {echo, 4}] =
        on(A, fun() ->
                  Pid ! {self(), 1},
                  Address ! {self(), 2},
                  ok = erlang:send(Address, {self(), 3}, [nosuspend]),
                  %% The other side answers to the alias of this process and not to its pid.
                  Pid ! {alias(), 4},
                  [receive {echo, N} = Answer -> Answer after 5_000 -> {none, N} end || N <- [1, 2, 3, 4]]
              end),
    true = on(B, fun() -> exit(Pid, kill) end).

%% Nothing happens, as with a dead process at home: no error and no answer; the connection lives on.
dead_address_swallows_a_message(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    Dead = on(B, fun() -> {Pid, Ref} = spawn_monitor(fun() -> ok end), receive {'DOWN', Ref, _, _, _} -> Pid end end),
    ok = on(A, fun() ->
                   Dead ! lost,
                   {nobody_of_that_name, Node} ! lost,
                   Alias = alias(), true = unalias(Alias),
                   _ = erpc:call(Node, fun() -> Alias ! late end),
                   pong = net_adm:ping(Node),
                   receive late -> error(inactive_alias_delivered) after 0 -> ok end
               end).

every_naming_form_keeps_one_order(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    Count = 6_000,
    {Receiver, Alias} = on(B, fun() -> numbered_receiver(Count) end),
    ok = on(A, fun() ->
                   Forms = {Receiver, {numbered_receiver, Node}, Alias},
                   [element(1 + N rem 3, Forms) ! {n, N} || N <- lists:seq(1, Count)],
                   Receiver ! {verdict, self()},
                   receive verdict_in_order -> ok; {out_of_order, _, _} = Bad -> Bad after 20_000 -> no_verdict end
               end).

%% Runs on the receiving node: a process with a name and an alias that expects 1, 2, 3 ... Count.
numbered_receiver(Count) ->
    Self = self(),
    Pid = spawn(fun() ->
                    true = register(numbered_receiver, self()),
                    Self ! {alias, alias()},
                    Result = in_order(1, Count),
                    receive {verdict, Asker} -> Asker ! Result end
                end),
    receive {alias, Alias} -> {Pid, Alias} end.

in_order(N, Count) when N > Count -> verdict_in_order;
in_order(N, Count) ->
    receive
        {n, N} -> in_order(N + 1, Count);
        {n, Other} -> {out_of_order, {wanted, N}, {got, Other}}
    end.

down_comes_after_the_last_message(Config) ->
    {A, #{node := Node}} = pair(Config),
    Rounds = barrel_p2p_test:rounds(200),
    ok = on(A, fun() -> [ok = last_words(Node) || _ <- lists:seq(1, Rounds)], ok end).

last_words(Node) ->
    Self = self(),
    {Pid, Ref} = spawn_monitor(Node, fun() -> [Self ! {self(), N} || N <- lists:seq(1, 50)] end),
    receive {'DOWN', Ref, process, Pid, normal} -> ok end,
    %% No waiting here: whatever is not in the mailbox when the DOWN is, was overtaken by it.
    [receive {Pid, N} -> ok after 0 -> error({overtaken, N}) end || N <- lists:seq(1, 50)],
    ok.

link_carries_the_exit_reason_both_ways(Config) ->
    {A, #{node := Node}} = pair(Config),
    {here, {reason, [1]}} =
        on(A, fun() ->
                  process_flag(trap_exit, true),
                  Pid = spawn_link(Node, fun() -> receive {die, R} -> exit(R) end end),
                  Pid ! {die, {reason, [1]}},
                  receive {'EXIT', Pid, Reason} -> {here, Reason} after 5_000 -> nothing end
              end),
    {there, {reason, [2]}} =
        on(A, fun() ->
                  Self = self(),
                  Near = spawn(fun() -> receive {die, R} -> exit(R) end end),
                  _ = spawn(Node, fun() ->
                                      process_flag(trap_exit, true),
                                      true = link(Near),
                                      Self ! linked,
                                      receive {'EXIT', Near, Reason} -> Self ! {there, Reason} end
                                  end),
                  receive linked -> Near ! {die, {reason, [2]}} end,
                  receive {there, _} = Answer -> Answer after 5_000 -> nothing end
              end).

unlink_stops_the_exit(Config) ->
    {A, #{node := Node}} = pair(Config),
    alive = on(A, fun() ->
                      Pid = spawn_link(Node, fun() -> receive die -> exit(reason) end end),
                      true = unlink(Pid),
                      Ref = monitor(process, Pid),
                      Pid ! die,
                      receive {'DOWN', Ref, process, Pid, reason} -> alive end
                  end).

link_to_the_dead_is_noproc(Config) ->
    {A, B} = pair(Config),
    Dead = on(B, fun() -> {Pid, Ref} = spawn_monitor(fun() -> ok end), receive {'DOWN', Ref, _, _, _} -> Pid end end),
    noproc = on(A, fun() ->
                       process_flag(trap_exit, true),
                       true = link(Dead),
                       receive {'EXIT', Dead, Reason} -> Reason after 5_000 -> nothing end
                   end).

exit_signals_obey_trap_exit(Config) ->
    {A, #{node := Node}} = pair(Config),
    {trapped, {caught, stop_it}, died, killed} =
        on(A, fun() ->
                  Self = self(),
                  Trapping = spawn(Node, fun() -> process_flag(trap_exit, true), Self ! ready, trapping(Self) end),
                  receive ready -> ok end,
                  Ref = monitor(process, Trapping),
                  true = exit(Trapping, stop_it),
                  Caught = receive {caught, Self, stop_it} -> {caught, stop_it} after 5_000 -> nothing end,
                  true = exit(Trapping, kill),
                  Killed = receive {'DOWN', Ref, _, _, R1} -> R1 after 5_000 -> nothing end,
                  Plain = spawn(Node, fun() -> receive never -> ok end end),
                  Ref2 = monitor(process, Plain),
                  true = exit(Plain, normal),
                  true = exit(Plain, died),
                  Died = receive {'DOWN', Ref2, _, _, R2} -> R2 after 5_000 -> nothing end,
                  {trapped, Caught, Died, Killed}
              end).

trapping(Owner) ->
    receive {'EXIT', From, Reason} -> Owner ! {caught, From, Reason}, trapping(Owner) end.

monitor_by_pid_and_name(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    Pid = on(B, fun() -> Echo = spawn(?MODULE, echo, []), true = register(watched, Echo), Echo end),
    [{Pid, gone}, {{watched, Node}, gone}, {Pid, gone}] =
        on(A, fun() ->
                  ByPid = monitor(process, Pid),
                  ByName = monitor(process, {watched, Node}),
                  ByAlias = monitor(process, Pid, [{alias, reply_demonitor}]),
                  Pid ! {exit, gone},
                  [receive {'DOWN', Ref, process, What, Reason} -> {What, Reason} after 5_000 -> nothing end
                   || Ref <- [ByPid, ByName, ByAlias]]
              end).

monitor_of_nobody_is_noproc(Config) ->
    {A, #{node := Node}} = pair(Config),
    {noproc, {nobody_of_that_name, Node}} =
        on(A, fun() ->
                  Ref = monitor(process, {nobody_of_that_name, Node}),
                  receive {'DOWN', Ref, process, What, Reason} -> {Reason, What} after 5_000 -> nothing end
              end).

%% Also the order: all of it is there when monitor_node reports the node.
lost_node_breaks_links_and_monitors(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    Pid = on(B, fun() -> spawn(?MODULE, echo, []) end),
    Watch = barrel_p2p_test:async(A, fun() ->
                  process_flag(trap_exit, true),
                  true = link(Pid),
                  ByPid = monitor(process, Pid),
                  ByName = monitor(process, {echo_name, Node}, []),
                  receive {'DOWN', ByName, _, _, noproc} -> ok end,
                  true = monitor_node(Node, true),
                  true = register(watcher, self()),
                  Link = receive {'EXIT', Pid, R1} -> R1 after 20_000 -> nothing end,
                  Monitor = receive {'DOWN', ByPid, process, Pid, R2} -> R2 after 5_000 -> nothing end,
                  NodeDown = receive {nodedown, Node} -> down after 5_000 -> nothing end,
                  {Link, Monitor, NodeDown}
              end),
    ok = barrel_p2p_test:wait_until(fun() -> on(A, fun() -> whereis(watcher) end) =/= undefined end, 5_000),
    ok = disconnect(A, B),
    {noconnection, noconnection, down} = barrel_p2p_test:await(Watch, 30_000).

demonitor_flushes(Config) ->
    {A, #{node := Node}} = pair(Config),
    ok = on(A, fun() ->
                   Pid = spawn(Node, fun() -> receive die -> ok end end),
                   Ref = monitor(process, Pid),
                   Ref2 = monitor(process, Pid),
                   true = demonitor(Ref, [flush]),
                   Pid ! die,
                   receive {'DOWN', Ref2, _, _, _} -> ok end,
                   receive {'DOWN', Ref, _, _, _} -> error(demonitored_but_down) after 0 -> ok end
               end).

spawn_runs_on_the_other_node(Config) ->
    {A, #{node := Node}} = pair(Config),
    [Node, Node, Node, Node] =
        on(A, fun() ->
                  Self = self(),
                  Report = fun() -> Self ! {self(), node()} end,
                  Pids = [spawn(Node, Report), spawn_link(Node, Report), spawn(Node, erlang, apply, [Report, []]),
                          spawn_opt(Node, Report, [{priority, low}])],
                  [receive {Pid, Where} -> Where after 5_000 -> nothing end || Pid <- Pids]
              end).

spawn_monitor_and_request(Config) ->
    {A, #{node := Node}} = pair(Config),
    {done, answered, badopt} =
        on(A, fun() ->
                  {Pid, Ref} = spawn_monitor(Node, fun() -> exit(done) end),
                  Done = receive {'DOWN', Ref, process, Pid, R} -> R after 5_000 -> nothing end,
                  Self = self(),
                  Request = spawn_request(Node, fun() -> Self ! answered end, [{reply_tag, reply}]),
                  Answer = receive {reply, Request, ok, P} when node(P) =:= Node -> receive answered -> answered end
                           after 5_000 -> nothing end,
                  Bad = spawn_request(Node, erlang, apply, [fun() -> ok end, []], [{no_such_option, 1}, {reply_tag, reply}]),
                  Refused = receive {reply, Bad, error, Why} -> Why after 5_000 -> nothing end,
                  {Done, Answer, Refused}
              end).

%% A process spawned from here prints here: its group leader stays on our node.
remote_group_leader_prints_here(Config) ->
    {A, #{node := Node}} = pair(Config),
    <<"printed there">> =
        on(A, fun() ->
                  Self = self(),
                  true = group_leader(Self, Self),
                  _ = spawn(Node, fun() -> io:put_chars(<<"printed there">>) end),
                  receive {io_request, From, Ref, {put_chars, unicode, Text}} -> From ! {io_reply, Ref, ok}, Text
                  after 5_000 -> nothing end
              end).

%% Answers {echo, N} to {To, N}; exits with R on {exit, R}.
echo() ->
    receive
        {exit, Reason} -> exit(Reason);
        {To, N} -> To ! {echo, N}, ?MODULE:echo()
    end.
