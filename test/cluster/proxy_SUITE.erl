%% SPDX-License-Identifier: Apache-2.0
-module(proxy_SUITE).
-moduledoc """
Proxies and questions to neighbours: they work for any name, wait for nobody, end with what they stand for, and leave nothing behind in a mailbox.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([service_with_any_name_is_reached/1, slow_call_holds_up_no_other/1, order_is_kept/1, proxy_ends_with_its_service/1,
         proxy_ends_with_the_node/1, proxy_follows_to_another_node/1, proxy_opens_the_way_again/1, global_name_goes_with_the_proxy/1,
         casts_over_the_limit_are_dropped_and_counted/1, neighbour_answers_what_has_not_arrived/1, silent_neighbour_delays_no_fresh_name/1,
         late_answers_do_not_reach_the_caller/1, questions_over_the_limit_are_refused_and_counted/1, routes_are_told/1]).

-import(barrel_p2p_test, [on/2, async/2, await/2, kill/1, freeze/1, thaw/1, wait_until/3]).
-import(barrel_p2p_test_members, [active/1]).
-import(barrel_p2p_test_services, [cluster_of/2, cluster_of/3, hold/2, where/2, until_found/3]).

-define(SOON_MS, 15_000).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [service_with_any_name_is_reached, slow_call_holds_up_no_other, order_is_kept, proxy_ends_with_its_service, proxy_ends_with_the_node,
     proxy_follows_to_another_node, proxy_opens_the_way_again, global_name_goes_with_the_proxy, casts_over_the_limit_are_dropped_and_counted,
     neighbour_answers_what_has_not_arrived, silent_neighbour_delays_no_fresh_name, late_answers_do_not_reach_the_caller,
     questions_over_the_limit_are_refused_and_counted, routes_are_told].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

%% Two nodes, a service on the second, and its proxy on the first.
proxied(Config, Name) ->
    [A, #{node := Node} = B] = cluster_of(Config, 2),
    Service = hold(B, Name),
    ok = until_found([A], Name, [Node]),
    {ok, Proxy} = on(A, fun() -> barrel_p2p_registry:ensure_proxy(Name, Node) end),
    {A, B, Service, Proxy}.

until_gone(Peer, Name, Proxy) ->
    ok = wait_until(proxy_ended, fun() -> not on(Peer, fun() -> is_process_alive(Proxy) end) end, ?SOON_MS),
    {not_found, []} = on(Peer, fun() -> {barrel_p2p:get_proxy(Name), barrel_p2p_proxy_sup:list_proxies()} end),
    ok.

%% Only an atom under which the service was registered locally, too, could be called.
service_with_any_name_is_reached(Config) ->
    {A, B, _, Proxy} = proxied(Config, {room, <<"7">>}),
    {ok, Proxy} = on(A, fun() -> barrel_p2p:get_proxy({room, <<"7">>}) end),
    {echo, hello} = on(A, fun() -> gen_server:call(Proxy, hello) end),
    {echo, {?MODULE, hello}} = on(A, fun() -> gen_server:call(Proxy, {?MODULE, hello}) end),
    {cast, info} = on(A, fun() ->
                             ok = gen_server:cast(Proxy, {tell, self(), cast}),
                             Proxy ! {tell, self(), info},
                             {receive cast -> cast after 5_000 -> nothing end, receive info -> info after 5_000 -> nothing end}
                         end),
    %% It works for a service of the own node, too, and there is none for what nobody has registered.
    {ok, Own} = on(B, fun() -> barrel_p2p_registry:ensure_proxy({room, <<"7">>}, node()) end),
    {echo, hello} = on(B, fun() -> gen_server:call(Own, hello) end),
    {error, not_found} = on(A, fun() -> barrel_p2p_registry:ensure_proxy(nobody, node()) end),
    {error, not_found} = on(A, fun() -> barrel_p2p_registry:ensure_proxy({room, <<"7">>}, node()) end),
    ok.

slow_call_holds_up_no_other(Config) ->
    {A, _, _, Proxy} = proxied(Config, slow),
    Slow = async(A, fun() -> gen_server:call(Proxy, never, 30_000) end),
    Answers = on(A, fun() ->
                        Callers = [spawn_monitor(fun() -> exit(gen_server:call(Proxy, {after_ms, 300, N})) end) || N <- lists:seq(1, 200)],
                        [receive {'DOWN', Monitor, process, Pid, Answer} -> Answer end || {Pid, Monitor} <- Callers]
                    end),
    true = Answers =:= [{echo, N} || N <- lists:seq(1, 200)],
    {error, timeout} = await(Slow, 15_000).

order_is_kept(Config) ->
    {A, _, _, Proxy} = proxied(Config, ordered),
    Numbers = lists:seq(1, 1_000),
    Numbers = on(A, fun() ->
                        %% Few enough at once for the time until the way is open.
                        _ = [begin
                                 _ = [ok = gen_server:cast(Proxy, {tell, self(), {n, N}}) || N <- [10 * Ten + Digit || Digit <- lists:seq(1, 10)]],
                                 {echo, Ten} = gen_server:call(Proxy, Ten)
                             end || Ten <- lists:seq(0, 99)],
                        [receive {n, N} -> N after 5_000 -> nothing end || _ <- Numbers]
                    end),
    ok.

%% It stayed for ever when the service died elsewhere.
proxy_ends_with_its_service(Config) ->
    {A, #{node := Node} = B, Service, Proxy} = proxied(Config, mortal),
    Waiting = async(A, fun() -> gen_server:call(Proxy, never, 30_000) end),
    ok = wait_until(asked, fun() -> on(B, fun() -> process_info(Service, reductions) end) =/= undefined end, 1_000),
    {echo, reached} = on(A, fun() -> gen_server:call(Proxy, reached) end),
    true = on(B, fun() -> exit(Service, kill) end),
    {error, service_not_found} = await(Waiting, ?SOON_MS),
    ok = until_gone(A, mortal, Proxy),
    %% The same when it only ends its registration, also if nobody has spoken to it.
    Second = hold(B, mortal),
    ok = until_found([A], mortal, [Node]),
    {ok, Next} = on(A, fun() -> barrel_p2p_registry:ensure_proxy(mortal, Node) end),
    ok = on(B, fun() -> barrel_p2p:unregister_service(mortal) end),
    ok = until_gone(A, mortal, Next),
    true = on(B, fun() -> is_process_alive(Second) end).

proxy_ends_with_the_node(Config) ->
    {A, B, _, Proxy} = proxied(Config, mortal),
    Waiting = async(A, fun() -> gen_server:call(Proxy, never, 30_000) end),
    {echo, reached} = on(A, fun() -> gen_server:call(Proxy, reached) end),
    ok = kill(B),
    {error, node_down} = await(Waiting, ?SOON_MS),
    ok = until_gone(A, mortal, Proxy).

%% The first one was returned, whatever node was asked for.
proxy_follows_to_another_node(Config) ->
    [A, #{node := NodeB} = B, #{node := NodeC} = C] = cluster_of(Config, 3),
    [ServiceB, ServiceC] = [hold(P, worker) || P <- [B, C]],
    ok = until_found([A], worker, [NodeB, NodeC]),
    {ok, Proxy} = on(A, fun() -> barrel_p2p_registry:ensure_proxy(worker, NodeB) end),
    {ok, Proxy} = on(A, fun() -> barrel_p2p_registry:ensure_proxy(worker, NodeC) end),
    ok = on(A, fun() -> gen_server:cast(Proxy, {tell, self(), to_c}), receive to_c -> ok after 5_000 -> nothing end end),
    true = on(B, fun() -> exit(ServiceB, kill) end),
    ok = until_found([A], worker, [NodeC]),
    {echo, still} = on(A, fun() -> gen_server:call(Proxy, still) end),
    true = on(C, fun() -> exit(ServiceC, kill) end),
    ok = until_gone(A, worker, Proxy).

%% An idle dist channel is closed after a while; that is not the end of a service.
proxy_opens_the_way_again(Config) ->
    {A, B, _, Proxy} = proxied(Config, patient),
    {echo, one} = on(A, fun() -> gen_server:call(Proxy, one) end),
    ok = barrel_p2p_test:disconnect(A, B),
    {echo, two} = on(A, fun() -> gen_server:call(Proxy, two) end),
    ok = barrel_p2p_test:disconnect(A, B),
    three = on(A, fun() -> Proxy ! {tell, self(), three}, receive three -> three after 5_000 -> nothing end end).

global_name_goes_with_the_proxy(Config) ->
    {A, #{node := Node} = B, Service, Proxy} = proxied(Config, {shared, 1}),
    {ok, Proxy} = on(A, fun() -> barrel_p2p:global_register({shared, 1}) end),
    {ok, Service} = on(B, fun() -> barrel_p2p:global_register({shared, 1}) end),
    {error, already_registered} = on(A, fun() -> barrel_p2p:global_register({shared, 1}) end),
    {error, not_found} = on(A, fun() -> barrel_p2p:global_register(nobody) end),
    [{echo, hello}, {echo, hello}] = [on(P, fun() -> gen_server:call({global, {shared, 1}}, hello) end) || P <- [A, B]],
    Unnamed = fun(P) -> on(P, fun() -> global:whereis_name({shared, 1}) end) =:= undefined end,
    true = on(A, fun() -> exit(Proxy, kill) end),
    ok = wait_until(unnamed, fun() -> Unnamed(A) end, 5_000),
    {ok, Next} = on(A, fun() -> barrel_p2p:global_register({shared, 1}) end),
    {true, false} = {Next =/= Proxy, Unnamed(A)},
    true = on(B, fun() -> exit(Service, kill) end),
    ok = wait_until(unnamed, fun() -> Unnamed(A) andalso Unnamed(B) end, ?SOON_MS),
    ok = until_gone(A, {shared, 1}, Next),
    ok = until_found([A], {shared, 1}, []),
    Local = hold(A, here),
    {ok, Local} = on(A, fun() -> barrel_p2p:global_register(here) end),
    ok = until_found([B], here, [maps:get(node, A)]),
    true = Node =/= maps:get(node, A).

%% While the node cannot be reached, and nobody knows yet that it is dead.
casts_over_the_limit_are_dropped_and_counted(Config) ->
    [A, #{node := Node} = B] = cluster_of(Config, 2, [{proxy_cast_max_in_flight, 10}]),
    _ = hold(B, quiet),
    ok = until_found([A], quiet, [Node]),
    {ok, Proxy} = on(A, fun() -> barrel_p2p_registry:ensure_proxy(quiet, Node) end),
    ok = freeze(B),
    25 = on(A, fun() ->
                   _ = [ok = gen_server:cast(Proxy, {tell, self(), N}) || N <- lists:seq(1, 35)],
                   ok = gen_server:call(Proxy, {barrel_p2p_service_proxy, retarget, Node}),
                   maps:get(<<"barrel_p2p.service_proxy.cast_dropped">>, barrel_p2p_metrics:snapshot())
               end),
    ok = thaw(B).

%% The registry of the node that asks gets no news, its neighbours do.
neighbour_answers_what_has_not_arrived(Config) ->
    [#{node := NodeA} = A, B, C] = cluster_of(Config, 3),
    ok = on(B, fun() -> sys:suspend(barrel_p2p_registry) end),
    Service = hold(A, news),
    ok = until_found([C], news, [NodeA]),
    {error, not_found} = where(B, news),
    {found, NodeA, Service} = on(B, fun() -> barrel_p2p_router:find_service(news) end),
    {ok, NodeA, Service} = on(B, fun() -> barrel_p2p:whereis_service(news, #{retries => 1}) end),
    {error, not_found} = on(B, fun() -> barrel_p2p_router:find_service(nobody) end),
    ok = on(B, fun() -> sys:resume(barrel_p2p_registry) end),
    ok = until_found([B], news, [NodeA]).

%% Each start of a new name asked every neighbour and waited five seconds for each that said nothing.
silent_neighbour_delays_no_fresh_name(Config) ->
    [A, #{node := Node} = B, _] = cluster_of(Config, 3),
    ok = wait_until(neighbours, fun() -> lists:member(Node, active(A)) end, 10_000),
    ok = freeze(B),
    Microseconds = on(A, fun() ->
                             {Time, _} = timer:tc(fun() -> [{ok, _} = gen_server:start({via, barrel_p2p, {fresh, N}}, registry_echo, [], [])
                                                            || N <- lists:seq(1, 100)] end),
                             Time div 100
                         end),
    ct:pal("a fresh via name beside a silent neighbour: ~b us", [Microseconds]),
    {Waited, {error, not_found}} = on(A, fun() -> timer:tc(fun() -> barrel_p2p:whereis_service(nobody) end) end),
    ct:pal("a name that nobody has, three retries: ~b ms", [Waited div 1000]),
    ok = thaw(B),
    true = Microseconds < 50_000,
    true = Waited < 4_000_000.

late_answers_do_not_reach_the_caller(Config) ->
    [A, #{node := Node} = B] = cluster_of(Config, 2),
    ok = wait_until(neighbours, fun() -> active(A) =:= [Node] end, 10_000),
    ok = freeze(B),
    Asker = async(A, fun() ->
                         Result = barrel_p2p_router:find_service(nobody),
                         true = register(asker, self()),
                         receive go_on -> {Result, process_info(self(), message_queue_len)} end
                     end),
    ok = wait_until(given_up, fun() -> on(A, fun() -> whereis(asker) end) =/= undefined end, 5_000),
    ok = thaw(B),
    %% The answer to a second question comes after that to the first.
    ok = wait_until(answering, fun() -> on(A, fun() -> barrel_p2p_router:find_service(nobody) end) =:= {error, not_found} end, ?SOON_MS),
    go_on = on(A, fun() -> asker ! go_on end),
    {{error, timeout}, {message_queue_len, 0}} = await(Asker, 5_000).

questions_over_the_limit_are_refused_and_counted(Config) ->
    [A, #{node := Node} = B] = cluster_of(Config, 2, [{router_max_in_flight, 2}]),
    ok = wait_until(neighbours, fun() -> active(A) =:= [Node] end, 10_000),
    ok = freeze(B),
    Answers = on(A, fun() ->
                        Askers = [spawn_monitor(fun() -> exit(barrel_p2p_router:find_service(nobody)) end) || _ <- lists:seq(1, 5)],
                        [receive {'DOWN', Monitor, process, Pid, Answer} -> Answer end || {Pid, Monitor} <- Askers]
                    end),
    ok = thaw(B),
    [{error, overloaded}, {error, overloaded}, {error, overloaded}, {error, timeout}, {error, timeout}] = lists:sort(Answers),
    3 = on(A, fun() -> maps:get(<<"barrel_p2p.router.request_dropped">>, barrel_p2p_metrics:snapshot()) end),
    %% The limit is one of questions at a time.
    ok = wait_until(answering, fun() -> on(A, fun() -> barrel_p2p_router:find_service(nobody) end) =:= {error, not_found} end, ?SOON_MS),
    {error, not_found} = on(A, fun() -> barrel_p2p:whereis_service(nobody, #{retries => 1}) end).

routes_are_told(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = cluster_of(Config, 2),
    ok = wait_until(neighbours, fun() -> active(A) =:= [NodeB] end, 10_000),
    [{direct, NodeA}, {direct, NodeB}, {via, NodeB}] = on(A, fun() -> [barrel_p2p_router:find_route(N) || N <- [NodeA, NodeB, 'x@127.0.0.1']] end),
    ok = kill(B),
    ok = wait_until(alone, fun() -> active(A) =:= [] end, ?SOON_MS),
    no_route = on(A, fun() -> barrel_p2p_router:find_route('x@127.0.0.1') end).
