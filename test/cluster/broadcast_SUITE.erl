%% SPDX-License-Identifier: Apache-2.0
-module(broadcast_SUITE).
-moduledoc """
A broadcast reaches every subscriber of every node once, whoever else dies, and one node can be spoken to alone.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([every_subscriber_hears_every_broadcast_once/1, large_payload_arrives_and_a_larger_one_is_refused/1, name_is_used_once/1,
         survivors_hear_everything_after_deaths/1, flood_is_bounded/1, garbage_is_dropped_and_nothing_else/1, one_member_is_spoken_to_alone/1,
         statistics_count/1, slow_subscriber_holds_up_nobody/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [alone/3, join/2, until_members/2, until_members/3, record/1, recorded/2, until_recorded/2]).

-define(MAX_BYTES, 1_048_576).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [every_subscriber_hears_every_broadcast_once, large_payload_arrives_and_a_larger_one_is_refused, name_is_used_once,
     survivors_hear_everything_after_deaths, flood_is_bounded, garbage_is_dropped_and_nothing_else, one_member_is_spoken_to_alone,
     statistics_count, slow_subscriber_holds_up_nobody].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

%% A cluster of so many nodes that record.
many(Config, Count) ->
    Cluster = proplists:get_value(cluster, Config),
    [First | Rest] = All = [alone(Cluster, list_to_atom("n" ++ integer_to_list(N)), [{active_size, 3}]) || N <- lists:seq(1, Count)],
    _ = [ok = record(P) || P <- All],
    _ = [ok = join(P, First) || P <- Rest],
    ok = until_members(All, All),
    All.

every_subscriber_hears_every_broadcast_once(Config) ->
    All = many(Config, 8),
    Sent = [{tag, {Node, N}} || N <- lists:seq(1, 20), #{node := Node} = P <- All, ok =:= send(P, tag, {Node, N})],
    ok = all_heard(All, Sent).

%% Nothing is missing, nothing twice, nothing else.
all_heard(Peers, Sent) ->
    Expected = lists:sort(Sent),
    Wrong = fun() ->
                [{Node, [missing | Expected -- Heard], [too_much | Heard -- Expected]}
                 || #{node := Node} = P <- Peers, Heard <- [lists:sort(recorded(P, broadcast))], Heard =/= Expected]
            end,
    try wait_until(heard, fun() -> Wrong() =:= [] end, 10_000)
    catch error:{not_within_ms, _, _} -> error(Wrong())
    end.

send(Peer, Tag, Payload) ->
    on(Peer, fun() -> barrel_p2p_plumtree:broadcast(Tag, Payload) end).

large_payload_arrives_and_a_larger_one_is_refused(Config) ->
    [A | _] = All = many(Config, 3),
    Overhead = iolist_size(barrel_p2p_payload:encode(tag, <<>>)),
    Large = crypto:strong_rand_bytes(?MAX_BYTES - Overhead),
    ok = send(A, tag, Large),
    {error, too_large} = send(A, tag, <<Large/binary, 0>>),
    ok = all_heard(All, [{tag, Large}]).

name_is_used_once(Config) ->
    [A, B, C] = All = many(Config, 3),
    Named = fun(Payload, Id) -> fun() -> barrel_p2p_plumtree:broadcast(tag, Payload, Id) end end,
    ok = on(A, Named(first, <<"deploy 17">>)),
    ok = all_heard(All, [{tag, first}]),
    _ = [ok = on(P, Named(again, <<"deploy 17">>)) || P <- [A, B, C]],
    ok = on(B, Named(second, <<"deploy 18">>)),
    ok = all_heard(All, [{tag, first}, {tag, second}]).

%% Broadcasts go on while nodes die; whatever was sent after that reaches all who live.
survivors_hear_everything_after_deaths(Config) ->
    All = many(Config, 9),
    {Rest, Victims} = lists:split(6, All),
    _ = [ok = send(P, before, Node) || #{node := Node} = P <- All],
    _ = [ok = kill(P) || P <- Victims],
    Sent = [{later, {Node, N}} || N <- lists:seq(1, 10), #{node := Node} = P <- Rest, ok =:= send(P, later, {Node, N})],
    ok = until_members(Rest, Rest, 10_000),
    Last = [{last, Node} || #{node := Node} = P <- Rest, ok =:= send(P, last, Node)],
    Later = fun(P) -> lists:sort([B || {Tag, _} = B <- recorded(P, broadcast), Tag =/= before]) end,
    ok = wait_until(heard, fun() -> [] =:= [P || P <- Rest, Later(P) =/= lists:sort(Sent ++ Last)] end, 15_000).

%% Much faster than the network takes it: the sender is told so, memory stays where it was, and nobody is hurt.
flood_is_bounded(Config) ->
    [A, B | _] = All = many(Config, 3),
    Bytes = crypto:strong_rand_bytes(100_000),
    Results = on(A, fun() -> [barrel_p2p_plumtree:broadcast(flood, Bytes) || _ <- lists:seq(1, 2_000)] end),
    [] = lists:usort(Results) -- [ok, {error, busy}],
    ok = wait_until(alive, fun() -> send(A, calm, after_the_storm) =:= ok end, 10_000),
    ok = until_recorded(B, {broadcast, {calm, after_the_storm}}),
    ok = until_members(All, All),
    0 = on(B, fun() -> element(2, process_info(whereis(barrel_p2p_membership), message_queue_len)) end).

garbage_is_dropped_and_nothing_else(Config) ->
    [A, #{node := NodeB} = B | _] = All = many(Config, 3),
    Bomb = term_to_binary({tag, binary:copy(<<0>>, 10_000_000)}, [{compressed, 9}]),
    _ = on(A, fun() ->
                  {ok, Gossip} = barrel_p2p_gossip:handle(),
                  [begin
                       ok = barrel_p2p_nif:gossip_broadcast(Gossip, <<>>, Garbage),
                       ok = barrel_p2p_nif:gossip_send(Gossip, atom_to_binary(NodeB), Garbage)
                   end || Garbage <- [<<>>, <<131>>, <<"no term">>, term_to_binary(no_pair), Bomb]]
              end),
    Before = on(B, fun() -> whereis(barrel_p2p_membership) end),
    ok = send(A, tag, sound),
    ok = all_heard(All, [{tag, sound}]),
    ok = barrel_p2p_test:logged(B, "is not what this version sends and was dropped"),
    Before = on(B, fun() -> whereis(barrel_p2p_membership) end).

%% Also one that is no neighbour, and without a dist channel.
one_member_is_spoken_to_alone(Config) ->
    [#{node := NodeA} = A | Others] = All = many(Config, 8),
    _ = [ok = on(P, fun() ->
                        spawn(fun() ->
                                  ok = barrel_p2p_direct:subscribe(letter, self()),
                                  true = register(box, self()),
                                  keep([])
                              end),
                        wait_for_box()
                    end) || P <- All],
    _ = [ok = on(A, fun() -> barrel_p2p_direct:send(Node, letter, {to, Node, N}) end) || N <- [1, 2, 3], #{node := Node} <- Others],
    {error, unknown} = on(A, fun() -> barrel_p2p_direct:send('nobody@127.0.0.1', letter, lost) end),
    Box = fun(P) -> on(P, fun() -> box ! {read, self()}, receive {box, Letters} -> Letters end end) end,
    Expected = [{Node, [{NodeA, {to, Node, N}} || N <- [1, 2, 3]]} || #{node := Node} <- Others],
    ok = wait_until(delivered, fun() -> [{Node, Box(P)} || #{node := Node} = P <- Others] =:= Expected end, 10_000),
    [] = Box(A),
    [] = on(A, fun() -> nodes(connected) end).

keep(Letters) ->
    receive
        {barrel_p2p_direct, From, letter, Letter} -> keep([{From, Letter} | Letters]);
        {read, From} -> From ! {box, lists:reverse(Letters)}, keep(Letters)
    end.

wait_for_box() ->
    barrel_p2p_test:wait_until(box, fun() -> whereis(box) =/= undefined end, 2_000).

statistics_count(Config) ->
    All = many(Config, 4),
    _ = [ok = send(P, tag, N) || N <- lists:seq(1, 25), P <- All],
    ok = wait_until(heard, fun() -> [] =:= [P || P <- All, length(recorded(P, broadcast)) < 100] end, 10_000),
    Stats = [on(P, fun barrel_p2p_plumtree:get_stats/0) || P <- All],
    Sum = fun(Key) -> lists:sum([maps:get(Key, S) || S <- Stats]) end,
    %% 100 broadcasts to three others each, at least; nothing can be received that was not sent.
    true = Sum(gossip_received) >= 300,
    true = Sum(gossip_sent) >= Sum(gossip_received),
    true = lists:all(fun(#{eager_peers := Eager, lazy_peers := Lazy}) -> Eager >= 1 andalso Eager + Lazy =< 3 end, Stats),
    Metrics = on(hd(All), fun barrel_p2p_metrics:snapshot/0),
    true = maps:get(<<"barrel_p2p.plumtree.gossip.sent">>, Metrics) > 0,
    4 = maps:get(<<"barrel_p2p.directory.alive">>, Metrics).

%% Its mailbox is its own affair; the others hear in time.
slow_subscriber_holds_up_nobody(Config) ->
    [A, B | _] = All = many(Config, 3),
    _ = on(B, fun() ->
                  Slow = spawn(fun() -> receive never -> ok end end),
                  ok = barrel_p2p_plumtree:subscribe(Slow)
              end),
    Sent = [{tag, N} || N <- lists:seq(1, 500), ok =:= send(A, tag, N)],
    500 = length(Sent),
    ok = all_heard(All, Sent).
