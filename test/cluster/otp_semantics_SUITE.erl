%% SPDX-License-Identifier: Apache-2.0
-module(otp_semantics_SUITE).
-moduledoc """
What OTP builds on distribution works between two nodes: rpc, erpc, gen_server, pg, mnesia, global, and terms and payloads of every
kind and size, unharmed and in order.
""".

-export([all/0, suite/0, init_per_suite/1, end_per_suite/1, init_per_testcase/2, end_per_testcase/2]).
-export([rpc_calls_casts_and_multicalls/1, erpc_returns_raises_and_times_out/1, gen_server_calls_cross_nodes/1, pg_members_cross_nodes/1,
         mnesia_table_lives_on_two_nodes/1, global_names_and_locks_with_connect_all/1, terms_of_every_kind_round_trip/1,
         funs_run_where_they_arrive/1, files_of_a_peer_open_from_here/1, payloads_of_every_size_arrive_whole/1,
         many_senders_each_keep_their_order/1]).
-export([add/2]).

-import(barrel_p2p_test, [on/2, on/3, async/2, await/2, connect/2, start/3, wait_until/2]).

-define(KIB, 1024).
-define(MIB, (1024 * 1024)).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [rpc_calls_casts_and_multicalls, erpc_returns_raises_and_times_out, gen_server_calls_cross_nodes, pg_members_cross_nodes,
     mnesia_table_lives_on_two_nodes, global_names_and_locks_with_connect_all, terms_of_every_kind_round_trip,
     funs_run_where_they_arrive, files_of_a_peer_open_from_here, payloads_of_every_size_arrive_whole,
     many_senders_each_keep_their_order].

init_per_suite(Config) ->
    Cluster = barrel_p2p_test:cluster(Config),
    A = start(Cluster, alpha, #{}),
    B = start(Cluster, beta, #{}),
    [{cluster, Cluster}, {pair, {A, B}} | Config].

end_per_suite(Config) ->
    barrel_p2p_test:stop(proplists:get_value(cluster, Config)).

init_per_testcase(_Case, Config) ->
    {A, B} = pair(Config),
    ok = connect(A, B),
    Config.

end_per_testcase(_Case, _Config) ->
    ok.

pair(Config) ->
    proplists:get_value(pair, Config).

rpc_calls_casts_and_multicalls(Config) ->
    {A, #{node := Node}} = pair(Config),
    Self = maps:get(node, A),
    ok = on(A, fun() ->
                   5 = rpc:call(Node, ?MODULE, add, [2, 3]),
                   {badrpc, {'EXIT', {badarith, _}}} = rpc:call(Node, ?MODULE, add, [2, none]),
                   {badrpc, timeout} = rpc:call(Node, timer, sleep, [5_000], 50),
                   Key = rpc:async_call(Node, ?MODULE, add, [1, 1]),
                   2 = rpc:yield(Key),
                   {[Self, Node], []} = rpc:multicall([Self, Node], erlang, node, []),
                   {[Node], ['nobody@127.0.0.1']} = rpc:multicall([Node, 'nobody@127.0.0.1'], erlang, node, []),
                   true = register(cast_target, self()),
                   true = rpc:cast(Node, erlang, send, [{cast_target, Self}, by_cast]),
                   receive by_cast -> ok after 5_000 -> nothing end
               end).

add(A, B) -> A + B.

erpc_returns_raises_and_times_out(Config) ->
    {A, #{node := Node}} = pair(Config),
    ok = on(A, fun() ->
                   Node = erpc:call(Node, fun() -> node() end),
                   {error, {exception, oops, _}} = tagged(fun() -> erpc:call(Node, erlang, error, [oops]) end),
                   {throw, ball} = tagged(fun() -> erpc:call(Node, erlang, throw, [ball]) end),
                   {exit, {exception, bye}} = tagged(fun() -> erpc:call(Node, erlang, exit, [bye]) end),
                   {error, {erpc, timeout}} = tagged(fun() -> erpc:call(Node, timer, sleep, [5_000], 50) end),
                   {error, {erpc, noconnection}} = tagged(fun() -> erpc:call('nobody@127.0.0.1', erlang, node, []) end),
                   [{ok, Node}, {error, {erpc, noconnection}}] = erpc:multicall([Node, 'nobody@127.0.0.1'], erlang, node, []),
                   Request = erpc:send_request(Node, ?MODULE, add, [1, 2]),
                   3 = erpc:receive_response(Request, 5_000),
                   ok
               end).

tagged(Fun) ->
    try Fun() catch Class:Reason -> {Class, Reason} end.

gen_server_calls_cross_nodes(Config) ->
    {A, #{node := Node} = B} = pair(Config),
    _ = on(B, fun() ->
                  {ok, Pid} = gen_event:start({local, meeting}),
                  Pid
              end),
    ok = on(A, fun() ->
                   %% A gen_server that every node has, one that is nowhere, and one on a node that is nowhere.
                   true = is_list(gen_server:call({kernel_sup, Node}, which_children)),
                   {exit, {noproc, _}} = tagged(fun() -> gen_server:call({no_such_server, Node}, hello) end),
                   {exit, {{nodedown, 'nobody@127.0.0.1'}, _}} =
                       tagged(fun() -> gen_server:call({kernel_sup, 'nobody@127.0.0.1'}, which_children) end),
                   [] = gen_event:which_handlers({meeting, Node}),
                   ok = gen_event:stop({meeting, Node}),
                   ok
               end).

pg_members_cross_nodes(Config) ->
    {A, B} = pair(Config),
    Member = fun() ->
                 {ok, _} = case pg:start(suite) of {error, {already_started, P}} -> {ok, P}; Started -> Started end,
                 Pid = spawn(fun() -> receive leave -> ok end end),
                 ok = pg:join(suite, room, Pid),
                 Pid
             end,
    Pids = lists:sort([on(A, Member), on(B, Member)]),
    Members = fun() -> lists:sort(pg:get_members(suite, room)) end,
    ok = wait_until(fun() -> on(A, Members) =:= Pids andalso on(B, Members) =:= Pids end, 5_000),
    _ = on(A, fun() -> [Pid ! leave || Pid <- Pids] end),
    ok = wait_until(fun() -> on(A, Members) =:= [] andalso on(B, Members) =:= [] end, 5_000).

mnesia_table_lives_on_two_nodes(Config) ->
    {A, B} = pair(Config),
    #{node := NodeA} = A,
    #{node := NodeB} = B,
    [ok, ok] = [on(P, fun() -> application:set_env(mnesia, schema_location, ram), mnesia:start() end) || P <- [A, B]],
    ok = on(A, fun() ->
                   {ok, [NodeB]} = mnesia:change_config(extra_db_nodes, [NodeB]),
                   {atomic, ok} = mnesia:create_table(pet, [{ram_copies, [NodeA, NodeB]}, {attributes, [name, kind]}]),
                   mnesia:wait_for_tables([pet], 5_000)
               end),
    ok = on(B, fun() -> mnesia:wait_for_tables([pet], 5_000) end),
    Count = 500,
    %% A transaction that is not `sync` returns before the other node has committed.
    Write = fun(Kind) -> fun() -> [{atomic, ok} = mnesia:sync_transaction(fun() -> mnesia:write({pet, {Kind, N}, N}) end)
                                   || N <- lists:seq(1, Count)], ok end end,
    Writers = [async(A, Write(cat)), async(B, Write(dog))],
    [ok, ok] = [await(W, 60_000) || W <- Writers],
    Both = [on(P, fun() -> lists:sort(ets:tab2list(pet)) end) || P <- [A, B]],
    [Same, Same] = Both,
    Count = length([N || {pet, {dog, N}, N} <- Same]),
    Count = length([N || {pet, {cat, N}, N} <- Same]),
    [stopped, stopped] = [on(P, fun mnesia:stop/0) || P <- [A, B]].

global_names_and_locks_with_connect_all(Config) ->
    Cluster = proplists:get_value(cluster, Config),
    [C, D] = [start(Cluster, Name, #{connect_all => true}) || Name <- [gamma, delta]],
    ok = connect(C, D),
    ok = on(C, fun() -> global:sync() end),
    Pid = on(C, fun() -> P = spawn(fun() -> receive stop -> ok end end), yes = global:register_name(worker, P), P end),
    Seen = fun() -> global:whereis_name(worker) end,
    ok = wait_until(fun() -> on(D, Seen) =:= Pid end, 5_000),
    no = on(D, fun() -> global:register_name(worker, self()) end),
    %% A lock that one node holds keeps the other out.
    Id = fun() -> {the_lock, self()} end,
    Holder = on(C, fun() ->
                       Self = self(),
                       P = spawn(fun() -> true = global:set_lock(Id()), Self ! held, receive release -> global:del_lock(Id()) end end),
                       receive held -> P end
                   end),
    false = on(D, fun() -> global:set_lock(Id(), [node() | nodes()], 0) end),
    inside = on(D, fun() -> Holder ! release, global:trans(Id(), fun() -> inside end) end),
    _ = on(D, fun() -> Pid ! stop end),
    ok = wait_until(fun() -> on(C, Seen) =:= undefined andalso on(D, Seen) =:= undefined end, 5_000),
    %% The name of a node that is gone is free again.
    yes = on(D, fun() -> global:register_name(worker, spawn(fun() -> receive stop -> ok end end)) end),
    ok = barrel_p2p_test:kill(D),
    ok = wait_until(fun() -> on(C, Seen) =:= undefined end, 15_000),
    ok = barrel_p2p_test:kill(C).

terms_of_every_kind_round_trip(Config) ->
    {A, #{node := Node}} = pair(Config),
    ok = on(A, fun() ->
                   Port = hd(erlang:ports()),
                   Deep = lists:foldl(fun(N, Acc) -> {N, [Acc], #{N => Acc}} end, end_of_it, lists:seq(1, 20)),
                   Terms = [0, -1, 255, 1 bsl 70, -(1 bsl 5000), 1.5, -0.0, [], "text", <<>>, <<1:1>>, <<5:7, 0:500>>, {}, #{}, '',
                            'Zażółć', list_to_atom(lists:duplicate(255, $a)), self(), make_ref(), alias(), Port, fun lists:map/2,
                            fun ?MODULE:add/2, lists:seq(1, 100_000), [improper | tail], Deep, maps:from_list([{N, N} || N <- lists:seq(1, 1000)]),
                            [list_to_atom("atom_number_" ++ integer_to_list(N)) || N <- lists:seq(1, 3000)],
                            list_to_tuple(lists:seq(1, 10_000)), binary:part(binary:copy(<<7>>, 1000), 10, 500)],
                   [{T, T} = {T, erpc:call(Node, fun() -> T end)} || T <- Terms],
                   %% A reference is worth the same after the journey: it still selects our own answer.
                   Ref = make_ref(),
                   Self = self(),
                   _ = spawn(Node, fun() -> Self ! {Ref, it} end),
                   receive {Ref, it} -> ok after 5_000 -> nothing end
               end).

funs_run_where_they_arrive(Config) ->
    {A, #{node := Node}} = pair(Config),
    ok = on(A, fun() ->
                   Factor = 7,
                   Closure = fun(X) -> {node(), X * Factor} end,
                   {Node, 21} = erpc:call(Node, erlang, apply, [Closure, [3]]),
                   %% There and back, it is the same fun.
                   Back = erpc:call(Node, fun() -> Closure end),
                   true = Back =:= Closure,
                   [2, 3] = erpc:call(Node, lists, map, [fun(X) -> X + 1 end, [1, 2]]),
                   ok
               end).

%% A file opened there is read from here: its io server is a process of the other node.
files_of_a_peer_open_from_here(Config) ->
    {A, #{node := Node}} = pair(Config),
    ok = on(A, fun() ->
                   Self = self(),
                   Owner = spawn_link(Node, fun() ->
                                                {ok, File} = file:open(code:which(?MODULE), [read, binary]),
                                                Self ! {device, File},
                                                receive done -> ok end
                                            end),
                   Device = receive {device, There} -> There end,
                   {ok, <<"FOR1", _/binary>>} = file:read(Device, 16),
                   ok = file:close(Device),
                   Owner ! done,
                   ok
               end).

%% Fragments of OTP are 64 KiB: the sizes around it, around nothing, and one that is far beyond every queue.
payloads_of_every_size_arrive_whole(Config) ->
    {A, #{node := Node}} = pair(Config),
    Edges = [0, 1, 2, 63, 64, 65, 255, 256, 65_534, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, ?MIB - 1, ?MIB, ?MIB + 1,
             4 * ?MIB, 16 * ?MIB, 64 * ?MIB],
    Seed = barrel_p2p_test:seed(),
    ok = on(A, fun() ->
                   _ = rand:seed(exsss, Seed),
                   Receiver = spawn_link(Node, fun mirror_digest/0),
                   [ok = whole(Receiver, rand:bytes(Size)) || Size <- Edges],
                   %% Not a binary, so it is copied byte by byte through the encoder: 8 MiB of list.
                   ok = whole(Receiver, binary_to_list(rand:bytes(8 * ?MIB))),
                   true = unlink(Receiver),
                   ok
               end, 120_000).

whole(Receiver, Payload) ->
    Receiver ! {self(), Payload},
    Expected = erlang:md5(Payload),
    receive {digest, Expected} -> ok; {digest, _} -> {damaged, iolist_size(Payload)} after 60_000 -> {lost, iolist_size(Payload)} end.

mirror_digest() ->
    receive {From, Payload} -> From ! {digest, erlang:md5(Payload)}, mirror_digest() end.

%% Sixteen senders in both directions at once, sizes from nothing to a megabyte, one of them with 64 MiB in the middle.
many_senders_each_keep_their_order(Config) ->
    {A, B} = pair(Config),
    Seed = barrel_p2p_test:seed(),
    Count = barrel_p2p_test:rounds(60),
    Runs = [async(From, fun() -> flood(maps:get(node, To), Seed, 16, Count) end) || {From, To} <- [{A, B}, {B, A}]],
    [ok, ok] = [await(Run, 120_000) || Run <- Runs],
    ok.

flood(Node, Seed, Senders, Count) ->
    Collector = spawn_link(Node, fun() -> collector(Senders, Count) end),
    _ = [spawn_link(fun() -> sender(Collector, {Seed, Id}, Count) end) || Id <- lists:seq(1, Senders)],
    Collector ! {report_to, self()},
    receive {collected, Result} -> Result after 100_000 -> no_report end.

sender(Collector, {Seed, Id}, Count) ->
    _ = rand:seed(exsss, {Seed, Id, 0}),
    [begin
         Payload = rand:bytes(size_of(Id, N, Count)),
         Collector ! {data, Id, N, erlang:md5(Payload), Payload}
     end || N <- lists:seq(1, Count)].

size_of(1, N, Count) when N =:= 1 + Count div 2 -> 64 * ?MIB;
size_of(_Id, _N, _Count) -> trunc(math:pow(2, 20 * rand:uniform())) - 1.

collector(Senders, Count) ->
    receive {report_to, Pid} -> Pid ! {collected, collect(maps:from_keys(lists:seq(1, Senders), 0), Count)} end.

collect(Seen, _Count) when map_size(Seen) =:= 0 -> ok;
collect(Seen, Count) ->
    receive
        {data, Id, N, Digest, Payload} ->
            case {map_get(Id, Seen) + 1, erlang:md5(Payload)} of
                {N, Digest} when N =:= Count -> collect(maps:remove(Id, Seen), Count);
                {N, Digest} -> collect(Seen#{Id := N}, Count);
                {Next, _} -> {wrong, #{sender => Id, expected => Next, got => N, size => byte_size(Payload)}}
            end
    end.
