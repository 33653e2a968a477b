%% SPDX-License-Identifier: Apache-2.0
-module(membership_SUITE).
-moduledoc """
Nodes join and leave a cluster, each transition is told once, and who is there is what everybody says.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([joined_nodes_see_each_other/1, join_returns_at_once/1, join_says_why_it_fails/1, address_alone_is_enough/1, own_address_is_no_contact/1,
         goodbye_is_told_and_remembered/1, node_that_left_comes_back/1, repeated_joins_change_nothing/1,
         single_neighbour_is_not_given_up_for_itself/1, views_are_symmetric_and_bounded/1,
         lost_neighbour_is_replaced_from_the_passive_view/1, evicted_node_stays_a_member/1,
         killed_node_is_seen_by_everyone/1, restarted_node_is_a_member_again/1, blocked_node_is_kept_out/1, join_works_after_one_that_failed/1,
         stopped_application_has_left/1, gossip_opens_no_dist_channel/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [member/2, member/3, alone/3, address/1, join/2, active/1, passive/1, members/1, nodes_of/1, until_members/2,
                                  until_neighbours/2, symmetric/1, record/1, recorded/1, recorded/2, until_recorded/2]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [joined_nodes_see_each_other, join_returns_at_once, join_says_why_it_fails, address_alone_is_enough, own_address_is_no_contact,
     goodbye_is_told_and_remembered, node_that_left_comes_back, repeated_joins_change_nothing, single_neighbour_is_not_given_up_for_itself,
     views_are_symmetric_and_bounded, lost_neighbour_is_replaced_from_the_passive_view, evicted_node_stays_a_member,
     killed_node_is_seen_by_everyone, restarted_node_is_a_member_again, blocked_node_is_kept_out, join_works_after_one_that_failed,
     stopped_application_has_left, gossip_opens_no_dist_channel].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

pair(Config) ->
    [A, B] = Pair = [member(cluster(Config), Name) || Name <- [alpha, beta]],
    _ = [ok = record(P) || P <- Pair],
    {A, B}.

%% So many nodes, each joined through the first, all recording from before.
many(Config, Count, Keys) ->
    [First | Rest] = All = [alone(cluster(Config), list_to_atom("n" ++ integer_to_list(N)), Keys) || N <- lists:seq(1, Count)],
    _ = [ok = record(P) || P <- All],
    _ = [ok = join(P, First) || P <- Rest],
    ok = until_members(All, All),
    All.

joined_nodes_see_each_other(Config) ->
    {#{node := NodeA} = A, #{node := NodeB} = B} = pair(Config),
    [[NodeA], [NodeB]] = [members(P) || P <- [A, B]],
    ok = on(A, fun() -> barrel_p2p:join(NodeB, #{timeout => 10_000}) end),
    ok = until_members([A, B], [A, B]),
    ok = until_recorded(B, {peer_up, NodeA}),
    [[NodeB], [NodeA]] = [active(P) || P <- [A, B]],
    [[], []] = [passive(P) || P <- [A, B]],
    [{peer_up, NodeB}, joined] = lists:sort(fun is_tuple_first/2, recorded(A, view)),
    [{peer_up, NodeA}, joined] = lists:sort(fun is_tuple_first/2, recorded(B, view)),
    [{NodeB, up}] = recorded(A, members).

is_tuple_first(A, B) -> is_tuple(A) >= is_tuple(B).

join_returns_at_once(Config) ->
    {#{node := NodeA} = A, #{node := NodeB} = B} = pair(Config),
    ok = on(A, fun() -> barrel_p2p:join(NodeB) end),
    ok = on(A, fun() -> barrel_p2p:join('nobody@127.0.0.1') end),
    {error, cannot_join_self} = on(A, fun() -> barrel_p2p:join(NodeA) end),
    ok = until_recorded(A, {peer_up, NodeB}),
    ok = until_recorded(B, {peer_up, NodeA}),
    ok = barrel_p2p_test:logged(A, "could not join 'nobody@127.0.0.1' (refused)").

join_says_why_it_fails(Config) ->
    A = alone(cluster(Config), alpha, []),
    Foreign = member(cluster(Config), foreign, #{cookie => "other"}),
    Dead = {"127.0.0.1", barrel_p2p_test:free_port()},
    Stranger = address(Foreign),
    Join = fun(Target) -> on(A, fun() -> barrel_p2p:join(Target, #{timeout => 3_000}) end) end,
    {error, cannot_join_self} = Join(maps:get(node, A)),
    {error, no_address} = Join('nobody@127.0.0.1'),
    {error, refused} = Join(Dead),
    {error, refused} = Join({'dead@127.0.0.1', Dead}),
    {error, wrong_cookie} = Join(Stranger),
    {error, name_mismatch} = Join({'another@127.0.0.1', address(member(cluster(Config), beta))}),
    {Time, {error, Slow}} = timer:tc(fun() -> Join(silent()) end),
    true = lists:member(Slow, [timeout, dial_timeout]) andalso Time < 4_500_000,
    [] = active(A).

%% Somebody has the port and never says a word.
silent() ->
    {ok, Socket} = gen_udp:open(0, [{ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Socket),
    {"127.0.0.1", Port}.

address_alone_is_enough(Config) ->
    A = alone(cluster(Config), alpha, []),
    B = alone(cluster(Config), beta, []),
    {Host, Port} = address(B),
    [begin
         ok = on(A, fun() -> barrel_p2p:join(Target, #{timeout => 10_000}) end),
         [Neighbour] = active(A),
         Neighbour = maps:get(node, B)
     end || Target <- [{Host, Port}, {list_to_binary(Host), Port}, {{127, 0, 0, 1}, Port}, {"localhost", Port}]],
    ok = until_members([A, B], [A, B]).

own_address_is_no_contact(Config) ->
    A = alone(cluster(Config), alpha, []),
    Own = address(A),
    {error, no_address} = on(A, fun() -> barrel_p2p:join(Own, #{timeout => 3_000}) end),
    {[], [_]} = {active(A), members(A)}.

goodbye_is_told_and_remembered(Config) ->
    {#{node := NodeA} = A, #{node := NodeB} = B} = pair(Config),
    ok = join(A, B),
    ok = until_recorded(B, {peer_up, NodeA}),
    ok = barrel_p2p_test:connect(A, B),
    ok = on(A, fun barrel_p2p:leave/0),
    ok = until_recorded(A, left),
    ok = until_recorded(B, {peer_down, NodeA, graceful}),
    ok = until_recorded(B, {member, NodeA, left}),
    {[], []} = {active(A), active(B)},
    ok = until_members([B], [B]),
    %% The channel is none of its business.
    true = barrel_p2p_test:connected(A, B),
    [{peer_up, NodeA}, {peer_down, NodeA, graceful}] = [E || E <- recorded(B, view), E =/= joined],
    1 = length([left || left <- recorded(A, view)]),
    _ = NodeB.

node_that_left_comes_back(Config) ->
    {#{node := NodeA} = A, B} = pair(Config),
    [begin
         ok = join(A, B),
         ok = until_members([A, B], [A, B]),
         ok = on(A, fun barrel_p2p:leave/0),
         ok = until_members([B], [B])
     end || _ <- [1, 2, 3]],
    ok = join(A, B),
    ok = until_members([A, B], [A, B]),
    States = [up, left, up, left, up, left, up],
    States = [State || {Node, State} <- recorded(B, members), Node =:= NodeA].

%% A node with two neighbours and room for two: a third stays out or replaces one, but a neighbour that joins again moves nobody.
repeated_joins_change_nothing(Config) ->
    Hub = alone(cluster(Config), hub, [{active_size, 2}]),
    [B, C] = [alone(cluster(Config), Name, []) || Name <- [beta, gamma]],
    _ = [ok = join(P, Hub) || P <- [B, C]],
    ok = until_members([Hub, B, C], [Hub, B, C]),
    ok = until_neighbours([Hub, B, C], 2),
    _ = [ok = record(P) || P <- [Hub, B, C]],
    _ = [ok = join(P, Hub) || _ <- lists:seq(1, 20), P <- [B, C]],
    [[], [], []] = [recorded(P) || P <- [Hub, B, C]],
    [] = nodes_of([B, C]) -- active(Hub).

%% Room for one neighbour only: whoever asks again is no reason to send it away.
single_neighbour_is_not_given_up_for_itself(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = [alone(cluster(Config), Name, [{active_size, 1}]) || Name <- [alpha, beta]],
    ok = join(A, B),
    ok = wait_until(together, fun() -> {active(A), active(B)} =:= {[NodeB], [NodeA]} end, 5_000),
    _ = [ok = record(P) || P <- [A, B]],
    _ = [ok = join(From, To) || _ <- lists:seq(1, 10), {From, To} <- [{A, B}, {B, A}]],
    [[], []] = [recorded(P) || P <- [A, B]],
    {[NodeB], [NodeA]} = {active(A), active(B)}.

views_are_symmetric_and_bounded(Config) ->
    All = many(Config, 10, [{active_size, 3}, {passive_size, 5}, {shuffle_period, 1_000}]),
    ok = symmetric(All),
    [] = [{Node, View} || #{node := Node} = P <- All, View <- [active(P)], length(View) > 3 orelse View =:= []],
    [] = [{Node, View} || #{node := Node} = P <- All, View <- [passive(P)], length(View) > 5 orelse lists:member(Node, View)],
    %% Every up has its down, in turn, and what is left over is the view.
    [] = [{Node, Told} || #{node := Node} = P <- All, Told <- [recorded(P, view)], Told =/= [], lists:sort(active(P)) =/= view_of(Told)].

%% What a subscriber that believes every event takes for the view; nothing may come up twice or go down unseen.
view_of(Told) ->
    lists:sort(lists:foldl(fun({peer_up, Node}, View) -> false = lists:member(Node, View), [Node | View];
                              ({peer_down, Node, _}, View) -> true = lists:member(Node, View), View -- [Node];
                              (_, View) -> View
                           end, [], Told)).

lost_neighbour_is_replaced_from_the_passive_view(Config) ->
    All = [A | _] = many(Config, 6, [{active_size, 2}, {passive_size, 10}, {shuffle_period, 500}]),
    ok = until_neighbours(All, 2),
    ok = wait_until(reserve, fun() -> passive(A) =/= [] end, 10_000),
    [Lost | _] = [Peer || #{node := Node} = Peer <- All, lists:member(Node, active(A))],
    ok = kill(Lost),
    Rest = All -- [Lost],
    ok = until_members(Rest, Rest, 10_000),
    ok = until_neighbours(Rest, 2),
    [] = [{Node, Told} || #{node := Node} = P <- Rest, Told <- [recorded(P, view)], lists:sort(active(P)) =/= view_of(Told)].

until_members(Peers, Members, Milliseconds) ->
    barrel_p2p_test_members:until_members(Peers, Members, Milliseconds).

%% Small views make for evictions; none of them is a death, and the evicted stays in reserve.
evicted_node_stays_a_member(Config) ->
    All = many(Config, 8, [{active_size, 3}]),
    Evicted = [{P, Node} || P <- All, {peer_down, Node, dropped} <- recorded(P, view)],
    [] = [{Node, State} || P <- All, {Node, State} <- recorded(P, members), State =/= up],
    [] = [{Node, Other} || {#{node := Node} = P, Other} <- Evicted, not lists:member(Other, members(P))],
    ok = until_members(All, All).

killed_node_is_seen_by_everyone(Config) ->
    All = many(Config, 6, []),
    [#{node := Dead} = Victim | Rest] = lists:reverse(All),
    Neighbours = [P || P <- Rest, lists:member(Dead, active(P))],
    ok = kill(Victim),
    ok = until_members(Rest, Rest),
    _ = [ok = until_recorded(P, {member, Dead, down}) || P <- Rest],
    _ = [ok = until_recorded(P, {peer_down, Dead, nodedown}) || P <- Neighbours],
    [] = [P || P <- Rest, lists:member(Dead, active(P))].

restarted_node_is_a_member_again(Config) ->
    [First, Second | _] = All = many(Config, 4, []),
    #{node := Node} = Victim = lists:last(All),
    Rest = All -- [Victim],
    ok = kill(Victim),
    %% At once: the others may still take the old run for alive.
    Name = list_to_atom(hd(string:split(atom_to_list(Node), "@"))),
    Again = alone(cluster(Config), Name, []),
    ok = join(Again, Second),
    Now = [Again | Rest],
    ok = until_members(Now, Now),
    {Host, Port} = address(Again),
    ok = wait_until(new_address, fun() -> {ok, [{H, P} | _]} = on(First, fun() -> barrel_p2p_discovery:addresses(Node) end),
                                          P =:= Port orelse H =:= Host andalso false end, 8_000).

blocked_node_is_kept_out(Config) ->
    {#{node := NodeA} = A, #{node := NodeB} = B} = pair(Config),
    ok = join(A, B),
    ok = until_recorded(B, {peer_up, NodeA}),
    ok = on(A, fun() -> barrel_p2p_hyparview:block_peers([NodeB]) end),
    ok = until_recorded(A, {peer_down, NodeB, blocked}),
    ok = wait_until(apart, fun() -> active(B) =:= [] end, 8_000),
    ok = on(A, fun() -> barrel_p2p:join(NodeB) end),
    ok = on(B, fun() -> barrel_p2p:join(NodeA) end),
    Address = address(A),
    {error, _} = on(B, fun() -> barrel_p2p:join(Address, #{timeout => 1_000}) end),
    {[], []} = {active(A), active(B)},
    ok = on(A, fun barrel_p2p_hyparview:unblock_peers/0),
    ok = join(A, B),
    ok = wait_until(together, fun() -> {active(A), active(B)} =:= {[NodeB], [NodeA]} end, 8_000),
    [] = [Told || P <- [A, B], Told <- [recorded(P, view)], lists:sort(active(P)) =/= view_of(Told)].

%% A join that led nowhere leaves nothing behind that could stand in the way of the next.
join_works_after_one_that_failed(Config) ->
    Port = barrel_p2p_test:free_port(),
    A = alone(cluster(Config), alpha, []),
    Late = {'late@127.0.0.1', {"127.0.0.1", Port}},
    _ = [ok = on(A, fun() -> barrel_p2p:join(Late) end) || _ <- [1, 2, 3]],
    {error, refused} = on(A, fun() -> barrel_p2p:join(Late, #{timeout => 3_000}) end),
    B = member(cluster(Config), late, #{port => Port, config => [{discovery_backends, []}]}),
    ok = on(A, fun() -> barrel_p2p:join(Late, #{timeout => 5_000}) end),
    ok = until_members([A, B], [A, B]).

stopped_application_has_left(Config) ->
    {#{node := NodeA} = A, B} = pair(Config),
    ok = join(A, B),
    ok = until_members([A, B], [A, B]),
    ok = on(A, fun() -> application:stop(barrel_p2p) end),
    ok = until_recorded(B, {peer_down, NodeA, graceful}),
    ok = until_recorded(B, {member, NodeA, left}),
    {ok, _} = on(A, fun() -> application:ensure_all_started(barrel_p2p) end),
    ok = join(A, B),
    ok = until_members([A, B], [A, B]).

gossip_opens_no_dist_channel(Config) ->
    All = many(Config, 5, []),
    [] = lists:append([on(P, fun() -> nodes(connected) end) || P <- All]).
