%% SPDX-License-Identifier: Apache-2.0
-module(dist_gc_SUITE).
-moduledoc """
Dist channels that nobody uses are closed, those in use are not, and a closed one opens again by itself.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([idle_channel_is_closed_and_opens_again/1, channel_in_use_is_kept/1, ticks_are_no_use/1, neighbour_is_kept/1, hidden_node_is_kept/1]).

-import(barrel_p2p_test, [on/2, connect/2, connected/2, wait_until/3]).
-import(barrel_p2p_test_members, [member/3, alone/3, join/2]).

-define(PERIOD_MS, 100).
-define(IDLE_MS, 1_000).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [idle_channel_is_closed_and_opens_again, channel_in_use_is_kept, ticks_are_no_use, neighbour_is_kept, hidden_node_is_kept].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

quick() ->
    [{dist_gc_sweep_period_ms, ?PERIOD_MS}, {dist_gc_min_age_ms, ?IDLE_MS}].

%% Only the first one sweeps.
pair(Config, Arguments) ->
    Sweeper = member(cluster(Config), alpha, #{config => quick(), args => Arguments}),
    {Sweeper, member(cluster(Config), beta, #{args => Arguments})}.

idle_channel_is_closed_and_opens_again(Config) ->
    {A, #{node := NodeB} = B} = pair(Config, []),
    ok = connect(A, B),
    {ok, Age} = on(A, fun() -> ok = barrel_p2p_dist_gc:sweep_now(), barrel_p2p_dist_gc:get_age_ms(NodeB) end),
    true = Age < ?IDLE_MS,
    ok = wait_until(closed, fun() -> not connected(A, B) andalso not connected(B, A) end, ?IDLE_MS + 2_000),
    1 = on(A, fun barrel_p2p_dist_gc:reaped/0),
    {error, not_found} = on(A, fun() -> barrel_p2p_dist_gc:get_age_ms(NodeB) end),
    NodeB = on(A, fun() -> erpc:call(NodeB, erlang, node, []) end),
    true = connected(B, A).

%% Used in one direction only, for several times the idle time: neither direction alone counts as idle.
channel_in_use_is_kept(Config) ->
    {A, B} = pair(Config, []),
    ok = connect(A, B),
    [begin
         on(From, fun() -> {nobody, Node} ! hello end),
         receive after ?IDLE_MS div 4 -> true = connected(A, B) end
     end || {From, #{node := Node}} <- lists:duplicate(10, {A, B}) ++ lists:duplicate(10, {B, A})],
    0 = on(A, fun barrel_p2p_dist_gc:reaped/0).

ticks_are_no_use(Config) ->
    {A, B} = pair(Config, ["-kernel", "net_ticktime", "1"]),
    ok = connect(A, B),
    ok = wait_until(closed, fun() -> not connected(A, B) end, ?IDLE_MS + 2_000).

neighbour_is_kept(Config) ->
    A = alone(cluster(Config), alpha, quick()),
    #{node := NodeB} = B = alone(cluster(Config), beta, []),
    ok = join(A, B),
    ok = connect(A, B),
    receive after 3 * ?IDLE_MS -> true = connected(A, B) end,
    [NodeB] = on(A, fun barrel_p2p:active_view/0),
    ok = on(A, fun barrel_p2p:leave/0),
    ok = wait_until(closed, fun() -> not connected(A, B) end, ?IDLE_MS + 2_000).

hidden_node_is_kept(Config) ->
    {A, _} = pair(Config, []),
    H = member(cluster(Config), hidden, #{args => ["-hidden"]}),
    ok = connect(A, H),
    receive after 3 * ?IDLE_MS -> true = connected(A, H) end.
