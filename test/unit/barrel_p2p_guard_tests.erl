%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_guard_tests).
-moduledoc """
Which nodes the application refuses to run on.
""".
-include_lib("eunit/include/eunit.hrl").

-define(GOOD, #{alive => true, carrying => true, asked => [["barrel_p2p"]], running => ["barrel_p2p"]}).

good_nodes_pass_test() ->
    [?assertEqual(ok, barrel_p2p_guard:verdict(Facts))
     || Facts <- [?GOOD,
                  #{alive => false, carrying => false, asked => [], running => []},
                  maps:merge(?GOOD, #{asked => [["inet_tcp", "barrel_p2p"]], running => ["barrel_p2p", "inet_tcp"]}),
                  maps:merge(?GOOD, #{running => []})]].

plain_tcp_is_refused_test() ->
    ?assertEqual({error, "the distribution of this node does not run over barrel_p2p (it runs over inet_tcp); "
                  "start it with -proto_dist barrel_p2p -epmd_module barrel_p2p_epmd -start_epmd false"},
                 barrel_p2p_guard:verdict(maps:merge(?GOOD, #{carrying => false, asked => [], running => ["inet_tcp"]}))).

failed_listener_beside_tcp_is_refused_test() ->
    ?assertMatch({error, "the distribution of this node should run over barrel_p2p but its listener did not start (it runs over inet_tcp); " ++ _},
                 barrel_p2p_guard:verdict(maps:merge(?GOOD, #{carrying => false, asked => [["inet_tcp", "barrel_p2p"]],
                                                              running => ["inet_tcp"]}))).

doubled_flag_is_refused_test() ->
    [?assertMatch({error, "-proto_dist is given more than once" ++ _},
                  barrel_p2p_guard:verdict(maps:merge(?GOOD, #{carrying => Carrying, asked => [["barrel_p2p"], ["barrel_p2p"]],
                                                               running => ["inet_tcp"]})))
     || Carrying <- [true, false]].

unasked_listener_is_refused_test() ->
    ?assertEqual({error, "the node also listens over inet_tcp, which -proto_dist does not name; name it there if it is wanted"},
                 barrel_p2p_guard:verdict(maps:merge(?GOOD, #{running => ["inet_tcp", "barrel_p2p"]}))).

nodes_without_a_name_pass_test() ->
    ?assertEqual(ok, barrel_p2p_guard:check()).
