%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_epmd_tests).
-moduledoc """
The port mapper without a daemon.
""".
-include_lib("eunit/include/eunit.hrl").

no_daemon_and_no_process_test() ->
    ?assertEqual(ignore, barrel_p2p_epmd:start_link()),
    ?assertEqual({ok, 0}, barrel_p2p_epmd:listen_port_please(a, "h")).

creations_differ_and_avoid_the_reserved_ones_test() ->
    Creations = [Creation || _ <- lists:seq(1, 1000), {ok, Creation} <- [barrel_p2p_epmd:register_node("a", 1)]],
    ?assert(length(lists:usort(Creations)) >= 999),
    ?assert(lists:all(fun(Creation) -> Creation >= 4 andalso Creation < 1 bsl 32 end, Creations)).

ports_come_from_discovery_test() ->
    with_nodes(fun() ->
        ?assertEqual({port, 9100, 5}, barrel_p2p_epmd:port_please("a", "127.0.0.1")),
        ?assertEqual({port, 9100, 5}, barrel_p2p_epmd:port_please(a, {127, 0, 0, 1}, 1000)),
        ?assertEqual({port, 9200, 5}, barrel_p2p_epmd:port_please("b", '::1')),
        ?assertEqual(noport, barrel_p2p_epmd:port_please("c", "127.0.0.1")),
        ?assertEqual(noport, barrel_p2p_epmd:port_please("../c", "127.0.0.1"))
    end).

addresses_come_from_discovery_test() ->
    with_nodes(fun() ->
        ?assertEqual({ok, {127, 0, 0, 1}, 9100, 5}, barrel_p2p_epmd:address_please("a", "127.0.0.1", inet)),
        ?assertEqual({ok, {0, 0, 0, 0, 0, 0, 0, 1}, 9200, 5}, barrel_p2p_epmd:address_please("b", "::1", inet6)),
        ?assertEqual({error, address}, barrel_p2p_epmd:address_please("c", "127.0.0.1", inet))
    end).

names_of_a_host_test() ->
    with_nodes(fun() ->
        ?assertEqual({ok, [{"a", 9100}, {"d", 9300}]}, barrel_p2p_epmd:names("127.0.0.1")),
        ?assertEqual({ok, [{"b", 9200}]}, barrel_p2p_epmd:names({0, 0, 0, 0, 0, 0, 0, 1})),
        ?assertEqual({ok, []}, barrel_p2p_epmd:names())
    end).

with_nodes(Test) ->
    Nodes = [{'a@127.0.0.1', "127.0.0.1", 9100}, {'b@::1', "::1", 9200}, {'d@127.0.0.1', "127.0.0.1", 9300}],
    config_fixture:with([{discovery_backends, [barrel_p2p_discovery_static]}, {discovery_nodes, Nodes}], Test).
