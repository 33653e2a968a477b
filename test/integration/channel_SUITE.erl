%% SPDX-License-Identifier: Apache-2.0
-module(channel_SUITE).
-moduledoc """
The processes of one dist channel: whichever of them dies, both nodes learn that the connection is gone; and a receiver that stops reading
stops the sender, not the memory of anyone.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([killed_controller_ends_the_connection/1, killed_input_process_ends_the_connection/1, killed_supervisor_ends_the_connection/1,
         disconnect_is_seen_at_once_by_both/1, suspended_receiver_stops_the_sender/1, slow_receiver_gets_everything_in_order/1,
         what_was_sent_is_given_back/1, process_waits_behind_bulk_for_one_slice_at_most/1, atoms_arrive_as_they_were_sent/1]).

-import(barrel_p2p_test, [on/2, on/3, async/2, await/2, connect/2, connected/2, start/2, watch_down/2, wait_until/3]).

-define(MIB, (1024 * 1024)).
-define(REDUCTIONS_PER_SLICE, 4_000).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [killed_controller_ends_the_connection, killed_input_process_ends_the_connection, killed_supervisor_ends_the_connection,
     disconnect_is_seen_at_once_by_both, suspended_receiver_stops_the_sender, slow_receiver_gets_everything_in_order,
     what_was_sent_is_given_back, process_waits_behind_bulk_for_one_slice_at_most, atoms_arrive_as_they_were_sent].

%% Over OTP's carrier the controller is a port and there is nobody to kill or suspend.
init_per_testcase(Case, Config) when Case =/= disconnect_is_seen_at_once_by_both, Case =/= slow_receiver_gets_everything_in_order,
                                     Case =/= atoms_arrive_as_they_were_sent ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> with_pair(Config);
        Skip -> Skip
    end;
init_per_testcase(_Case, Config) ->
    with_pair(Config).

with_pair(Config) ->
    Cluster = barrel_p2p_test:cluster(Config),
    [A, B] = [start(Cluster, Name) || Name <- [alpha, beta]],
    ok = connect(A, B),
    [{cluster, Cluster}, {pair, {A, B}} | Config].

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

killed_controller_ends_the_connection(Config) ->
    killed(Config, fun controller/1).

killed_input_process_ends_the_connection(Config) ->
    killed(Config, fun input/1).

killed_supervisor_ends_the_connection(Config) ->
    killed(Config, fun supervisor/1).

%% On the accepting and on the dialling side: both nodes know within a second, no process stays, and the next dial works.
killed(Config, Find) ->
    {A, B} = proplists:get_value(pair, Config),
    [begin
         ok = connect(A, B),
         #{node := Node} = Other,
         Watches = [watch_down(A, B), watch_down(B, A)],
         Family = on(P, fun() ->
                            Pids = [controller(Node), input(Node), supervisor(Node)],
                            true = exit(Find(Node), kill),
                            Pids
                        end),
         [{_, _}, {_, _}] = [await(Watch, 1_000) || Watch <- Watches],
         ok = wait_until(all_gone, fun() -> on(P, fun() -> not lists:any(fun is_process_alive/1, Family) end) end, 2_000)
     end || {P, Other} <- [{A, B}, {B, A}]],
    ok = connect(B, A).

%% Run on a node, these find the processes of its channel to another one.

controller(Node) ->
    {Node, Pid} = lists:keyfind(Node, 1, erlang:system_info(dist_ctrl)),
    Pid.

input(Node) ->
    [Pid] = [Pid || Pid <- relatives(Node), {current_function, {barrel_p2p_dist_input, _, _}} <- [process_info(Pid, current_function)]],
    Pid.

%% The process in which dist_util runs the handshake and then the ticks.
supervisor(Node) ->
    [Pid] = [Pid || Pid <- relatives(Node), {current_function, {dist_util, con_loop, _}} <- [process_info(Pid, current_function)]],
    Pid.

relatives(Node) ->
    {links, Links} = process_info(controller(Node), links),
    [Pid || Pid <- Links, is_pid(Pid), Pid =/= whereis(net_kernel)].

disconnect_is_seen_at_once_by_both(Config) ->
    {A, B} = proplists:get_value(pair, Config),
    #{node := Node} = B,
    Watches = [watch_down(A, B), watch_down(B, A)],
    Cut = os:system_time(millisecond),
    true = on(A, fun() -> erlang:disconnect_node(Node) end),
    [{SeenA, disconnect}, {SeenB, _}] = [await(Watch, 1_000) || Watch <- Watches],
    true = max(SeenA, SeenB) - Cut =< 500.

%% 200 MB towards a process that does not read, for longer than the idle timeout of the link: the sender is told to wait, neither node grows by
%% more than the queues are long, the connection stays up, and after it all everything arrives in order.
suspended_receiver_stops_the_sender(Config) ->
    {A, B} = proplists:get_value(pair, Config),
    #{node := NodeA} = A,
    #{node := NodeB} = B,
    Count = barrel_p2p_test:rounds(200),
    Receiver = on(B, fun() -> spawn(fun() -> receive_all(1, Count) end) end),
    Suspender = on(B, fun() -> Input = input(NodeA), spawn(fun() -> suspend_until_told(Input) end) end),
    Before = [memory(P) || P <- [A, B]],
    Sender = async(A, fun() ->
                          true = register(sender, self()),
                          push(1, Count, Receiver),
                          Receiver ! {report_to, self()},
                          receive {received, Result} -> Result after 60_000 -> no_report end
                      end),
    Stuck = stuck_at(A),
    %% Whoever does not ask for nosuspend is suspended.
    Patient = on(A, fun() -> spawn(fun() -> Receiver ! hello end) end),
    ok = wait_until(suspended, fun() -> on(A, fun() -> process_info(Patient, status) end) =:= {status, suspended} end, 2_000),
    receive after 30_000 -> Stuck = on(A, fun() -> refused_at() end) end,
    true = Stuck < 64,
    Growth = [Now - Then || {Now, Then} <- lists:zip([memory(P) || P <- [A, B]], Before)],
    ct:pal("stuck at message ~b of 1 MiB; resident memory grew by ~p MiB", [Stuck, [G div ?MIB || G <- Growth]]),
    [] = [G || G <- Growth, G > 100 * ?MIB],
    true = connected(A, B),
    _ = on(B, fun() -> Suspender ! resume end),
    all_in_order = await(Sender, 60_000),
    false = on(A, fun() -> is_process_alive(Patient) end),
    NodeB = on(A, fun() -> erpc:call(NodeB, erlang, node, []) end).

%% Native code keeps what it sends where it is. The last of it has to go back though nothing follows.
what_was_sent_is_given_back(Config) ->
    {A, B} = proplists:get_value(pair, Config),
    Count = 50,
    Before = on(A, fun() -> erlang:memory(binary) end),
    Receiver = on(B, fun() -> spawn(fun() -> receive_all(1, Count) end) end),
    all_in_order = on(A, fun() ->
                                 Receiver ! {report_to, self()},
                                 Messages = [{n, N, rand:bytes(?MIB)} || N <- lists:seq(1, Count)],
                                 _ = [Receiver ! Message || Message <- Messages],
                                 receive {received, Result} -> Result after 60_000 -> no_report end
                         end),
    Collected = fun() -> _ = [erlang:garbage_collect(P) || P <- processes()], erlang:memory(binary) end,
    ok = wait_until(given_back, fun() -> on(A, Collected) - Before < ?MIB end, 2_000).

%% The emulator goes on to the next process when one has used up the reductions of a slice: handing over a MiB takes as many.
process_waits_behind_bulk_for_one_slice_at_most(Config) ->
    {A, #{node := NodeB} = B} = proplists:get_value(pair, Config),
    #{node := NodeA} = A,
    Count = 50,
    Used = fun() -> {reductions, Reductions} = process_info(input(NodeA), reductions), Reductions end,
    Before = on(B, Used),
    Receiver = on(B, fun() -> spawn(fun() -> receive_all(1, Count) end) end),
    all_in_order = on(A, fun() ->
                                 _ = [Receiver ! {n, N, rand:bytes(?MIB)} || N <- lists:seq(1, Count)],
                                 Receiver ! {report_to, self()},
                                 receive {received, Result} -> Result after 60_000 -> no_report end
                         end),
    NodeB = on(A, fun() -> erpc:call(NodeB, erlang, node, []) end),
    Slices = (on(B, Used) - Before) / ?REDUCTIONS_PER_SLICE,
    ct:pal("~b MiB took ~.1f slices", [Count, Slices]),
    true = Slices >= Count.

%% More atoms than the emulator's cache has slots (2,048), so that they take slots from each other, from senders of small and of large messages.
atoms_arrive_as_they_were_sent(Config) ->
    {A, #{node := NodeB}} = proplists:get_value(pair, Config),
    Senders = [{light, <<>>, 4_000} || _ <- lists:seq(1, 6)] ++ [{heavy, binary:copy(<<1>>, 100_000), 200} || _ <- lists:seq(1, 4)],
    Found = on(A, fun() ->
                      Names = [atom(N) || N <- lists:seq(1, 3_000)],
                      Self = self(),
                      Receiver = spawn(NodeB, fun() -> Self ! {mistaken, mistaken(length(Names), length(Senders), [])} end),
                      _ = [spawn(fun() -> send_atoms(Receiver, list_to_tuple(Names), Sender) end) || Sender <- Senders],
                      receive {mistaken, Mistaken} -> Mistaken after 60_000 -> no_answer end
                  end),
    [] = Found.

send_atoms(Receiver, Names, {_, _, 0}) ->
    Receiver ! {sent, tuple_size(Names)};
send_atoms(Receiver, Names, {Kind, Load, Left}) ->
    Numbers = [1 + erlang:phash2({self(), Left, N}, tuple_size(Names)) || N <- lists:seq(0, Left rem 8)],
    Receiver ! {Kind, Numbers, [element(N, Names) || N <- Numbers], Load},
    send_atoms(Receiver, Names, {Kind, Load, Left - 1}).

mistaken(_Names, 0, Mistaken) ->
    Mistaken;
mistaken(Names, Senders, Mistaken) ->
    receive
        {sent, Names} -> mistaken(Names, Senders - 1, Mistaken);
        {_Kind, Numbers, Atoms, _} -> mistaken(Names, Senders, [{N, Atom} || {N, Atom} <- lists:zip(Numbers, Atoms), Atom =/= atom(N)] ++ Mistaken)
    end.

%% Of any length that an atom may have.
atom(N) ->
    list_to_atom("atom" ++ integer_to_list(N) ++ lists:duplicate(N rem 240, $x)).

%% A message may be refused for a moment while the queues fill: stuck is what does not change for half a second.
stuck_at(A) ->
    wait_until(stuck, fun() ->
                          [First, Second] = [receive after 500 -> on(A, fun() -> refused_at() end) end || _ <- [1, 2]],
                          First =/= none andalso First =:= Second andalso {true, First}
                      end, 20_000).

suspend_until_told(Pid) ->
    true = erlang:suspend_process(Pid),
    receive resume -> true = erlang:resume_process(Pid) end.

%% Every message has its own binary: shared ones would not show in memory.
push(N, Count, _Receiver) when N > Count -> ok;
push(N, Count, Receiver) ->
    push_until_taken(N, {n, N, rand:bytes(?MIB)}, Receiver),
    push(N + 1, Count, Receiver).

push_until_taken(N, Message, Receiver) ->
    case erlang:send(Receiver, Message, [nosuspend]) of
        ok -> erase(refused_at);
        nosuspend -> put(refused_at, N), receive after 5 -> push_until_taken(N, Message, Receiver) end
    end.

%% The number of the message that the sender cannot get rid of.
refused_at() ->
    case whereis(sender) of
        undefined -> none;
        Sender -> {dictionary, Dictionary} = process_info(Sender, dictionary), proplists:get_value(refused_at, Dictionary, none)
    end.

receive_all(N, Count) when N > Count ->
    receive {report_to, Pid} -> Pid ! {received, all_in_order} end;
receive_all(N, Count) ->
    receive
        {n, N, Binary} when byte_size(Binary) =:= ?MIB -> receive_all(N + 1, Count);
        {n, Other, _} -> receive {report_to, Pid} -> Pid ! {received, {wanted, N, got, Other}} end
    end.

%% Resident memory of the operating system process: what native code holds is in it.
memory(#{os_pid := OsPid}) ->
    {ok, Text} = file:read_file("/proc/" ++ OsPid ++ "/statm"),
    [_, Pages | _] = binary:split(Text, <<" ">>, [global]),
    binary_to_integer(Pages) * 4096.

%% Many senders, one node that is now and then stopped for a moment: nothing is lost or swapped.
slow_receiver_gets_everything_in_order(Config) ->
    {A, B} = proplists:get_value(pair, Config),
    Count = barrel_p2p_test:rounds(200),
    Receivers = on(B, fun() -> [spawn(fun() -> receive_all(1, Count) end) || _ <- lists:seq(1, 4)] end),
    Senders = [async(A, fun() ->
                            [Receiver ! {n, N, binary:copy(<<N:64>>, ?MIB div 8)} || N <- lists:seq(1, Count)],
                            Receiver ! {report_to, self()},
                            receive {received, Result} -> Result after 60_000 -> no_report end
                        end) || Receiver <- Receivers],
    _ = [begin
             ok = barrel_p2p_test:freeze(B),
             receive after 300 -> ok = barrel_p2p_test:thaw(B) end
         end || _ <- [1, 2, 3]],
    [all_in_order, all_in_order, all_in_order, all_in_order] = [await(Sender, 90_000) || Sender <- Senders],
    true = on(B, fun() -> true end, 5_000).
