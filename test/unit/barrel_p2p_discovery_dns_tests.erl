%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_discovery_dns_tests).
-moduledoc """
The DNS backend, against a name server of our own on loopback.
""".
-include_lib("eunit/include/eunit.hrl").

-define(DNS, barrel_p2p_discovery_dns).

literals_and_localhost_need_no_query_test() ->
    config_fixture:with([{discovery_dns_port, 5555}], fun() ->
        [?assertEqual({ok, {Host, 5555}}, ?DNS:lookup('a@h', Host)) || Host <- ["10.0.0.1", "::1", "fe80::1", "localhost"]],
        ?assertEqual({error, not_found}, ?DNS:lookup('a@h', ""))
    end).

records_are_tried_by_priority_then_weight_test() ->
    ?assertEqual([{"first", 1}, {"heavy", 2}, {"light", 3}],
                 ?DNS:targets([{20, 1, 3, "light"}, {10, 0, 1, "first"}, {20, 9, 2, "heavy"}])),
    ?assertEqual([], ?DNS:targets([{0, 0, 0, "."}, {0, 0, 1, "."}])).

names_without_records_use_the_default_port_test() ->
    ?assertEqual({ok, {"plain.example", 4433}}, ask("plain.example")).

srv_records_name_host_and_port_test() ->
    ?assertEqual({ok, {"n1.example", 9100}}, ask("one.example")),
    ?assertEqual({ok, [{"n1.example", 9100}, {"n2.example", 9200}]}, ask("two.example")).

srv_record_may_say_that_there_is_no_service_test() ->
    ?assertEqual({error, not_found}, ask("none.example")).

silent_name_server_costs_at_most_a_second_test() ->
    Start = erlang:monotonic_time(millisecond),
    ?assertEqual({ok, {"silent.example", 4433}}, ask("silent.example")),
    ?assert(erlang:monotonic_time(millisecond) - Start < 1500).

%% Asks the backend while inet_res talks to a name server of our own on loopback.
ask(Host) ->
    {ok, Socket} = gen_udp:open(0, [binary, {ip, {127, 0, 0, 1}}, {active, false}]),
    {ok, Port} = inet:port(Socket),
    Server = spawn_link(fun() -> serve(Socket) end),
    ok = gen_udp:controlling_process(Socket, Server),
    File = inet_db:res_option(resolv_conf_name),
    Before = inet_db:res_option(nameservers),
    inet_db:set_resolv_conf(""),
    inet_db:res_option(nameservers, [{{127, 0, 0, 1}, Port}]),
    try
        config_fixture:with([], fun() -> ?DNS:lookup('a@h', Host) end)
    after
        inet_db:res_option(nameservers, Before),
        inet_db:set_resolv_conf(File),
        unlink(Server),
        exit(Server, kill)
    end.

serve(Socket) ->
    {ok, {Ip, Port, Packet}} = gen_udp:recv(Socket, 0),
    {ok, Query} = inet_dns:decode(Packet),
    [Question] = inet_dns:msg(Query, qdlist),
    Domain = inet_dns:dns_query(Question, domain),
    "_barrel-p2p._udp." ++ Host = Domain,
    Rr = fun(Record) -> inet_dns:make_rr([{domain, Domain}, {type, srv}, {class, in}, {ttl, 0}, {data, Record}]) end,
    Header = inet_dns:make_header(inet_dns:msg(Query, header), qr, true),
    Answer = inet_dns:make_msg(inet_dns:make_msg(Query, header, Header), anlist, lists:map(Rr, records(Host))),
    case Host of
        "silent.example" -> ok;
        _ -> ok = gen_udp:send(Socket, Ip, Port, inet_dns:encode(Answer))
    end,
    serve(Socket).

records("one.example") -> [{0, 0, 9100, "n1.example"}];
records("two.example") -> [{1, 0, 9200, "n2.example"}, {0, 0, 9100, "n1.example"}];
records("none.example") -> [{0, 0, 0, "."}];
records(_) -> [].
