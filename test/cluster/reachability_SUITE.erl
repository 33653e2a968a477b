%% SPDX-License-Identifier: Apache-2.0
-module(reachability_SUITE).
-moduledoc """
One seed address is all that was ever configured, ports are whatever was free, and no directory is shared: any member still reaches any
other by a plain message.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([message_reaches_every_member/1, restarted_member_is_reached_at_its_new_port/1, node_that_left_is_still_reached/1,
         stranger_is_not_found/1]).

-import(barrel_p2p_test, [on/2, kill/1, wait_until/3]).
-import(barrel_p2p_test_members, [alone/3, address/1, until_members/2]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [message_reaches_every_member, restarted_member_is_reached_at_its_new_port, node_that_left_is_still_reached, stranger_is_not_found].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

%% The first is the seed, whose address is the only one that anybody is given. Each has a folder of its own for endpoint files.
from_one_seed(Config, Count) ->
    Cluster = proplists:get_value(cluster, Config),
    Seed = alone(Cluster, seed, own_folder(Config, "seed")),
    Contacts = {contact_nodes, [address(Seed)]},
    Others = [alone(Cluster, list_to_atom(Name), [Contacts, {active_size, 2} | own_folder(Config, Name)])
              || N <- lists:seq(2, Count), Name <- ["n" ++ integer_to_list(N)]],
    All = [Seed | Others],
    ok = until_members(All, All),
    All.

own_folder(Config, Name) ->
    [{discovery_dir, filename:join([proplists:get_value(priv_dir, Config), "own", Name])}].

message_reaches_every_member(Config) ->
    All = from_one_seed(Config, 7),
    _ = [ok = listen(P) || P <- All],
    [] = lists:append([on(P, fun() -> nodes(connected) end) || P <- All]),
    [] = [{From, To, Answer} || #{node := From} = P <- All, #{node := To} <- All, From =/= To,
                                Answer <- [on(P, fun() -> ask(To) end)], Answer =/= {heard, To}],
    %% Everybody has spoken with everybody, and that is what opened the channels.
    [6] = lists:usort([on(P, fun() -> length(nodes()) end) || P <- All]).

listen(P) ->
    on(P, fun() ->
              Self = self(),
              Pid = spawn(fun() -> true = register(ear, self()), Self ! {self(), ready}, echo() end),
              receive {Pid, ready} -> ok end
          end).

echo() ->
    receive {From, hello} -> From ! {heard, node()} end,
    echo().

ask(Node) ->
    {ear, Node} ! {self(), hello},
    receive {heard, _} = Answer -> Answer after 8_000 -> {nothing, barrel_p2p:last_error(Node)} end.

restarted_member_is_reached_at_its_new_port(Config) ->
    [Seed, Other | _] = All = from_one_seed(Config, 4),
    #{node := Node} = Victim = lists:last(All),
    ok = listen(Victim),
    {heard, Node} = on(Other, fun() -> ask(Node) end),
    ok = kill(Victim),
    Again = alone(proplists:get_value(cluster, Config), n4, [{contact_nodes, [address(Seed)]} | own_folder(Config, "n4")]),
    ok = listen(Again),
    Now = [Again | All -- [Victim]],
    ok = until_members(Now, Now),
    ok = wait_until(reached, fun() -> on(Other, fun() -> ask(Node) end) =:= {heard, Node} end, 10_000).

%% Leaving the gossip is not leaving the network: who knew the way still does.
node_that_left_is_still_reached(Config) ->
    [Seed, #{node := Node} = Gone | _] = All = from_one_seed(Config, 3),
    ok = listen(Gone),
    ok = on(Gone, fun barrel_p2p:leave/0),
    ok = until_members([Seed], All -- [Gone]),
    {heard, Node} = on(Seed, fun() -> ask(Node) end).

stranger_is_not_found(Config) ->
    [Seed | _] = from_one_seed(Config, 2),
    {error, not_found} = on(Seed, fun() -> barrel_p2p_discovery:addresses('nobody@127.0.0.1') end),
    [true, false] = on(Seed, fun() -> [barrel_p2p_discovery:knows(Node) || Node <- ['n2@127.0.0.1', 'nobody@127.0.0.1']] end).
