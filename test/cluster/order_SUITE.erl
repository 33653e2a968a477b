%% SPDX-License-Identifier: Apache-2.0
-module(order_SUITE).
-moduledoc """
Between two processes signals keep their order, in every naming form, beside any traffic, on any network. `order_flood` does the work.

`BARREL_P2P_ORDER_SIGNALS` is how many signals to check; over a bad network it is a quarter of that. `BARREL_P2P_SEED`
repeats a run: the same plan, though not the same timing.
""".

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([every_form_keeps_its_order/1, messages_that_open_the_connection_keep_their_order/1, order_survives_a_bad_network/1,
         broken_order_is_found/1]).

-define(OPENERS, 8).
-define(OPENING_MESSAGES, 200).

%% Ten million are for a run by hand.
suite() ->
    [{timetrap, {hours, 2}}].

all() ->
    [every_form_keeps_its_order, messages_that_open_the_connection_keep_their_order, order_survives_a_bad_network, broken_order_is_found].

init_per_suite(Config) ->
    [{seed, barrel_p2p_test:seed()}, {signals, list_to_integer(os:getenv("BARREL_P2P_ORDER_SIGNALS", "300000"))} | Config].

end_per_suite(_Config) ->
    ok.

init_per_testcase(Case, Config) when Case =:= order_survives_a_bad_network; Case =:= broken_order_is_found ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end;
init_per_testcase(_Case, Config) ->
    [{cluster, barrel_p2p_test:cluster(Config)} | Config].

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

every_form_keeps_its_order(Config) ->
    A = start(alpha, #{}, Config),
    B = start(beta, #{}, Config),
    ok = barrel_p2p_test:connect(A, B),
    in_order(A, B, proplists:get_value(signals, Config), Config).

%% What is sent before the connection is there has another form than what follows: it does not name its sender.
messages_that_open_the_connection_keep_their_order(Config) ->
    A = start(alpha, #{}, Config),
    B = start(beta, #{}, Config),
    lists:foreach(fun(_) -> ok = opening(A, B), ok = barrel_p2p_test:disconnect(A, B) end, lists:seq(1, barrel_p2p_test:rounds(10))).

opening(A, #{node := NodeB} = B) ->
    Receiver = barrel_p2p_test:on(B, fun() -> opened(?OPENERS * ?OPENING_MESSAGES) end),
    ok = barrel_p2p_test:on(A, fun() -> opener({Receiver, {opened, NodeB}}, ?OPENERS) end),
    barrel_p2p_test:on(B, fun() -> opened ! {verdict, self()}, receive {verdict, Verdict} -> Verdict end end).

opener(_Addresses, 0) ->
    ok;
opener(Addresses, Left) ->
    _ = spawn(fun() -> [element(1 + N rem 2, Addresses) ! {opening, self(), N, bulk(N)} || N <- lists:seq(1, ?OPENING_MESSAGES)] end),
    opener(Addresses, Left - 1).

bulk(N) when N rem 20 =:= 0 -> binary:copy(<<0>>, 100_000);
bulk(_) -> <<>>.

opened(Messages) ->
    Self = self(),
    Pid = spawn(fun() ->
                    true = register(opened, self()),
                    Self ! registered,
                    Verdict = opened(Messages, #{}),
                    receive {verdict, Asker} -> Asker ! {verdict, Verdict} end
                end),
    receive registered -> Pid end.

opened(0, _Seen) ->
    ok;
opened(Left, Seen) ->
    receive
        {opening, From, N, _} ->
            case maps:get(From, Seen, 0) + 1 of
                N -> opened(Left - 1, Seen#{From => N});
                Expected -> {inversion, #{expected => Expected, seen => N}}
            end
    after 30_000 -> {lost, Left}
    end.

%% Alpha knows only the relay as the address of beta, and beta does not dial.
order_survives_a_bad_network(Config) ->
    #{node := NodeB} = B = start(beta, #{}, Config),
    {ok, Port} = barrel_p2p_test:on(B, fun barrel_p2p_dist:listen_port/0),
    Address = udp_relay:network_address(),
    {Relay, Relayed} = udp_relay:start({Address, Port}, proplists:get_value(seed, Config)),
    A = start(alpha, #{config => [{discovery_nodes, [{NodeB, {inet:ntoa(Address), Relayed}}]}, {discovery_backends, [barrel_p2p_discovery_static]}]},
              Config),
    ok = barrel_p2p_test:connect(A, B),
    ok = udp_relay:impair(Relay, #{drop => 10, duplicate => 10, delay => 20, delay_ms => 5}),
    in_order(A, B, proplists:get_value(signals, Config) div 4, Config),
    Fates = udp_relay:stop(Relay),
    ct:pal("datagrams: ~0p", [Fates]),
    #{drop := _, duplicate := _, delay := _} = Fates.

%% A checker that cannot fail shows nothing: here the input process of one node exchanges messages that lie side by side.
broken_order_is_found(Config) ->
    A = start(alpha, #{}, Config),
    B = start(beta, #{}, Config),
    ok = barrel_p2p_test:on(B, fun() -> exchange_messages(barrel_p2p_dist_input) end),
    ok = barrel_p2p_test:connect(A, B),
    {inversion, Report} = order_flood:run(A, B, #{seed => proplists:get_value(seed, Config), signals => 300_000}),
    ct:pal("found: ~0p", [Report]).

%% 22 is a message to a process; frames that bring atoms in full are left alone.
exchange_messages(Module) ->
    {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(Module), [abstract_code]),
    Exchanging = [parsed("put_frames(DHandle, <<A:32, One:A/binary, Next/binary>>) ->"
                         "    case Next of"
                         "        <<B:32, Two:B/binary, Rest/binary>> when A > 0, B > 0 ->"
                         "            case {message(One), message(Two)} of"
                         "                {{arity, N}, {arity, N}} ->"
                         "                    ok = erlang:dist_ctrl_put_data(DHandle, Two),"
                         "                    ok = erlang:dist_ctrl_put_data(DHandle, One),"
                         "                    put_frames(DHandle, Rest);"
                         "                _ ->"
                         "                    ok = erlang:dist_ctrl_put_data(DHandle, One),"
                         "                    put_frames(DHandle, Next)"
                         "            end;"
                         "        _ ->"
                         "            ok = erlang:dist_ctrl_put_data(DHandle, One),"
                         "            put_frames(DHandle, Next)"
                         "    end;"
                         "put_frames(_DHandle, <<>>) -> ok."),
                  parsed("message(<<131, 68, N, _:(N + N div 2 + 1)/binary, 104, Arity, 97, 22, _/binary>>) -> {arity, Arity};"
                         "message(_) -> other.")],
    Broken = lists:flatmap(fun({function, _, put_frames, 2, _}) -> Exchanging; (Form) -> [Form] end, Forms),
    {ok, Module, Beam} = compile:forms(Broken, []),
    {module, Module} = code:load_binary(Module, "exchanged", Beam),
    ok.

parsed(Text) ->
    {ok, Tokens, _} = erl_scan:string(Text),
    {ok, Function} = erl_parse:parse_form(Tokens),
    Function.

start(Name, Options, Config) ->
    barrel_p2p_test:start(proplists:get_value(cluster, Config), Name, Options).

in_order(A, B, Signals, Config) ->
    Began = erlang:monotonic_time(millisecond),
    Result = order_flood:run(A, B, #{seed => proplists:get_value(seed, Config), signals => Signals}),
    ct:pal("~0p in ~b ms", [Result, erlang:monotonic_time(millisecond) - Began]),
    {ok, Checked} = Result,
    true = Checked >= Signals.
