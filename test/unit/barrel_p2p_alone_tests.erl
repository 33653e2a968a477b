%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_alone_tests).
-moduledoc """
A node without distribution is a cluster of one, and a crash of the membership process is told like any other end of a neighbourhood.
""".
-include_lib("eunit/include/eunit.hrl").

alone_test_() ->
    {foreach, fun started/0, fun stopped/1,
     [fun views_are_empty_and_members_are_this_node/0, fun there_is_nobody_to_join/0, fun leaving_is_told/0, fun broadcasts_stay_here/0,
      fun direct_messages_stay_here/0, fun nobody_is_blocked/0, fun there_is_nothing_to_sweep/0,
      fun crash_of_the_membership_process_is_told_as_the_end_of_its_neighbours/0, fun numbers_are_there/0]}.

views_are_empty_and_members_are_this_node() ->
    ?assertEqual({[], [], [node()]}, {barrel_p2p:active_view(), barrel_p2p:passive_view(), barrel_p2p:members()}).

there_is_nobody_to_join() ->
    ?assertEqual({error, cannot_join_self}, barrel_p2p:join(node())),
    ?assertEqual({error, cannot_join_self}, barrel_p2p:join({node(), {"127.0.0.1", 1}})),
    [?assertEqual([{error, not_distributed}, {error, not_distributed}], [barrel_p2p:join(Target), barrel_p2p:join(Target, #{timeout => 100})])
     || Target <- ['a@h', {"127.0.0.1", 1}, {{127, 0, 0, 1}, 1}, {'a@h', {"h", 1}}]],
    [?assertError(badarg, barrel_p2p:join(Target)) || Target <- [nonsense, {"h", 0}, {'a@h', "h"}, {nonsense, {"h", 1}}, 1]].

leaving_is_told() ->
    ok = barrel_p2p:subscribe(),
    ok = barrel_p2p:leave(),
    ?assertEqual([{barrel_p2p_event, left}], heard(1)),
    ok = barrel_p2p:unsubscribe(),
    ok = barrel_p2p:leave(),
    ?assertEqual([], heard(0)).

broadcasts_stay_here() ->
    ok = barrel_p2p_plumtree:subscribe(self()),
    ok = barrel_p2p_plumtree:broadcast(tag, #{a => 1}),
    ok = barrel_p2p_plumtree:broadcast(tag, second, <<"name">>),
    ?assertEqual([{plumtree_broadcast, {tag, #{a => 1}}}, {plumtree_broadcast, {tag, second}}], heard(2)),
    ok = barrel_p2p_plumtree:unsubscribe(self()),
    ok = barrel_p2p_plumtree:broadcast(tag, third),
    ?assertEqual([], heard(0)),
    ?assertEqual([cached_messages, eager_peers, gossip_received, gossip_sent, graft_sent, ihave_sent, lazy_peers, pending_ihaves, prune_sent],
                 lists:sort(maps:keys(barrel_p2p_plumtree:get_stats()))).

direct_messages_stay_here() ->
    ok = barrel_p2p_direct:subscribe(tag, self()),
    ok = barrel_p2p_direct:send(node(), tag, hello),
    ok = barrel_p2p_direct:send(node(), other, hello),
    ?assertEqual({error, unknown}, barrel_p2p_direct:send('a@h', tag, hello)),
    ?assertEqual([{barrel_p2p_direct, node(), tag, hello}], heard(1)),
    ok = barrel_p2p_direct:unsubscribe(tag, self()).

nobody_is_blocked() ->
    ok = barrel_p2p_hyparview:block_peers(['a@h']),
    ok = barrel_p2p_hyparview:unblock_peers().

there_is_nothing_to_sweep() ->
    ok = barrel_p2p_dist_gc:sweep_now(),
    ?assertEqual({error, not_found}, barrel_p2p_dist_gc:get_age_ms('a@h')).

crash_of_the_membership_process_is_told_as_the_end_of_its_neighbours() ->
    ok = barrel_p2p:subscribe(),
    true = ets:insert(barrel_p2p_membership, {<<"a@h">>, []}),
    exit(whereis(barrel_p2p_membership), kill),
    ?assertEqual([{barrel_p2p_event, {peer_down, 'a@h', nodedown}}], heard(1)),
    exit(whereis(barrel_p2p_membership), kill),
    ?assertEqual([], heard(0)).

numbers_are_there() ->
    Names = [<<"barrel_p2p.", Name/binary>> || Name <- [<<"dist.channels">>, <<"dist_gc.reap">>, <<"registry.local">>, <<"registry.remote">>,
                                                        <<"registry.rejected">>, <<"router.request_dropped">>, <<"service_proxy.cast_dropped">>]],
    Snapshot = barrel_p2p_metrics:snapshot(),
    ?assertEqual([], Names -- maps:keys(Snapshot)),
    ?assertEqual([0, 0, 0], [maps:get(<<"barrel_p2p.", Name/binary>>, Snapshot) || Name <- [<<"dist.channels">>, <<"registry.local">>,
                                                                                            <<"registry.remote">>]]).

started() ->
    ok = config_fixture:reset(),
    {ok, _} = application:ensure_all_started(barrel_p2p),
    ok.

stopped(ok) ->
    ok = application:stop(barrel_p2p).

%% So many messages, and no more.
heard(Count) ->
    Messages = [receive Message -> Message after 1_000 -> nothing end || _ <- lists:seq(1, Count)],
    receive
        More -> Messages ++ [More]
    after 0 -> Messages
    end.
